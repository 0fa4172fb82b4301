package node_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/melodyud/melodyud/internal/node"
)

// sends begins a request whose body goes on until the test ends, and returns where
// its outcome comes.
func (p *person) sends(method, path string, first []byte, headers ...string) <-chan outcome {
	p.t.Helper()
	body, more := io.Pipe()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.base+path, body)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.key)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	go more.Write(first)
	p.t.Cleanup(func() { more.Close() })
	done := make(chan outcome, 1)
	go func() {
		res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		if err != nil {
			done <- outcome{err: err}
			return
		}
		defer res.Body.Close()
		raw, err := io.ReadAll(res.Body)
		done <- outcome{answer{res.StatusCode, res.Header, raw}, err}
	}()
	return done
}

type outcome struct {
	answer
	err error
}

func TestStopAsksUploadsAndStreamsToEnd(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	base, stop := startUntil(t, node.Config{Data: data, Drain: time.Minute})
	p := as(t, base, data)
	created := p.ask("POST", "/v1/uploads", nil, "Tus-Resumable", "1.0.0", "Upload-Length", "1000000")
	upload := p.sends("PATCH", created.header.Get("Location"), make([]byte, 1000), "Tus-Resumable", "1.0.0",
		"Upload-Offset", "0", "Content-Type", "application/offset+octet-stream")
	events := p.sends("GET", "/v1/events", nil)
	p.eventually("both to be served", func() bool {
		numbers := p.ask("GET", "/metrics", nil).body
		return bytes.Contains(numbers, []byte("melodyud_ingest_active_writers 1")) &&
			bytes.Contains(numbers, []byte("melodyud_api_active_requests 3"))
	})
	stop()
	got := <-upload
	var problem struct{ Code string }
	if got.err != nil || got.status != http.StatusServiceUnavailable || json.Unmarshal(got.body, &problem) != nil ||
		problem.Code != "upload.stopping" || got.header.Get("Retry-After") == "" {
		t.Errorf("the upload was told %d %s %v, want to come again soon", got.status, got.body, got.err)
	}
	if got := <-events; got.err != nil || got.status != http.StatusOK {
		t.Errorf("the events ended with %d %v, want a clean end", got.status, got.err)
	}
}
