package wire_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/melodyud/melodyud/edge/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shop is a source that has one sound, and counts.
type shop struct {
	sound  []byte
	asked  atomic.Int64
	sent   atomic.Int64
	cut    atomic.Int64
	path   atomic.Value // of the last request
	before func()       // called before an answer; nil: nothing is
}

const soundPath = "/p/ticket/trk/rel/aac-64/s/0.m4s"

func (s *shop) Resident(r *wire.Request, a *wire.Answer) bool {
	s.asked.Add(1)
	s.path.Store(string(r.Path) + "|" + string(r.Query))
	if string(r.Path) != soundPath {
		return false
	}
	if s.before != nil {
		s.before()
	}
	half := len(s.sound) / 2
	method := "GET"
	if r.Head {
		method = "HEAD"
	}
	a.Head = fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: audio/mp4\r\nFrom: memory\r\nMethod: %s\r\n", len(s.sound), method)
	a.Body = append(a.Body, s.sound[:half], nil, s.sound[half:])
	a.What = s
	return true
}

func (s *shop) Sent(_ *wire.Request, a *wire.Answer, whole bool, _ time.Duration) {
	if a.What != s {
		panic("another answer")
	}
	if s.sent.Add(1); !whole {
		s.cut.Add(1)
	}
}

// handler answers what the shop has, and says what it read of everything else.
func (s *shop) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == soundPath {
			w.Header().Set("Content-Type", "audio/mp4")
			w.Header().Set("Content-Length", fmt.Sprint(len(s.sound)))
			_, _ = w.Write(s.sound)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprintf(w, "%s %s %d %.20q", r.Method, r.URL, len(body), body)
	})
}

