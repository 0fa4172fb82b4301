package ingest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/melodyud/melodyud/ingest"
)

// patient is a client that tries everything again, as creators' programs do, and
// remembers what it was told is stored.
type patient struct {
	t      testing.TB
	url    string
	client *http.Client
	rand   *rand.Rand
	tries  int
}

func newPatient(t testing.TB, url string, seed uint64) *patient {
	transport := &http.Transport{DisableKeepAlives: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &patient{
		t: t, url: url, rand: rand.New(rand.NewPCG(seed, 2)),
		client: &http.Client{Transport: transport, Timeout: 10 * time.Second},
	}
}

const maxTries = 5000

// do sends a request; an answer of 0 is a connection that broke.
func (p *patient) do(method, path string, body []byte, headers ...string) answer {
	p.t.Helper()
	if p.tries++; p.tries > maxTries {
		p.t.Fatalf("no end after %d requests", maxTries)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, p.url+path, bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set("Authorization", "Bearer ada")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := p.client.Do(req)
	if err != nil {
		return p.broken()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return p.broken()
	}
	return answer{res, string(text)}
}

func (p *patient) broken() answer {
	time.Sleep(5 * time.Millisecond)
	return answer{&http.Response{Header: http.Header{}}, ""}
}

// unless fails the test for an answer that no fault of a server or connection explains.
func (p *patient) unless(a answer, want ...int) bool {
	p.t.Helper()
	for _, status := range want {
		if a.StatusCode == status {
			return true
		}
	}
	switch a.StatusCode {
	case 0, 409, 423, 500, 503, 507: // 500: an answer of the database's last moment
	default:
		p.t.Errorf("%d %s", a.StatusCode, a.body)
	}
	return false
}

func (p *patient) create(headers ...string) string {
	p.t.Helper()
	for {
		if a := p.do("POST", "/v1/uploads", nil, headers...); p.unless(a, 201) {
			return a.Header.Get("Location")
		}
	}
}

// stands asks where an upload stands; it must not be before what was acknowledged.
func (p *patient) stands(path string, acked int) int {
	p.t.Helper()
	for {
		a := p.do("HEAD", path, nil)
		if !p.unless(a, 200) {
			continue
		}
		at, err := strconv.Atoi(a.Header.Get("Upload-Offset"))
		if err != nil || at < acked {
			p.t.Fatalf("%d bytes were acknowledged, %q are there", acked, a.Header.Get("Upload-Offset"))
		}
		return at
	}
}

// fill sends data in requests of any size, sometimes with a checksum.
func (p *patient) fill(path string, data []byte) {
	p.t.Helper()
	for acked := p.stands(path, 0); acked < len(data); {
		end := min(len(data), acked+1+p.rand.IntN(len(data)))
		headers := []string{"Content-Type", octets, "Upload-Offset", strconv.Itoa(acked)}
		if p.rand.IntN(3) == 0 {
			headers = append(headers, "Upload-Checksum", sum("sha1", string(data[acked:end])))
		}
		if a := p.do("PATCH", path, data[acked:end], headers...); p.unless(a, 204) {
			acked, _ = strconv.Atoi(a.Header.Get("Upload-Offset"))
		}
		acked = p.stands(path, acked)
	}
}

// fillDraft is fill in the IETF's dialect.
func (p *patient) fillDraft(path string, data []byte) {
	p.t.Helper()
	path = "/v1/resumable/" + id(path)
	for acked := 0; acked < len(data); {
		end := min(len(data), acked+1+p.rand.IntN(len(data)))
		complete := "?0"
		if end == len(data) {
			complete = "?1"
		}
		p.unless(p.do("PATCH", path, data[acked:end], "Content-Type", "application/partial-upload", "Upload-Offset", strconv.Itoa(acked),
			"Upload-Complete", complete, "Upload-Draft-Interop-Version", "8"), 204)
		a := p.do("HEAD", path, nil)
		if p.unless(a, 204) {
			at, err := strconv.Atoi(a.Header.Get("Upload-Offset"))
			if err != nil || at < acked {
				p.t.Fatalf("%d bytes were acknowledged, %q are there", acked, a.Header.Get("Upload-Offset"))
			}
			acked = at
		}
	}
}

// upload brings data in one of the ways there are and returns the upload's address.
func (p *patient) upload(data []byte, way int) string {
	p.t.Helper()
	length := strconv.Itoa(len(data))
	switch way % 4 {
	case 0: // pieces
		cut := p.rand.IntN(len(data) + 1)
		pieces := ""
		for _, piece := range [][]byte{data[:cut], data[cut:]} {
			path := p.create("Upload-Concat", "partial", "Upload-Length", strconv.Itoa(len(piece)))
			p.fill(path, piece)
			pieces += " " + path
		}
		return p.create("Upload-Concat", "final;"+pieces)
	case 1:
		path := p.create("Upload-Length", length)
		p.fillDraft(path, data)
		return path
	}
	path := p.create("Upload-Length", length)
	p.fill(path, data)
	return path
}

// received waits for the hand-over and checks the hash.
func (p *patient) received(path string, data []byte) {
	p.t.Helper()
	want := sha256.Sum256(data)
	for {
		var v ingest.View
		a := p.do("GET", path, nil)
		if a.StatusCode == 200 && json.Unmarshal([]byte(a.body), &v) == nil && v.State == ingest.StateReceived {
			if v.SHA256 != hex.EncodeToString(want[:]) || v.Offset != int64(len(data)) {
				p.t.Errorf("%s became %+v", path, v)
			}
			return
		}
		if a.StatusCode == 200 && v.State != ingest.StateComplete {
			p.t.Fatalf("%s is %+v", path, v)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// wantMasters fails unless every file is a master, byte for byte.
func (f *fixture) wantMasters(files [][]byte) {
	f.t.Helper()
	for i, data := range files {
		want := sha256.Sum256(data)
		if !bytes.Equal(f.object(fmt.Sprintf("masters/%x", want)), data) {
			f.t.Errorf("the master of file %d is not the file", i)
		}
	}
}

// album is n files of 1 byte to about most bytes.
func album(n, most int, seed uint64) [][]byte {
	r := rand.New(rand.NewPCG(seed, 3))
	files := make([][]byte, n)
	for i := range files {
		files[i] = noise(1+r.IntN(most), seed<<16+uint64(i))
	}
	return files
}
