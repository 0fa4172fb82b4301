package node_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/melodyud/melodyud/fixtures"
)

// person is someone with a key: a creator who uploads, a listener who plays. All
// requests are tried again while the server is away, as real clients do.
type person struct {
	t        *testing.T
	base     string
	key      string
	patience time.Duration
}

// as reads the local key that a server made in its data directory.
func as(t *testing.T, base, data string) *person {
	t.Helper()
	p := &person{t: t, base: base, patience: 4 * time.Minute}
	p.eventually("the local key", func() bool {
		raw, err := os.ReadFile(filepath.Join(data, "local.key"))
		p.key = strings.TrimSpace(string(raw))
		return err == nil
	})
	return p
}

func (p *person) eventually(what string, ok func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(p.patience); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("waited %v for %s", p.patience, what)
		}
	}
}

// answer is a whole response.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (p *person) ask(method, path string, body []byte, headers ...string) answer {
	p.t.Helper()
	var a answer
	p.eventually(method+" "+path, func() (ok bool) {
		var err error
		a, err = p.once(method, path, body, headers...)
		return err == nil && a.status != http.StatusServiceUnavailable
	})
	return a
}

func (p *person) once(method, path string, body []byte, headers ...string) (answer, error) {
	ctx, cancel := context.WithTimeout(p.t.Context(), 30*time.Second)
	defer cancel()
	address := path
	if strings.HasPrefix(path, "/") {
		address = p.base + path
	}
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+p.key)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	transport := &http.Transport{DisableKeepAlives: true}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, raw}, err
}

func (p *person) json(method, path string, in, out any) {
	p.t.Helper()
	var body []byte
	if in != nil {
		body, _ = json.Marshal(in)
	}
	a := p.ask(method, path, body, "Content-Type", "application/json")
	if a.status >= 300 {
		p.t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
	}
	if out != nil {
		if err := json.Unmarshal(a.body, out); err != nil {
			p.t.Fatalf("%s %s: %v", method, path, err)
		}
	}
}

// upload sends a file by tus and returns the track's id. It goes on after the
// server died at any point.
func (p *person) upload(name string, file []byte) string {
	p.t.Helper()
	const tus = "Tus-Resumable"
	meta := "filename " + base64.StdEncoding.EncodeToString([]byte(name))
	created := p.ask("POST", "/v1/uploads", nil, tus, "1.0.0", "Upload-Length", strconv.Itoa(len(file)), "Upload-Metadata", meta)
	if created.status != http.StatusCreated {
		p.t.Fatalf("create upload: %d %s", created.status, created.body)
	}
	location := created.header.Get("Location")
	if u, err := url.Parse(location); err == nil {
		location = u.Path
	}
	for at := 0; at < len(file); {
		end := min(at+1<<20, len(file))
		_, _ = p.once("PATCH", location, file[at:end], tus, "1.0.0", "Upload-Offset", strconv.Itoa(at),
			"Content-Type", "application/offset+octet-stream") // HEAD tells what came of it
		head := p.ask("HEAD", location, nil, tus, "1.0.0")
		next, err := strconv.Atoi(head.header.Get("Upload-Offset"))
		if err != nil || next > end || next < at {
			p.t.Fatalf("offset %q after %d: %d %v", head.header.Get("Upload-Offset"), at, head.status, err)
		}
		at = next
	}
	return created.header.Get("Melodyud-Track")
}

type trackJSON struct {
	ID       string `json:"id"`
	State    string `json:"state"`
	Progress struct {
		Stage   string `json:"stage"`
		Percent int    `json:"percent"`
	} `json:"progress"`
	Refusal *struct{ Code, Text string } `json:"refusal"`
	Release *struct {
		ID       string  `json:"id"`
		Number   int     `json:"number"`
		Duration float64 `json:"duration_seconds"`
	} `json:"release"`
}

// await waits until the track is published or refused.
func (p *person) await(id string) trackJSON {
	p.t.Helper()
	var t trackJSON
	var last answer
	p.eventually("a verdict on "+id, func() bool {
		var err error
		if last, err = p.once("GET", "/v1/tracks/"+id, nil); err != nil || last.status != http.StatusOK {
			return false
		}
		return json.Unmarshal(last.body, &t) == nil && t.State != "received"
	})
	return t
}

// press asks for the right to play a track and returns the address of its playlist.
func (p *person) press(id string) (address string) {
	p.t.Helper()
	var playback struct{ URL string }
	p.json("POST", "/v1/tracks/"+id+"/playback", nil, &playback)
	return playback.URL
}

// leads follows a playlist at a server to its first media playlist, and to the first
// segment of that; all are paths.
func (p *person) leads(base, main string) (media, segment string) {
	p.t.Helper()
	media = path(p.t, p.resolve(base+main, uris(p.fetch(base + main))[0]))
	return media, path(p.t, p.resolve(base+media, uris(p.fetch(base + media))[0]))
}

// hears plays every rendition of a published track to its end and returns each
// one's bytes from init segment to last segment.
func (p *person) hears(id string) map[string][]byte {
	p.t.Helper()
	var playback struct {
		URL     string `json:"url"`
		HifiURL string `json:"hifi_url"`
	}
	p.json("POST", "/v1/tracks/"+id+"/playback", nil, &playback)
	main := p.resolve(p.base+"/", playback.HifiURL)
	renditions := map[string][]byte{}
	for _, variant := range uris(p.fetch(main)) {
		media := p.resolve(main, variant)
		text := p.fetch(media)
		_, after, _ := strings.Cut(string(text), `#EXT-X-MAP:URI="`)
		init, _, _ := strings.Cut(after, `"`)
		all := p.fetch(p.resolve(media, init))
		for _, segment := range uris(text) {
			all = append(all, p.fetch(p.resolve(media, segment))...)
		}
		renditions[strings.TrimSuffix(variant, "/index.m3u8")] = all
	}
	return renditions
}

func (p *person) fetch(address string) []byte {
	p.t.Helper()
	a := p.ask("GET", address, nil)
	if a.status != http.StatusOK {
		p.t.Fatalf("GET %s: %d %s", address, a.status, a.body)
	}
	return a.body
}

func (p *person) resolve(base, ref string) string {
	p.t.Helper()
	b, err := url.Parse(base)
	if err != nil {
		p.t.Fatal(err)
	}
	u, err := b.Parse(ref)
	if err != nil {
		p.t.Fatal(err)
	}
	return u.String()
}

// uris are the lines of a playlist that are no tags.
func uris(playlist []byte) []string {
	var all []string
	for line := range strings.Lines(string(playlist)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			all = append(all, line)
		}
	}
	return all
}

// song is a stereo WAV of some seconds, different for each seed.
func song(t *testing.T, seconds float64, seed int) []byte {
	t.Helper()
	var out bytes.Buffer
	tone, music := fixtures.Sine(200+float64(seed), 0.1), fixtures.Music()
	err := fixtures.WAV(&out, fixtures.Spec{
		Rate: 44100, Channels: 2, Samples: int(seconds * 44100),
		Wave: func(c int, at float64) float64 { return 0.8*music(c, at) + tone(c, at) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