// serve serves with a shop and returns its address.
func serve(t testing.TB, c wire.Config, h http.Handler) (address string, server *http.Server, w *wire.Wire) {
	t.Helper()
	w, err := wire.New(c)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server = &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	served := make(chan error, 1)
	go func() { served <- w.Serve(server, l) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return l.Addr().String(), server, w
}

func open(t testing.TB) (*shop, string) {
	t.Helper()
	s := &shop{sound: bytes.Repeat([]byte("sound"), 20<<10)}
	address, _, _ := serve(t, wire.Config{Source: s}, s.handler())
	return s, address
}

// line is a connection to talk on by hand.
type line struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func dial(t testing.TB, address string) *line {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &line{c, t, bufio.NewReader(c)}
}

func (l *line) say(s string) {
	l.t.Helper()
	if _, err := io.WriteString(l, s); err != nil {
		l.t.Fatal(err)
	}
}

// hear reads one answer to a request of method.
func (l *line) hear(method string) (*http.Response, string) {
	l.t.Helper()
	res, err := http.ReadResponse(l.r, &http.Request{Method: method})
	if err != nil {
		l.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return res, string(body)
}

// over fails the test unless the connection is closed.
func (l *line) over() {
	l.t.Helper()
	if _, err := l.r.ReadByte(); !errors.Is(err, io.EOF) {
		l.t.Errorf("the connection is still there: %v", err)
	}
}

const get = "GET " + soundPath + " HTTP/1.1\r\nHost: edge\r\n"

func TestWhatIsInMemoryIsAnsweredFromThere(t *testing.T) {
	t.Parallel()
	s, address := open(t)
	l := dial(t, address)
	for range 3 {
		l.say(get + "\r\n")
		res, body := l.hear("GET")
		if res.Header.Get("From") != "memory" || body != string(s.sound) || res.StatusCode != 200 {
			t.Fatalf("%v, %d bytes", res, len(body))
		}
		if _, err := http.ParseTime(res.Header.Get("Date")); err != nil || len(res.Header.Get("X-Request-Id")) != 26 {
			t.Errorf("%v", res.Header)
		}
	}
	l.say("HEAD" + get[3:] + "X-Request-ID: of-the-caller\r\n\r\n")
	if res, _ := l.hear("HEAD"); res.Header.Get("X-Request-Id") != "of-the-caller" || res.Header.Get("From") == "" {
		t.Errorf("HEAD: %v", res.Header)
	}
	l.say(strings.Replace(get, ".m4s", ".m4s?CMCD=bl%3D1", 1) + "\r\n")
	if l.hear("GET"); s.path.Load() != soundPath+"|CMCD=bl%3D1" {
		t.Errorf("asked for %s", s.path.Load())
	}
	if s.sent.Load() != 5 || s.cut.Load() != 0 {
		t.Errorf("%d answers, %d cut", s.sent.Load(), s.cut.Load())
	}
}

func TestAConnectionTakesBothWaysByTurns(t *testing.T) {
	t.Parallel()
	s, address := open(t)
	l := dial(t, address)
	for i := range 3 {
		l.say(fmt.Sprintf("POST /v1/uploads HTTP/1.1\r\nHost: edge\r\nContent-Length: %d\r\n\r\n%s", 9000*i, strings.Repeat("u", 9000*i)))
		if _, body := l.hear("POST"); !strings.HasPrefix(body, fmt.Sprintf("POST /v1/uploads %d ", 9000*i)) {
			t.Fatalf("upload: %s", body)
		}
		l.say(get + "\r\n")
		if res, body := l.hear("GET"); res.Header.Get("From") == "" || body != string(s.sound) {
			t.Fatalf("not from memory: %v", res)
		}
	}
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	s, address := open(t)
	l := dial(t, address)
	var all strings.Builder
	for i := range 20 {
		fmt.Fprintf(&all, "%s\r\nPOST /%d HTTP/1.1\r\nHost: e\r\nContent-Length: 5\r\n\r\nhello", get, i)
	}
	l.say(all.String())
	for i := range 20 {
		if _, body := l.hear("GET"); body != string(s.sound) {
			t.Fatalf("sound %d is wrong", i)
		}
		if _, body := l.hear("POST"); body != fmt.Sprintf("POST /%d 5 \"hello\"", i) {
			t.Fatalf("%d: %s", i, body)
		}
	}
}

func TestARequestMayComeInPieces(t *testing.T) {
	t.Parallel()
	s, address := open(t)
	l := dial(t, address)
	if err := l.Conn.(*net.TCPConn).SetNoDelay(true); err != nil {
		t.Fatal(err)
	}
	text := get + "\r\nPOST / HTTP/1.1\r\nHost: e\r\nContent-Length: 3\r\n\r\nabc" + get + "\r\n"
	for i := range text {
		l.say(text[i : i+1])
	}
	if _, body := l.hear("GET"); body != string(s.sound) {
		t.Error("first sound")
	}
	if _, body := l.hear("POST"); body != `POST / 3 "abc"` {
		t.Error(body)
	}
	if _, body := l.hear("GET"); body != string(s.sound) {
		t.Error("second sound")
	}
}

func TestBodiesOfUntoldLengthEndTheConnection(t *testing.T) {
	t.Parallel()
	_, address := open(t)
	l := dial(t, address)
	l.say("POST /x HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + get + "\r\n")
	if res, body := l.hear("POST"); body != `POST /x 5 "hello"` || !res.Close {
		t.Errorf("%v %s", res, body)
	}
	l.over()
}

func TestExpectedContinueIsSent(t *testing.T) {
	t.Parallel()
	s, address := open(t)
	l := dial(t, address)
	l.say("PUT /x HTTP/1.1\r\nHost: e\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	if res, _ := l.hear("PUT"); res.StatusCode != 100 {
		t.Fatalf("%v", res)
	}
	l.say("hello")
	if _, body := l.hear("PUT"); body != `PUT /x 5 "hello"` {
		t.Error(body)
	}
	l.say(get + "\r\n")
	if _, body := l.hear("GET"); body != string(s.sound) {
		t.Error("no sound after it")
	}
}

func TestHandlersSeeThatTheClientLeft(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	address, _, _ := serve(t, wire.Config{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(left)
	}))
	l := dial(t, address)
	l.say("GET /events HTTP/1.1\r\nHost: e\r\n\r\n")
	if _, err := l.r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	l.Close()
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Error("the handler was not told")
	}
}

func TestWhatTwoReadersCouldReadInTwoWaysIsRefused(t *testing.T) { // EDGE-17, faults.md C7
	t.Parallel()
	s, address := open(t)
	for name, text := range map[string]string{
		"bare LF in a field":          "GET / HTTP/1.1\r\nHost: e\nX: y\r\n\r\n",
		"bare LF after the line":      "GET / HTTP/1.1\nHost: e\r\n\r\n",
		"bare LFs only":               "GET / HTTP/1.1\nHost: e\n\n",
		"bare LF as the empty line":   "GET / HTTP/1.1\r\nHost: e\r\n\n",
		"bare CR":                     "GET / HTTP/1.1\r\nHost: e\r\nX: a\rb\r\n\r\n",
		"folded line":                 "GET / HTTP/1.1\r\nHost: e\r\nX: a\r\n b\r\n\r\n",
		"folded first line":           "GET / HTTP/1.1\r\n Host: e\r\nHost: e\r\n\r\n",
		"length and coding":           "POST / HTTP/1.1\r\nHost: e\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"coding and length":           "POST / HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
		"two lengths":                 "POST / HTTP/1.1\r\nHost: e\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
		"two equal lengths":           "POST / HTTP/1.1\r\nHost: e\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
		"list of lengths":             "POST / HTTP/1.1\r\nHost: e\r\nContent-Length: 5, 5\r\n\r\nhello",
		"signed length":               "POST / HTTP/1.1\r\nHost: e\r\nContent-Length: +5\r\n\r\nhello",
		"negative length":             "POST / HTTP/1.1\r\nHost: e\r\nContent-Length: -5\r\n\r\nhello",
		"hexadecimal length":          "POST / HTTP/1.1\r\nHost: e\r\nContent-Length: 0x5\r\n\r\nhello",
		"endless length":              "POST / HTTP/1.1\r\nHost: e\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
		"empty length":                "POST / HTTP/1.1\r\nHost: e\r\nContent-Length:\r\n\r\nhello",
		"two codings":                 "POST / HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"coding under HTTP/1.0":       "POST / HTTP/1.0\r\nHost: e\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"coding with a tab":           "POST / HTTP/1.1\r\nHost: e\r\nTransfer-Encoding:\tchunked\x0b\r\n\r\n0\r\n\r\n",
		"unknown coding":              "POST / HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"list of codings":             "POST / HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"space before the colon":      "POST / HTTP/1.1\r\nHost: e\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
		"no colon":                    "GET / HTTP/1.1\r\nHost: e\r\nX\r\n\r\n",
		"empty name":                  "GET / HTTP/1.1\r\nHost: e\r\n: x\r\n\r\n",
		"NUL in a value":              "GET / HTTP/1.1\r\nHost: e\r\nX: a\x00b\r\n\r\n",
		"NUL in a name":               "GET / HTTP/1.1\r\nHost: e\r\nX\x00: a\r\n\r\n",
		"NUL in the address":          "GET /\x00 HTTP/1.1\r\nHost: e\r\n\r\n",
		"two hosts":                   "GET / HTTP/1.1\r\nHost: e\r\nHost: f\r\n\r\n",
		"two equal hosts":             "GET / HTTP/1.1\r\nHost: e\r\nhost: e\r\n\r\n",
		"no host":                     "GET / HTTP/1.1\r\n\r\n",
		"strange host":                "GET / HTTP/1.1\r\nHost: e/x\r\n\r\n",
		"foreign address":             "GET http://other/ HTTP/1.1\r\nHost: e\r\n\r\n",
		"foreign user in the address": "GET http://e@other/ HTTP/1.1\r\nHost: e\r\n\r\n",
		"strange scheme":              "GET file://e/ HTTP/1.1\r\nHost: e\r\n\r\n",
		"address without a slash":     "GET x HTTP/1.1\r\nHost: e\r\n\r\n",
		"a tunnel":                    "CONNECT e:80 HTTP/1.1\r\nHost: e:80\r\n\r\n",
		"star for GET":                "GET * HTTP/1.1\r\nHost: e\r\n\r\n",
		"three words":                 "GET / x HTTP/1.1\r\nHost: e\r\n\r\n",
		"two spaces":                  "GET  / HTTP/1.1\r\nHost: e\r\n\r\n",
		"tab in the line":             "GET\t/ HTTP/1.1\r\nHost: e\r\n\r\n",
		"HTTP/0.9":                    "GET /\r\n\r\n",
		"another version":             "GET / HTTP/1.2\r\nHost: e\r\n\r\n",
		"version in small letters":    "GET / http/1.1\r\nHost: e\r\n\r\n",
		"HTTP/2 by the way":           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"an empty line first":         "\r\nGET / HTTP/1.1\r\nHost: e\r\n\r\n",
		"bytes beyond ASCII":          "GET /\xff HTTP/1.1\r\nHost: e\r\n\r\n",
	} {
		for way, first := range map[string]string{"first": "", "after an answer": get + "\r\n", "after a handler": "POST / HTTP/1.1\r\nHost: e\r\nContent-Length: 2\r\n\r\nab"} {
			l := dial(t, address)
			if first != "" {
				l.say(first)
				l.hear("GET")
			}
			asked := s.asked.Load()
			l.say(text + get + "\r\n")
			res, body := l.hear("GET")
			if res.StatusCode != 400 && res.StatusCode != 501 || !res.Close || !strings.Contains(body, `"code":"request.`) {
				t.Errorf("%s, %s: %v %s", name, way, res.Status, body)
			}
			l.over()
			if s.asked.Load() != asked {
				t.Errorf("%s, %s: what came behind it was looked at", name, way)
			}
			l.Close()
		}
	}
}

func TestOwnAddressesInFullAreServed(t *testing.T) {
	t.Parallel()
	_, address := open(t)
	l := dial(t, address)
	l.say("GET http://E/x HTTP/1.1\r\nHost: e\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: e\r\n\r\nGET /x HTTP/1.0\r\n\r\n")
	for _, want := range []string{"GET http://E/x 0", "", "GET /x 0"} {
		if res, body := l.hear("GET"); res.StatusCode != 200 || !strings.HasPrefix(body, want) {
			t.Errorf("%v %s", res.Status, body)
		}
	}
	l.over()
}

func TestLargeHeadsAreRefused(t *testing.T) {
	t.Parallel()
	_, address := open(t)
	l := dial(t, address)
	l.say("GET / HTTP/1.1\r\nHost: e\r\nX: " + strings.Repeat("x", 12<<10) + "\r\n\r\n")
	if res, _ := l.hear("GET"); res.StatusCode != 200 {
		t.Errorf("12 KB: %v", res.Status)
	}
	l.say("GET / HTTP/1.1\r\nHost: e\r\nX: " + strings.Repeat("x", 40<<10) + "\r\n\r\n")
	if res, body := l.hear("GET"); res.StatusCode != 431 || !strings.Contains(body, "request.large") {
		t.Errorf("40 KB: %v", res.Status)
	}
	l.over()
}

func TestSlowHeadsAreCutOff(t *testing.T) { // faults.md C7
	t.Parallel()
	s := &shop{sound: []byte("sound")}
	address, _, _ := serve(t, wire.Config{Source: s, HeaderTimeout: 50 * time.Millisecond, IdleTimeout: 100 * time.Millisecond}, s.handler())
	for _, first := range []string{"", get + "\r\n"} {
		l := dial(t, address)
		l.say(first + "GET / HTTP/1.1\r\nHost")
		if first != "" {
			l.hear("GET")
		}
		l.over()
	}
	l := dial(t, address)
	l.say(get + "\r\n")
	l.hear("GET")
	l.over() // idle
}

func TestAClientThatTakesNothingIsCutOff(t *testing.T) { // EDGE-16
	t.Parallel()
	s := &shop{sound: make([]byte, 32<<20)}
	address, _, _ := serve(t, wire.Config{Source: s, StallTimeout: 50 * time.Millisecond}, s.handler())
	l := dial(t, address)
	l.say(get + "\r\n")
	for deadline := time.Now().Add(15 * time.Second); s.cut.Load() == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it still has its answer")
		}
	}
	if n, err := io.Copy(io.Discard, l.r); err == nil && n >= int64(len(s.sound)) {
		t.Error("it got all of it")
	}
}

