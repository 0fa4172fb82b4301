package httpcache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/melodyud/melodyud/edge/httpcache"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// says is an answer of the origin.
type says struct {
	status int      // 0: 200; -1: it cannot be reached
	fields []string // "Name: value"
	body   string
	parts  []string // instead of body: of unknown length, one a second
	cut    bool     // the body breaks off before its end
}

// origin is the server behind the cache: it answers in turn and counts.
type origin struct {
	mu    sync.Mutex
	turns []says
	asked []*http.Request
}

func (o *origin) will(s ...says) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.turns = append(o.turns, s...)
}

func (o *origin) seen() []*http.Request {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked
}

func (o *origin) left() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.turns)
}

// RoundTrip implements http.RoundTripper.
func (o *origin) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, r)
	if len(o.turns) == 0 {
		return nil, fmt.Errorf("the origin was asked once too often: %s %s", r.Method, r.URL)
	}
	s := o.turns[0]
	o.turns = o.turns[1:]
	if s.status < 0 {
		return nil, errors.New("connection refused")
	}
	return s.response(r), nil
}

func (s says) response(r *http.Request) *http.Response {
	a := &http.Response{
		StatusCode: max(s.status, 200), Header: fields(s.fields), Request: r,
		Body: io.NopCloser(strings.NewReader(s.body)), ContentLength: int64(len(s.body)),
	}
	if s.status == 0 {
		a.StatusCode = http.StatusOK
	}
	if s.parts != nil {
		a.Body, a.ContentLength = io.NopCloser(&slow{ctx: r.Context(), parts: slices.Clone(s.parts)}), -1
	}
	if s.cut {
		a.Body = io.NopCloser(io.MultiReader(strings.NewReader(s.body[:len(s.body)/2]), &slow{err: io.ErrUnexpectedEOF}))
	}
	if s.parts == nil && a.StatusCode != http.StatusNotModified && a.StatusCode != http.StatusNoContent {
		a.Header.Set("Content-Length", strconv.Itoa(len(s.body)))
	}
	if a.Header.Get("Date") == "" {
		a.Header.Set("Date", httpDate(0))
	}
	if r.Method == http.MethodHead || a.StatusCode == http.StatusNotModified {
		a.Body = http.NoBody
	}
	return a
}

// slow gives one part a second, and then an error.
type slow struct {
	ctx   context.Context
	parts []string
	err   error
}

// Read implements io.Reader.
func (s *slow) Read(p []byte) (int, error) {
	if len(s.parts) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		return 0, io.EOF
	}
	select {
	case <-time.After(time.Second):
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	}
	n := copy(p, s.parts[0])
	if s.parts[0] = s.parts[0][n:]; s.parts[0] == "" {
		s.parts = s.parts[1:]
	}
	return n, nil
}

func fields(lines []string) http.Header {
	h := make(http.Header)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}

// httpDate is so many seconds from now.
func httpDate(seconds int) string {
	return time.Now().Add(time.Duration(seconds) * time.Second).UTC().Format(http.TimeFormat)
}

// bench is a cache before an origin, in a bubble of time.
type bench struct {
	*httpcache.Cache
	origin *origin
}

func newBench(t *testing.T, with func(*httpcache.Config)) bench {
	t.Helper()
	o := &origin{}
	c := httpcache.Config{Origin: &url.URL{Scheme: "http", Host: "origin.test"}, Transport: o}
	if with != nil {
		with(&c)
	}
	cache, err := httpcache.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cache.Close)
	return bench{cache, o}
}

// ask sends "METHOD /path" with fields. A response that is cut off has status -1.
func (b bench) ask(t *testing.T, what string, lines ...string) (answer *http.Response, body string) {
	t.Helper()
	method, path, _ := strings.Cut(what, " ")
	r := httptest.NewRequest(method, path, nil)
	r.Header = fields(lines)
	w := httptest.NewRecorder()
	func() {
		defer func() {
			if e := recover(); e != nil && e != http.ErrAbortHandler {
				panic(e)
			} else if e != nil {
				w.Code = -1
			}
		}()
		b.ServeHTTP(w, r)
	}()
	answer = w.Result()
	answer.StatusCode = w.Code
	return answer, w.Body.String()
}

// step is one request and what must come of it.
type step struct {
	after time.Duration // the last one
	ask   string        // default "GET /x"
	with  []string      // its fields
	says  *says         // what the origin answers; nil: it is not asked
	then  *says         // and when it is asked again
	sees  []string      // fields the origin gets: "Name: value", or "!Name" for none
	gets  string        // "status body"
	has   []string      // fields of the answer, written like sees
}

func (s step) run(t *testing.T, b bench) {
	t.Helper()
	time.Sleep(s.after)
	if s.ask == "" {
		s.ask = "GET /x"
	}
	before := len(b.origin.seen())
	if s.says != nil {
		b.origin.will(*s.says)
	}
	if s.then != nil {
		b.origin.will(*s.then)
	}
	answer, body := b.ask(t, s.ask, s.with...)
	synctest.Wait()
	if got := fmt.Sprintf("%d %s", answer.StatusCode, body); s.gets != "" && strings.TrimSpace(got) != s.gets {
		t.Errorf("got %q, want %q", got, s.gets)
	}
	compare(t, "answer", answer.Header, s.has)
	asked := b.origin.seen()[before:]
	if want := s.says != nil; want != (len(asked) > 0) || b.origin.left() > 0 {
		t.Fatalf("the origin was asked %d times", len(asked))
	}
	if s.says != nil {
		compare(t, "request to the origin", asked[0].Header, s.sees)
	}
}

func compare(t *testing.T, of string, h http.Header, want []string) {
	t.Helper()
	for _, line := range want {
		name, value, some := strings.Cut(line, ": ")
		switch {
		case !some && h.Values(strings.TrimPrefix(name, "!")) != nil:
			t.Errorf("%s has %s %q", of, name[1:], h.Values(name[1:]))
		case some && strings.Join(h.Values(name), ", ") != value:
			t.Errorf("%s has %s %q, want %q", of, name, h.Values(name), value)
		}
	}
}

// story is one rule told in requests.
type story struct {
	rule  string
	with  func(*httpcache.Config)
	steps []step
}

func tell(t *testing.T, stories []story) {
	t.Helper()
	for _, s := range stories {
		t.Run(s.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, s.with)
				for _, one := range s.steps {
					one.run(t, b)
				}
			})
		})
	}
}

// fresh is an answer that may be used for a minute.
func fresh(body string, more ...string) *says {
	return &says{fields: append([]string{"Cache-Control: max-age=60"}, more...), body: body}
}
