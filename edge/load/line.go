package load

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// line is one listener's connection: HTTP/1.1, kept open, in the listener's own
// goroutine. A general client takes two more goroutines and several times the memory.
type line struct {
	timeout time.Duration
	rate    int64 // bits a second; 0: no limit
	now     func() time.Time
	scratch *sync.Pool // of what bodies are read into: few are read at a time

	mu   sync.Mutex
	conn net.Conn // nil: none; only the listener changes it, under mu
	dead bool     // cut; guarded by mu

	host string // where conn leads
	in   *bufio.Reader
	used bool // conn has carried an answer
}

const (
	lineBuffer = 2 << 10  // bytes read at a time for headers
	chunk      = 16 << 10 // bytes of a body read at a time
	mostText   = 4 << 20  // bytes of a playlist
)

// answer is what a request brought.
type answer struct {
	status    int
	code      string // of a problem
	bytes     int64
	text      []byte // of a playlist
	cache     string // Cache-Status
	retry     string // Retry-After
	firstByte time.Duration
	took      time.Duration
}

// cut ends the connection, also while it is waited for.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = true
	if l.conn != nil {
		_ = l.conn.Close()
	}
}

// prepare connects without asking for anything. Should the other side close the
// connection for that, the first request makes another.
func (l *line) prepare(ctx context.Context, address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	_, err = l.connect(ctx, u)
	l.used = err == nil
	return err
}

// hangUp gives the connection up.
func (l *line) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		_ = l.conn.Close()
	}
	l.conn, l.used = nil, false
}

// get asks for an address. What is kept of the answer is its text if that is wanted,
// and of sound nothing. A kept connection that the other side has closed meanwhile is
// replaced once.
func (l *line) get(ctx context.Context, address string, text bool) (answer, error) {
	u, err := url.Parse(address)
	if err != nil {
		return answer{}, err
	}
	for {
		kept := l.used && l.host == u.Host
		a, err := l.try(ctx, u, text)
		if err == nil {
			return a, nil
		}
		l.hangUp()
		if !kept || a.firstByte > 0 || ctx.Err() != nil {
			return a, err
		}
	}
}

func (l *line) try(ctx context.Context, u *url.URL, text bool) (a answer, err error) {
	began := l.now()
	conn, err := l.connect(ctx, u)
	if err != nil {
		return a, err
	}
	if err := conn.SetDeadline(time.Now().Add(l.timeout)); err != nil {
		return a, err
	}
	encoding := ""
	if text {
		encoding = "Accept-Encoding: gzip\r\n"
	}
	if _, err := io.WriteString(conn, "GET "+u.RequestURI()+" HTTP/1.1\r\nHost: "+u.Host+"\r\nUser-Agent: melodyud-bench\r\n"+encoding+"\r\n"); err != nil {
		return a, err
	}
	if _, err := l.in.Peek(1); err != nil {
		return a, err
	}
	a.firstByte = max(l.now().Sub(began), 1)
	res, err := l.response()
	if err != nil {
		return a, err
	}
	defer res.Body.Close()
	a.status, a.cache, a.retry = res.StatusCode, res.Header.Get("Cache-Status"), res.Header.Get("Retry-After")
	if err := l.receive(ctx, conn, res, text, &a); err != nil {
		return a, err
	}
	a.took, l.used = l.now().Sub(began), true
	if res.Close {
		l.hangUp()
	}
	return a, nil
}

// response reads the head of the final answer.
func (l *line) response() (*http.Response, error) {
	for {
		res, err := http.ReadResponse(l.in, nil)
		if err != nil || res.StatusCode >= http.StatusOK {
			return res, err
		}
	}
}

// connect returns the connection to u's host.
func (l *line) connect(ctx context.Context, u *url.URL) (net.Conn, error) {
	if l.conn != nil && l.host == u.Host {
		return l.conn, nil
	}
	l.hangUp()
	conn, err := dial(ctx, u, l.timeout)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		_ = conn.Close()
		return nil, context.Canceled
	}
	l.conn, l.host = conn, u.Host
	if l.in == nil {
		l.in = bufio.NewReaderSize(nil, lineBuffer)
	}
	l.in.Reset(conn)
	return conn, nil
}

func dial(ctx context.Context, u *url.URL, timeout time.Duration) (net.Conn, error) {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	d := &net.Dialer{Timeout: timeout, KeepAlive: -1}
	address := net.JoinHostPort(u.Hostname(), port)
	if u.Scheme == "https" {
		return (&tls.Dialer{NetDialer: d, Config: &tls.Config{ServerName: u.Hostname(), NextProtos: []string{"http/1.1"}}}).DialContext(ctx, "tcp", address)
	}
	return d.DialContext(ctx, "tcp", address)
}

// receive reads a body to its end.
func (l *line) receive(ctx context.Context, conn net.Conn, res *http.Response, text bool, a *answer) (err error) {
	if res.StatusCode >= http.StatusBadRequest {
		raw, err := io.ReadAll(io.LimitReader(res.Body, mostText))
		a.bytes, a.code = int64(len(raw)), attributeJSON(string(raw), "code")
		return err
	}
	if !text {
		a.bytes, err = l.discard(ctx, conn, res.Body)
		return err
	}
	var body io.Reader = res.Body
	if strings.EqualFold(res.Header.Get("Content-Encoding"), "gzip") {
		if body, err = gzip.NewReader(res.Body); err != nil {
			return fmt.Errorf("playlist: %w", err)
		}
	}
	if a.text, err = io.ReadAll(io.LimitReader(body, mostText)); err != nil {
		return err
	}
	a.bytes = int64(len(a.text))
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

// attributeJSON finds a string in a JSON object without reading the rest.
func attributeJSON(object, name string) string {
	_, rest, _ := strings.Cut(object, `"`+name+`":`)
	_, rest, _ = strings.Cut(rest, `"`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// discard reads as fast as the listener's line allows.
func (l *line) discard(ctx context.Context, conn net.Conn, body io.Reader) (n int64, err error) {
	room, ok := l.scratch.Get().(*[chunk]byte)
	if !ok {
		room = new([chunk]byte)
	}
	defer l.scratch.Put(room)
	began := l.now()
	for {
		got, err := body.Read(room[:])
		n += int64(got)
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if err := conn.SetDeadline(time.Now().Add(l.timeout)); err != nil {
			return n, err
		}
		if l.rate > 0 {
			pause(ctx, time.Duration(float64(n*8)/float64(l.rate)*float64(time.Second))-l.now().Sub(began))
		}
	}
}
