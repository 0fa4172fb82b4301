package node_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/melodyud/melodyud/fixtures"
	"github.com/melodyud/melodyud/internal/node"
	"github.com/melodyud/melodyud/internal/offline"
)

// decode returns what ffmpeg hears at an address, as 16-bit stereo.
func decode(t *testing.T, address string) []byte {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-nostdin", "-i", address, "-map", "0:a:0", "-f", "s16le", "-")
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil || errs.Len() > 0 {
		t.Fatalf("ffmpeg: %v\n%s", err, errs.String())
	}
	return out.Bytes()
}

// TestProtectedFormsPlayAsTheTrackItself plays one published track encrypted, as a
// preview and from an offline file, each against the clear stream.
func TestProtectedFormsPlayAsTheTrackItself(t *testing.T) { // HLS-90, HLS-91, HLS-94
	t.Parallel()
	if testing.Short() {
		t.Skip("renders a minute of sound")
	}
	data := t.TempDir()
	p := as(t, start(t, node.Config{Data: data}), data)
	file := songWithChorus(t)
	id := p.upload("song.wav", file)
	if track := p.await(id); track.State != "published" {
		t.Fatalf("%+v", track)
	}
	clear := p.hears(id)
	t.Run("offline", func(t *testing.T) { keepOffline(t, p, id, clear) })
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("install ffmpeg to play the encrypted form and the preview")
	}
	t.Run("encrypted", func(t *testing.T) { playEncrypted(t, p, id, file) })
	t.Run("preview", func(t *testing.T) { playPreview(t, p, id, file) })
}