func TestASlowClientGetsItAll(t *testing.T) {
	t.Parallel()
	s := &shop{sound: bytes.Repeat([]byte("0123456789abcdef"), 1<<20)}
	address, _, _ := serve(t, wire.Config{Source: s, StallTimeout: 10 * time.Second}, s.handler())
	l := dial(t, address)
	l.say(get + "\r\n" + get + "\r\n")
	time.Sleep(50 * time.Millisecond) // for the socket's buffer to be full
	for range 2 {
		if _, body := l.hear("GET"); body != string(s.sound) {
			t.Error("the sound is another one")
		}
	}
}

func TestAStopLetsAnswersOut(t *testing.T) {
	t.Parallel()
	s := &shop{sound: make([]byte, 16<<20)}
	address, server, w := serve(t, wire.Config{Source: s}, s.handler())
	l, idle := dial(t, address), dial(t, address)
	idle.say(get + "\r\n")
	idle.hear("GET")
	l.say(get + "\r\n")
	if _, err := l.r.Peek(1); err != nil { // it is being sent
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- errors.Join(server.Shutdown(ctx), w.Drain(ctx)) }()
	idle.over()
	if _, body := l.hear("GET"); len(body) != len(s.sound) {
		t.Errorf("%d bytes", len(body))
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	l.over()
}
