package httpcache_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/melodyud/melodyud/edge/httpcache"
)

// EDGE-8, EDGE-16.
func TestACrowdIsOneRequestToTheOriginAndReadsWhileItArrives(t *testing.T) {
	t.Parallel()
	for name, length := range map[string]bool{"of known length": true, "of unknown length": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil)
				s := says{fields: []string{"Cache-Control: max-age=60"}, parts: []string{"one ", "two ", "three"}}
				if length {
					s.fields = append(s.fields, "Content-Length: 13")
				}
				b.origin.will(s)
				var crowd sync.WaitGroup
				var collapsed atomic.Int32
				for range 100 {
					crowd.Go(func() {
						answer, body := b.ask(t, "GET /x")
						if answer.StatusCode != 200 || body != "one two three" {
							t.Errorf("got %d %q", answer.StatusCode, body)
						}
						if strings.HasSuffix(answer.Header.Get("Cache-Status"), "; fwd=uri-miss; fwd-status=200; collapsed") {
							collapsed.Add(1)
						}
					})
				}
				crowd.Wait()
				if n := len(b.origin.seen()); n != 1 || collapsed.Load() != 99 {
					t.Errorf("%d requests to the origin, %d collapsed", n, collapsed.Load())
				}
			})
		})
	}
}

func TestALeaderWhoHangsUpEndsNothingForOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.origin.will(says{fields: []string{"Cache-Control: max-age=60"}, parts: []string{"one ", "two"}})
		ctx, hangUp := context.WithCancel(t.Context())
		var both sync.WaitGroup
		both.Go(func() {
			defer func() { _ = recover() }() // net/http's way to cut a response
			b.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/x", nil).WithContext(ctx))
		})
		synctest.Wait()
		both.Go(func() {
			if answer, body := b.ask(t, "GET /x"); body != "one two" {
				t.Errorf("got %d %q", answer.StatusCode, body)
			}
		})
		synctest.Wait()
		hangUp()
		both.Wait()
		if n := len(b.origin.seen()); n != 1 {
			t.Errorf("%d requests to the origin", n)
		}
	})
}

func TestFollowersOfAnAnswerThatIsNotForThemGoByThemselves(t *testing.T) {
	t.Parallel()
	private := says{fields: []string{"Cache-Control: private"}, parts: []string{"mine"}}
	for name, c := range map[string]struct {
		answer says
		asked  int
	}{
		"private":              {private, 10},
		"failed":               {says{status: 503, body: "down"}, 10},
		"outgrows the store":   {says{fields: []string{"Cache-Control: max-age=60"}, parts: []string{strings.Repeat("x", 600), strings.Repeat("y", 600)}}, 10},
		"broken":               {says{fields: []string{"Cache-Control: max-age=60"}, body: "one two", cut: true}, 0},
		"varies by the client": {says{fields: []string{"Cache-Control: max-age=60", "Vary: Client"}, parts: []string{"yours"}}, 10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, func(c *httpcache.Config) { c.Object = 1000 })
				for range 10 {
					b.origin.will(c.answer)
				}
				var crowd sync.WaitGroup
				for i := range 10 {
					crowd.Go(func() {
						if _, body := b.ask(t, "GET /x", fmt.Sprintf("Client: %d", i)); body != c.answer.body+strings.Join(c.answer.parts, "") && !c.answer.cut {
							t.Errorf("got %q", body)
						}
					})
				}
				crowd.Wait()
				if n := len(b.origin.seen()); c.asked > 0 && n != c.asked {
					t.Errorf("%d requests to the origin, want %d", n, c.asked)
				}
			})
		})
	}
}

// What nobody may store makes nobody wait, either, from then on.
func TestAddressesThatAreNeverStoredAreNotCollapsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		mine := says{fields: []string{"Cache-Control: no-store", `ETag: "a"`}, parts: []string{"mine"}}
		b.origin.will(mine, mine, mine)
		b.ask(t, "GET /x")
		began := time.Now()
		var two sync.WaitGroup
		for range 2 {
			two.Go(func() { b.ask(t, "GET /x", `If-None-Match: "b"`) })
		}
		two.Wait()
		if took := time.Since(began); took != time.Second { // of the bubble: both at once
			t.Errorf("two requests took %s", took)
		}
		if got := b.origin.seen()[2].Header.Get("If-None-Match"); got != `"b"` {
			t.Errorf("the client's own condition became %q", got)
		}
	})
}

func TestASilentOriginIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *httpcache.Config) {
			c.Silence = 10 * time.Second
			c.Transport = silent{}
		})
		answer, _ := b.ask(t, "GET /x")
		if answer.StatusCode != http.StatusGatewayTimeout || time.Since(timeOf(0)) != 10*time.Second {
			t.Errorf("%d after %s", answer.StatusCode, time.Since(timeOf(0)))
		}
	})
}

type silent struct{}