// songWithChorus is 45.5 s long and gets louder after 12.
func songWithChorus(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	music := fixtures.Music()
	err := fixtures.WAV(&out, fixtures.Spec{
		Rate: 44100, Channels: 2, Samples: 45.5 * 44100,
		Wave: func(c int, at float64) float64 {
			if at < 12 {
				return 0.3 * music(c, at)
			}
			return 0.9 * music(c, at)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestAServerThatEncryptsEverythingPlaysTracksAndLists(t *testing.T) { // HLS-90, DASH-5
	t.Parallel()
	data := t.TempDir()
	p := as(t, start(t, node.Config{Data: data, Encrypt: true}), data)
	var ids []string
	var sound []byte
	for i, seconds := range []float64{2.5, 1.25} {
		file := song(t, seconds, i)
		sound = append(sound, pcm(file)...)
		ids = append(ids, p.upload("song.wav", file))
	}
	for _, id := range ids {
		if track := p.await(id); track.State != "published" {
			t.Fatalf("%+v", track)
		}
	}
	var one, list struct {
		URL  string `json:"url"`
		HiFi string `json:"hifi_url"`
		Dash string `json:"dash_url"`
	}
	p.json("POST", "/v1/tracks/"+ids[0]+"/playback", nil, &one)
	p.json("POST", "/v1/playlists/playback", map[string]any{"tracks": ids}, &list)
	for _, address := range []string{one.URL, one.HiFi, list.URL, list.HiFi} {
		media := p.resolve(p.resolve(p.base+"/", address), "aac-96/index.m3u8")
		if text := string(p.fetch(media)); !strings.Contains(text, "#EXT-X-KEY:METHOD=AES-128,") || one.Dash != "" {
			t.Errorf("in the clear: %q\n%s", one.Dash, text)
		}
	}
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("install ffmpeg to play the list")
	}
	if got := decode(t, p.resolve(p.resolve(p.base+"/", list.HiFi), "flac/index.m3u8")); !bytes.Equal(got, sound) {
		t.Errorf("ffmpeg hears %d bytes of the list, the masters have %d", len(got), len(sound))
	}
}

func keepOffline(t *testing.T, p *person, id string, clear map[string][]byte) {
	var kept struct{ URL, Key, Rendition string }
	p.json("POST", "/v1/tracks/"+id+"/offline", map[string]string{"device": "phone", "rendition": "flac"}, &kept)
	sealed := p.fetch(p.resolve(p.base+"/", kept.URL))
	key, err := base64.StdEncoding.DecodeString(kept.Key)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := offline.Open(bytes.NewReader(sealed), key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(plain)
	if err != nil {
		t.Fatal(err)
	}
	// The track file is what a player puts together, and the index after the init segment.
	want := clear["flac"]
	init := bytes.Index(want, []byte("moof")) - 4
	if at := bytes.Index(got, []byte("sidx")) - 4; at < 0 || !bytes.HasPrefix(want, got[:at]) || !bytes.HasSuffix(got, want[init:]) {
		t.Errorf("%d bytes from the device, %d from the stream", len(got), len(want))
	}
}

// pcm is the sound of a WAV file made by song.
func pcm(wav []byte) []byte { return wav[bytes.Index(wav, []byte("data"))+8:] }

func playEncrypted(t *testing.T, p *person, id string, file []byte) {
	var playback struct {
		HiFi string `json:"hifi_url"`
		Dash string `json:"dash_url"`
	}
	p.json("POST", "/v1/tracks/"+id+"/playback?encrypt=true", nil, &playback)
	media := strings.Replace(p.resolve(p.base+"/", playback.HiFi), "hifi.m3u8", "flac/index.m3u8", 1)
	text := string(p.fetch(media))
	if playback.Dash != "" || strings.Count(text, "#EXT-X-KEY:METHOD=AES-128,") < 1 {
		t.Fatalf("%+v\n%s", playback, text)
	}
	if got, want := decode(t, media), pcm(file); !bytes.Equal(got, want) { // lossless, through the encryption
		t.Errorf("ffmpeg hears %d bytes, the master has %d", len(got), len(want))
	}
	clear := strings.Replace(media, "/encrypted/aes-128/", "/", 1)
	if a := p.ask("GET", clear, nil); a.status/100 != 4 {
		t.Errorf("the clear form answers %d", a.status)
	}
}

// playPreview holds the preview's sound to the stretch of the master it is cut from.
func playPreview(t *testing.T, p *person, id string, file []byte) {
	var preview struct {
		URL      string
		Start    float64 `json:"start_seconds"`
		Duration float64 `json:"duration_seconds"`
		Chosen   bool
	}
	p.json("POST", "/v1/tracks/"+id+"/preview", nil, &preview)
	if preview.Start < 9.5 || preview.Start > 14.5 || preview.Chosen {
		t.Errorf("the chorus enters after 12 s: %+v", preview)
	}
	p.json("PATCH", "/v1/tracks/"+id, map[string]float64{"preview_start_seconds": 6}, nil)
	p.json("POST", "/v1/tracks/"+id+"/preview", nil, &preview)
	if preview.Start < 4 || preview.Start > 8 || !preview.Chosen || preview.Duration > 30 || preview.Duration < 25.5 {
		t.Errorf("%+v", preview)
	}
	address := p.resolve(p.base+"/", preview.URL)
	got := decode(t, strings.Replace(address, "/index.m3u8", "/aac-96/index.m3u8", 1))
	from, samples := int(preview.Start*44100+0.5), int(preview.Duration*44100+0.5)
	if len(got) != 4*samples {
		t.Fatalf("ffmpeg hears %d samples, the preview has %d", len(got)/4, samples)
	}
	// A decoder that begins in mid-stream needs one access unit to find its feet, and
	// what an encoder delays must not shift what is heard.
	if lag := lagOf(pcm(file)[4*from:4*(from+samples)], got); lag != 0 {
		t.Errorf("the preview lies %d samples off", lag)
	}
	for _, n := range []int{0, 1, 99} {
		segment := strings.Replace(address, "/index.m3u8", fmt.Sprintf("/aac-96/s/%d.m4s", n), 1)
		if a := p.ask("GET", segment, nil); a.status/100 != 4 {
			t.Errorf("segment %d of the track: %d", n, a.status)
		}
	}
}

// lagOf returns by how many samples got lies behind want, by their left channels.
func lagOf(want, got []byte) int {
	best, at := 0.0, -10000
	for lag := -2100; lag <= 2100; lag++ {
		sum := 0.0
		for i := 44100; i < 44100+20000; i++ {
			a := int16(binary.LittleEndian.Uint16(want[4*i:]))
			b := int16(binary.LittleEndian.Uint16(got[4*(i+lag):]))
			sum += float64(a) * float64(b)
		}
		if sum > best {
			best, at = sum, lag
		}
	}
	return at
}
