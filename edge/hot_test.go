package edge_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/melodyud/melodyud/edge/wire"
	"github.com/melodyud/melodyud/internal/ticket"
)

// front serves a stage's handler with the short way before it and returns the
// address.
func (s *stage) front(t testing.TB) string {
	t.Helper()
	w, err := wire.New(wire.Config{Source: s.edge})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: s.handler}
	served := make(chan error, 1)
	go func() { served <- w.Serve(server, l) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// ask sends one request and returns its answer, with the fields that are made anew
// for each taken out.
func ask(t testing.TB, address, method, path string, fields ...string) (*http.Response, string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	text := method + " " + path + " HTTP/1.1\r\nHost: edge\r\n"
	for _, f := range fields {
		text += f + "\r\n"
	}
	if _, err := io.WriteString(c, text+"\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.Header.Get("X-Request-Id") == "" || res.Header.Get("Date") == "" {
		t.Errorf("%s %s: no id or date: %v", method, path, res.Header)
	}
	for _, name := range []string{"X-Request-Id", "Date", "Server-Timing"} {
		res.Header.Del(name)
	}
	return res, string(body)
}

// seen asks the edge itself whether it would answer from memory.
func (s *stage) seen(path string, fields ...string) bool {
	r := &wire.Request{Path: []byte(path)}
	if len(fields) > 0 {
		r.AcceptEncoding = []byte(fields[0])
	}
	return s.edge.Resident(r, &wire.Answer{})
}

// kept reports whether an answer that was given is kept, which happens behind it.
func (s *stage) kept(path string, fields ...string) bool {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if s.seen(path, fields...) {
			return true
		}
	}
	return false
}

func TestWhatIsAnsweredFromMemoryIsWhatTheHandlerAnswers(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	server := httptest.NewServer(s.handler)
	defer server.Close()
	plain, fast := server.Listener.Addr().String(), s.front(t)
	base := s.base(t, ticket.Premium)
	for _, below := range []string{"index.m3u8", "hifi.m3u8", "manifest.mpd", "aac-64/index.m3u8", "aac-64/init.mp4", "aac-64/s/0.m4s", "flac/s/1.m4s", "flac/s/2.m4s"} {
		for _, coding := range []string{"", "gzip, deflate, br", "br", "gzip;q=0"} {
			var fields []string
			if coding != "" {
				fields = []string{"Accept-Encoding: " + coding}
			}
			ask(t, fast, "GET", base+below, fields...)
			if !s.kept(base+below, coding) {
				t.Errorf("%s, %q: not answered from memory", below, coding)
			}
			for _, method := range []string{"GET", "HEAD"} {
				want, wantBody := ask(t, plain, method, base+below, fields...)
				got, gotBody := ask(t, fast, method, base+below, fields...)
				if want.ContentLength < 0 { // net/http does not count what is compressed
					got.Header.Del("Content-Length")
					got.ContentLength = -1
				}
				if gotBody != wantBody || fmt.Sprint(got.Header) != fmt.Sprint(want.Header) || got.Status != want.Status || got.ContentLength != want.ContentLength {
					t.Errorf("%s %s %q:\n got %v %v\nwant %v %v", method, below, coding, got.Status, got.Header, want.Status, want.Header)
				}
			}
		}
	}
}

func TestMemoryAnswersNobodyTheHandlerWouldNot(t *testing.T) { // TOK-7
	t.Parallel()
	s := newStage(t)
	address := s.front(t)
	premium, free := s.base(t, ticket.Premium), s.base(t, ticket.Free)
	for _, below := range []string{"flac/s/0.m4s", "aac-64/s/0.m4s", "hifi.m3u8"} {
		if res, _ := ask(t, address, "GET", premium+below); res.StatusCode != 200 {
			t.Fatalf("%s: %v", below, res.Status)
		}
	}
	for _, path := range []string{
		free + "flac/s/0.m4s", free + "hifi.m3u8", premium + "aac-64/s/3.m4s", premium + "aac-64/s/00.m4s",
		strings.Replace(premium, "/p/", "/p/A", 1) + "aac-64/s/0.m4s",
		strings.Replace(premium, string(s.track), "trk_"+strings.Repeat("0", 26), 1) + "aac-64/s/0.m4s",
	} {
		if s.seen(path) {
			t.Errorf("%s is answered from memory", path)
		}
		if res, _ := ask(t, address, "GET", path); res.StatusCode < 400 {
			t.Errorf("%s: %v", path, res.Status)
		}
	}
	s.now.Add(int64(5 * 365 * 24 * time.Hour))
	if s.seen(premium + "aac-64/s/0.m4s") {
		t.Error("an expired ticket is answered from memory")
	}
}

func TestAWithdrawnReleaseIsNotAnsweredFromMemory(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	address, path := s.front(t), s.base(t, ticket.Premium)+"aac-64/s/0.m4s"
	for range 2 {
		if res, _ := ask(t, address, "GET", path); res.StatusCode != 200 {
			t.Fatal(res.Status)
		}
	}
	s.shelf.remove(s.manifestKey())
	s.now.Add(int64(2 * time.Second))
	if s.seen(path) {
		t.Error("from memory")
	}
	if res, _ := ask(t, address, "GET", path); res.StatusCode != 404 {
		t.Error(res.Status)
	}
	if s.seen(path) {
		t.Error("from memory afterwards")
	}
}

func TestOnlyWholeAndSharedAnswersAreKept(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	address, path := s.front(t), s.base(t, ticket.Premium)+"aac-64/s/0.m4s"
	for _, field := range []string{"Range: bytes=0-3", "If-Match: \"x\"", "Range: bytes=900000000-"} {
		ask(t, address, "GET", path, field)
		if s.seen(path) {
			t.Errorf("after %s", field)
		}
	}
	res, _ := ask(t, address, "GET", path)
	if res, body := ask(t, address, "GET", path, "If-None-Match: "+res.Header.Get("Etag")); res.StatusCode != 304 || body != "" {
		t.Errorf("%v %q", res.Status, body)
	}
	if res, body := ask(t, address, "GET", path, "Range: bytes=0-3"); res.StatusCode != 206 || len(body) != 4 {
		t.Errorf("%v %q", res.Status, body)
	}
	if !bytes.Contains([]byte(path), []byte("/p/")) || !s.kept(path) {
		t.Error("not kept")
	}
}

// BenchmarkResident is what the short way costs besides the system's calls.
func BenchmarkResident(b *testing.B) {
	s := newStage(b)
	address, base := s.front(b), s.base(b, ticket.Premium)
	for _, below := range []string{"aac-64/s/1.m4s", "aac-64/index.m3u8"} {
		b.Run(below[strings.LastIndexByte(below, '.')+1:], func(b *testing.B) {
			for range 5 {
				ask(b, address, "GET", base+below)
			}
			r, a := &wire.Request{Path: []byte(base + below)}, &wire.Answer{}
			b.ReportAllocs()
			for b.Loop() {
				a.Body, a.File = a.Body[:0], nil
				if !s.edge.Resident(r, a) {
					b.Fatal("not from memory")
				}
				if a.File != nil {
					a.File.Release()
				}
				s.edge.Sent(r, a, true, time.Microsecond)
			}
		})
	}
}