// RoundTrip implements http.RoundTripper.
func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// A change while an old answer is still arriving: RFC 9111 §4.4.
func TestWhatArrivesWhileItChangesIsNotStored(t *testing.T) {
	t.Parallel()
	for name, alone := range map[string]bool{"for all": false, "for one": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil)
				if alone { // an address whose answers were not for the store
					b.origin.will(says{fields: []string{"Cache-Control: no-store"}})
					b.ask(t, "GET /x")
				}
				b.origin.will(says{fields: []string{"Cache-Control: max-age=60"}, parts: []string{"old"}}, says{status: 204}, *fresh("new"))
				var first sync.WaitGroup
				first.Go(func() { b.ask(t, "GET /x") })
				synctest.Wait()
				b.ask(t, "PUT /x")
				first.Wait()
				if _, body := b.ask(t, "GET /x"); body != "new" {
					t.Errorf("got %q", body)
				}
			})
		})
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c *httpcache.Cache
		b := newBench(t, func(c *httpcache.Config) { c.Bytes = 100_000 })
		c = b.Cache
		for i := range 500 {
			b.origin.will(*fresh(strings.Repeat("x", 5000), "Vary: Foo"))
			b.ask(t, fmt.Sprintf("GET /%d", i/50), fmt.Sprintf("Foo: %d", i))
		}
		if got := httpcache.StoredBytes(c); got > 100_000 || got < 5000 {
			t.Errorf("%d bytes are stored", got)
		}
	})
}

func TestRequestsThatCouldMeanAnotherPathAreRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		for what, want := range map[string]int{
			"GET /a/../b": 400, "GET /a/%2e%2e/b": 400, "GET /./a": 400, `GET /a/..\b`: 400, "TRACE /": 405, "CONNECT /": 405,
		} {
			if answer, _ := b.ask(t, what); answer.StatusCode != want {
				t.Errorf("%s: %d, want %d", what, answer.StatusCode, want)
			}
		}
	})
}

func TestAnOriginThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "files.example.com", "ftp://example.com", "http://", "http://u:p@example.com", "http://example.com/?a=b"} {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := httpcache.New(httpcache.Config{Origin: u}); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}

// live is a cache before a real server.
func live(t *testing.T, path string, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	behind := httptest.NewServer(h)
	t.Cleanup(behind.Close)
	u, err := url.Parse(behind.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := httpcache.New(httpcache.Config{Origin: u})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(c)
	t.Cleanup(func() { front.Close(); c.Close() })
	return front
}

// RFC 9110 §15.2; RFC 8297.
func TestInterimResponsesAreForwardedAndNotStored(t *testing.T) {
	t.Parallel()
	front := live(t, "", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		w.WriteHeader(http.StatusProcessing)
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, "one")
	})
	for _, want := range []string{"[103 </style.css>; rel=preload 102 ]", "[]"} {
		var got []string
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			got = append(got, fmt.Sprint(code), h.Get("Link"))
			return nil
		}}
		r, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", front.URL, nil)
		answer, err := front.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if fmt.Sprint(got) != want || answer.Header.Get("Link") != "" {
			t.Errorf("got %s and %v, want %s", got, answer.Header, want)
		}
	}
}

func TestBodiesPassBothWaysAndPathsAsTheyAre(t *testing.T) {
	t.Parallel()
	front := live(t, "/base%2Fdir/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.RequestURI, body, r.Header.Get("User-Agent"))
		w.Header().Set(http.TrailerPrefix+"Sum", "1")
	})
	r, _ := http.NewRequestWithContext(t.Context(), "POST", front.URL+"/a%2Fb/?x=%20&y", strings.NewReader("ping"))
	r.Header.Set("User-Agent", "")
	answer, err := front.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	got, _ := io.ReadAll(answer.Body)
	if want := "POST /base%2Fdir/a%2Fb/?x=%20&y ping "; string(got) != want || len(answer.Trailer) != 0 {
		t.Errorf("got %q %v, want %q", got, answer.Trailer, want)
	}
}

// A body that comes slowly is sent on as it comes, stored or not (EDGE-16).
func TestTheFirstByteDoesNotWaitForTheLast(t *testing.T) {
	t.Parallel()
	for _, control := range []string{"max-age=60", "no-store"} {
		more := make(chan struct{})
		front := live(t, "", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", control)
			_, _ = io.WriteString(w, "one\n")
			_ = http.NewResponseController(w).Flush()
			<-more
			_, _ = io.WriteString(w, "two\n")
		})
		answer, err := front.Client().Get(front.URL)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(answer.Body)
		if one, _ := lines.ReadString('\n'); one != "one\n" {
			t.Errorf("%s: got %q", control, one)
		}
		close(more)
		if two, _ := lines.ReadString('\n'); two != "two\n" {
			t.Errorf("%s: got %q", control, two)
		}
		_ = answer.Body.Close()
	}
}

// A response that breaks off at the origin must not look whole to the client.
func TestACutResponseIsCutForTheClientToo(t *testing.T) {
	t.Parallel()
	for _, control := range []string{"max-age=60", "no-store"} {
		front := live(t, "", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", control)
			_, _ = io.WriteString(w, "one")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		})
		answer, err := front.Client().Get(front.URL)
		if err != nil {
			continue // cut before its header was out
		}
		if got, err := io.ReadAll(answer.Body); err == nil {
			t.Errorf("%s: %q looks whole", control, got)
		}
		_ = answer.Body.Close()
	}
}

// EDGE-16: what is sent to nobody is not held for ever.
func TestAClientThatTakesNothingIsCutOff(t *testing.T) {
	t.Parallel()
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, 1<<20)
		for range 64 { // more than any connection holds on its way
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	defer behind.Close()
	u, _ := url.Parse(behind.URL)
	c, err := httpcache.New(httpcache.Config{Origin: u, Silence: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ended := make(chan any, 1)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { ended <- recover() }()
		c.ServeHTTP(w, r)
	}))
	defer front.Close()
	client, err := net.Dial("tcp", front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if how := <-ended; how != http.ErrAbortHandler {
		t.Errorf("the answer ended with %v", how)
	}
}
