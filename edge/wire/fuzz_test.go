package wire_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/melodyud/melodyud/edge/wire"
)

// mirror answers with what it was asked, and with the sound like any handler.
func (s *shop) mirror() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == soundPath && (r.Method == "GET" || r.Method == "HEAD") {
			w.Header().Set("Content-Type", "audio/mp4")
			w.Header().Set("Content-Length", fmt.Sprint(len(s.sound)))
			w.Header().Set("From", "memory")
			w.Header().Set("Method", r.Method)
			_, _ = w.Write(s.sound)
			return
		}
		w.Header().Set("Method", r.Method)
		body, err := io.ReadAll(r.Body)
		var fields []string
		for name, values := range r.Header {
			if name != "Connection" { // the gate ends connections with it
				fields = append(fields, fmt.Sprintf("%s=%q", name, values))
			}
		}
		slices.Sort(fields)
		fmt.Fprintf(w, "%s %s %s %q %d %q %v %q", r.Method, r.RequestURI, r.Proto, r.Host, r.ContentLength, body, err != nil, fields)
	})
}

// exchange is one answer, or the end of the connection.
type exchange struct {
	status int
	header http.Header
	body   string
	closes bool
}

// talk sends text on a connection of its own and returns all answers.
func talk(t *testing.T, address string, text []byte) (all []exchange) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = c.Write(text) // the server may have closed
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	r := bufio.NewReader(c)
	for {
		if _, err := r.Peek(1); err != nil {
			return all
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("%q: %v after %d answers", text, err, len(all))
		}
		one := exchange{status: res.StatusCode, header: res.Header, closes: res.Close}
		if res.Header.Get("Method") == "HEAD" { // it says so itself
			res.Body = http.NoBody
		}
		body, err := io.ReadAll(res.Body)
		one.body = string(body)
		if err != nil {
			one.body += err.Error()
		}
		all = append(all, one)
	}
}

// same reports whether two answers differ in nothing but what is made anew for each.
func same(a, b exchange) bool {
	a.header, b.header = a.header.Clone(), b.header.Clone()
	for _, name := range []string{"Date", "X-Request-Id", "Connection"} {
		a.header.Del(name)
		b.header.Del(name)
	}
	return a.status == b.status && a.body == b.body && fmt.Sprint(a.header) == fmt.Sprint(b.header)
}

// FuzzWireAnswersLikeNetHTTP sends the same bytes to net/http alone and with the gate
// and the short way before it. The gate may refuse what net/http answers, and ends a
// connection then; all that it does answer is what net/http answers.
func FuzzWireAnswersLikeNetHTTP(f *testing.F) {
	s := &shop{sound: []byte("sound" + strings.Repeat("sound", 3000))}
	plain := listenPlain(f, s.mirror())
	gated, _, _ := serve(f, wire.Config{Source: s}, s.mirror())
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		want, got := talk(t, plain, text), talk(t, gated, text)
		for i, one := range got {
			if strings.Contains(one.body, `"code":"request.`) && one.closes {
				if i != len(got)-1 {
					t.Fatalf("%q: an answer behind a refusal", text)
				}
				return
			}
			if i >= len(want) || !same(one, want[i]) {
				t.Fatalf("%q: answer %d is %+.300v, net/http's are %+.600v", text, i, one, want)
			}
		}
		if len(got) < len(want) && want[len(got)].status < 400 && (len(got) == 0 || !got[len(got)-1].closes) {
			t.Fatalf("%q: %d answers, net/http gives %d", text, len(got), len(want))
		}
	})
}

func listenPlain(f *testing.F, h http.Handler) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10}
	served := make(chan struct{})
	go func() {
		_ = server.Serve(l) // ends with Close
		close(served)
	}()
	f.Cleanup(func() {
		server.Close()
		<-served
	})
	return l.Addr().String()
}

var seeds = []string{
	get + "\r\n",
	get + "\r\n" + get + "\r\n" + get + "Connection: close\r\n\r\n" + get + "\r\n",
	get + "X-Request-ID: 12345678\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nCookie: a=b\r\n\r\nGET /x?y=%20 HTTP/1.1\r\nHost: e\r\n\r\n",
	"HEAD " + soundPath + "?CMCD=bl%3D1 HTTP/1.1\r\nHost: e\r\n\r\n" + get + "\r\n",
	"POST /u HTTP/1.1\r\nHost: e\r\nContent-Length: 5\r\n\r\nhello" + get + "\r\n",
	"POST /u HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n" + get + "\r\n",
	"POST /u HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n" + get + "\r\n",
	"PUT /u HTTP/1.1\r\nHost: e\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
	"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
	"GET http://e/x HTTP/1.1\r\nHost: e\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: e\r\n\r\n",
	"GET / HTTP/1.1\nHost: e\n\n", "GET / HTTP/1.1\r\nHost: e\r\nX: a\r\n b\r\n\r\n", "GET / HTTP/1.1\r\nHost : e\r\n\r\n",
	get + "Range: bytes=0-1\r\n\r\n" + get + "Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
	"GET " + soundPath + "/.. HTTP/1.1\r\nHost: e\r\n\r\nGET //p/x HTTP/1.1\r\nHost: e\r\n\r\nGET /p/%74icket HTTP/1.1\r\nHost: e\r\n\r\n",
}
