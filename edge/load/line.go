package load

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
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
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	timeout time.Duration
	rate    int64 // bits a second; 0: no limit
	now     func() time.Time
	scratch *sync.Pool // of what bodies are read into: few are read at a time

	mu   sync.Mutex
	conn net.Conn // nil: none; only the listener changes it, under mu
	dead bool     // cut; guarded by mu

	origin string // where conn leads
	out    []byte
	in     *bufio.Reader
	used   bool // conn has carried an answer
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
	text      []byte // of a playlist, as it came
	zipped    bool   // text is compressed
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
	origin, _ := cutOrigin(address)
	_, err := l.connect(ctx, origin)
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
// as it came, and of sound nothing. A kept connection that the other side has closed meanwhile is
// replaced once.
func (l *line) get(ctx context.Context, address string, text bool) (answer, error) {
	origin, target := cutOrigin(address)
	for {
		kept := l.used && l.origin == origin
		a, err := l.try(ctx, origin, target, text)
		if err == nil {
			return a, nil
		}
		l.hangUp()
		if !kept || a.firstByte > 0 || ctx.Err() != nil {
			return a, err
		}
	}
}

func (l *line) try(ctx context.Context, origin, target string, text bool) (a answer, err error) {
	began := l.now()
	conn, err := l.connect(ctx, origin)
	if err != nil {
		return a, err
	}
	if err := conn.SetDeadline(time.Now().Add(l.timeout)); err != nil {
		return a, err
	}
	if _, err := conn.Write(l.request(target, text)); err != nil {
		return a, err
	}
	if _, err := l.in.Peek(1); err != nil {
		return a, err
	}
	a.firstByte = max(l.now().Sub(began), 1)
	h, err := readHead(l.in)
	if err != nil {
		return a, err
	}
	a.status, a.zipped, a.cache, a.retry = h.status, h.zipped, h.cache, h.retryAfter
	if err := l.receive(ctx, conn, h, text, &a); err != nil {
		return a, err
	}
	a.took, l.used = l.now().Sub(began), true
	if h.closes || h.length < 0 && !h.chunked {
		l.hangUp()
	}
	return a, nil
}

// request is a request for target, good until the next one.
func (l *line) request(target string, text bool) []byte {
	_, host, _ := strings.Cut(l.origin, "://")
	b := append(append(l.out[:0], "GET "...), target...)
	b = append(append(b, " HTTP/1.1\r\nHost: "...), host...)
	b = append(b, "\r\nUser-Agent: melodyud-bench\r\n"...)
	if text {
		b = append(b, "Accept-Encoding: gzip\r\n"...)
	}
	l.out = append(b, "\r\n"...)
	return l.out
}

// connect returns the connection to an origin.
func (l *line) connect(ctx context.Context, origin string) (net.Conn, error) {
	if l.conn != nil && l.origin == origin {
		return l.conn, nil
	}
	l.hangUp()
	u, err := url.Parse(origin)
	if err != nil {
		return nil, err
	}
	conn, err := l.reach(ctx, u)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		_ = conn.Close()
		return nil, context.Canceled
	}
	l.conn, l.origin = conn, origin
	if l.in == nil {
		l.in = bufio.NewReaderSize(nil, lineBuffer)
	}
	l.in.Reset(conn)
	return conn, nil
}

// reach connects to u's host.
func (l *line) reach(ctx context.Context, u *url.URL) (net.Conn, error) {
	port := u.Port()
	if port == "" {
		port = u.Scheme // a name of a port, too
	}
	conn, err := l.dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil || u.Scheme != "https" {
		return conn, err
	}
	sealed := tls.Client(conn, &tls.Config{ServerName: u.Hostname(), NextProtos: []string{"http/1.1"}})
	if err := sealed.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return sealed, nil
}

// receive reads a body to its end.
func (l *line) receive(ctx context.Context, conn net.Conn, h head, text bool, a *answer) (err error) {
	body := h.body(l.in)
	if h.status >= http.StatusBadRequest {
		raw, err := io.ReadAll(io.LimitReader(body, mostText))
		a.bytes, a.code = int64(len(raw)), attributeJSON(string(raw), "code")
		return err
	}
	if !text {
		a.bytes, err = l.discard(ctx, conn, body)
		return err
	}
	if a.text, err = io.ReadAll(io.LimitReader(body, mostText)); err != nil {
		return err
	}
	a.bytes = int64(len(a.text))
	_, err = io.Copy(io.Discard, body)
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
		_ = conn.SetDeadline(time.Now().Add(l.timeout)) // what is wrong with it shows when it is read
		if l.rate > 0 {
			pause(ctx, time.Duration(float64(n*8)/float64(l.rate)*float64(time.Second))-l.now().Sub(began))
		}
	}
}
