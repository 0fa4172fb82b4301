package load_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is a small edge behind connections within the process: tracks of two
// qualities and ten segments of three seconds. Its time is the test's.
type service struct {
	conns    chan net.Conn
	closed   chan struct{}
	requests atomic.Int64
	starts   [4]atomic.Int64
	high     atomic.Int64                   // requests for the higher quality
	answer   func(path string, n int64) int // a status to answer instead; 0: none
}

// inTime runs a test of a service in time of its own.
func inTime(t *testing.T, test func(t *testing.T, s *service)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &service{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: s, ErrorLog: log.New(io.Discard, "", 0)}
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(s) }()
		test(t, s)
		_ = server.Close()
		<-ended
		time.Sleep(time.Hour) // for handlers that sleep
	})
}

func (s *service) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

func (s *service) Close() error   { close(s.closed); return nil }
func (s *service) Addr() net.Addr { return &net.TCPAddr{} }

func (s *service) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case s.conns <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, path := s.requests.Add(1), r.URL.Path
	time.Sleep(time.Millisecond)
	if strings.Contains(path, "/high/") {
		s.high.Add(1)
	}
	if s.answer != nil {
		if status := s.answer(path, n); status != 0 {
			w.WriteHeader(status)
			fmt.Fprint(w, `{"status":503,"code":"playback.unavailable","detail":"…"}`)
			return
		}
	}
	switch {
	case strings.HasSuffix(path, "/index.m3u8") && strings.Count(path, "/") == 2:
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		fmt.Fprint(z, "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9000000,CODECS=\"fLaC,x\",AUDIO=\"a\"\nhigh/index.m3u8\n"+
			"#EXT-X-STREAM-INF:CODECS=\"mp4a.40.2\",BANDWIDTH=70000\nlow/index.m3u8\n")
	case strings.HasSuffix(path, ".m3u8"):
		fmt.Fprint(w, "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI=\"init.mp4\"\n")
		for i := range 10 {
			fmt.Fprintf(w, "#EXTINF:3.000,\ns/%d.m4s\n", i)
		}
		_ = http.NewResponseController(w).Flush() // chunked from here on
		fmt.Fprint(w, "#EXT-X-ENDLIST\n")
	case strings.HasSuffix(path, "init.mp4"):
		w.Header().Set("Connection", "close")
		_, _ = w.Write(make([]byte, 700))
	default:
		status := "origin; hit, e; fwd=uri-miss"
		if n%2 == 0 {
			status = "e; hit"
		}
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Cache-Status", status)
		_, _ = w.Write(make([]byte, 20_000))
	}
}

// config is of some listeners for a minute.
func (s *service) config(listeners int) load.Config {
	return load.Config{
		Tracks: len(s.starts), Listeners: listeners, For: time.Minute, Dial: s.dial, Zipf: 1,
		Start: func(_ context.Context, track int) (string, error) {
			s.starts[track].Add(1)
			return fmt.Sprintf("http://edge/%d/index.m3u8", track), nil
		},
	}
}

func run(t *testing.T, c load.Config) load.Report {
	t.Helper()
	r, err := load.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestListenersPlayInRealTime(t *testing.T) {
	inTime(t, func(t *testing.T, s *service) {
		c := s.config(20)
		c.Skips = 0.3
		seconds := 0
		c.Progress = func(one load.Second) {
			if seconds++; one.Listeners != 20 || !strings.Contains(one.String(), "20 listeners") {
				t.Errorf("%s", one)
			}
		}
		r := run(t, c)
		// Twenty listeners hear twenty minutes in a minute, but for the start-ups.
		if heard := r.PlayHours * 60; heard > 20 || heard < 19.9 || seconds < 59 {
			t.Errorf("%.3f minutes heard, %d seconds told", heard, seconds)
		}
		if r.FailedPlays != 0 || len(r.Errors) != 0 || r.Stalls != 0 || r.Held != 20 || r.Broke != 0 || r.Completed < 10 || r.Skipped < 5 {
			t.Errorf("%+v", r)
		}
		if r.HitRatio < 0.3 || r.HitRatio > 0.7 || r.Startup.N != r.Plays || r.Startup.P50 < 4 || r.Startup.P50 > 4.2 {
			t.Errorf("hit ratio %v, start-up %+v of four requests of 1 ms", r.HitRatio, r.Startup)
		}
		if s.starts[0].Load() <= s.starts[3].Load() {
			t.Errorf("the first track was wanted %d times, the fourth %d", s.starts[0].Load(), s.starts[3].Load())
		}
		if raw, err := json.Marshal(r); err != nil || !bytes.Contains(raw, []byte(`"stalls_per_hour"`)) {
			t.Errorf("%s, %v", raw, err)
		}
	})
}

func TestTheSameListenersDoTheSame(t *testing.T) {
	inTime(t, func(t *testing.T, s *service) {
		c := s.config(1)
		c.Skips, c.Think, c.Seed = 0.5, time.Second, 7
		first, second := run(t, c), run(t, c)
		if first.Plays != second.Plays || first.Requests != second.Requests || first.PlayHours != second.PlayHours {
			t.Errorf("%+v\n%+v", first, second)
		}
	})
}

func TestAnEdgeThatIsTooSlowStallsItsListeners(t *testing.T) { // standards §5.6
	inTime(t, func(t *testing.T, s *service) {
		s.answer = func(path string, _ int64) int {
			if strings.HasSuffix(path, ".m4s") {
				time.Sleep(4 * time.Second) // for three of sound; the first is start-up
			}
			return 0
		}
		r := run(t, s.config(3))
		if r.StallRatio < 0.23 || r.StallRatio > 0.25 || r.Stalls < 3*9 || r.Held != 0 {
			t.Errorf("%d stalls, %.3f of the time, %d held", r.Stalls, r.StallRatio, r.Held)
		}
		if hours := r.PlayHours; r.StallsPerHour != float64(r.Stalls)/hours {
			t.Errorf("%v in an hour", r.StallsPerHour)
		}
	})
}

func TestTheNumberAtWhichItBreaksIsTold(t *testing.T) {
	inTime(t, func(t *testing.T, s *service) {
		began := time.Now()
		s.answer = func(path string, _ int64) int {
			if time.Since(began) > 30*time.Second && strings.HasSuffix(path, ".m4s") {
				return http.StatusServiceUnavailable
			}
			return 0
		}
		c := s.config(60)
		c.Ramp = time.Minute // one a second
		r := run(t, c)
		if r.Held < 20 || r.Held > 31 || r.Broke < 30 || r.Broke > 36 {
			t.Errorf("held %d, broke at %d, with an edge that fails when 30 have come", r.Held, r.Broke)
		}
	})
}

func TestASlowLineTakesALowQuality(t *testing.T) {
	inTime(t, func(t *testing.T, s *service) {
		c := s.config(2)
		c.Line = 4_000_000
		if r := run(t, c); s.high.Load() != 0 || r.AverageBitRate != 70000 || r.SwitchesPerMinute != 0 {
			t.Errorf("%d requests for more than the line carries, %v bit/s", s.high.Load(), r.AverageBitRate)
		}
		c.Line = 0
		if r := run(t, c); s.high.Load() == 0 || r.SwitchesPerMinute == 0 {
			t.Error("nobody took what a fast line carries")
		}
	})
}

func TestWhatFailsIsAskedForAgainAndCounted(t *testing.T) {
	inTime(t, func(t *testing.T, s *service) {
		s.answer = func(_ string, n int64) int {
			if n == 2 {
				return http.StatusServiceUnavailable
			}
			return 0
		}
		r := run(t, s.config(1))
		if r.Errors["503 playback.unavailable"] != 1 || r.FailedPlays != 0 || r.Completed == 0 {
			t.Errorf("%+v", r)
		}
		s.answer = func(string, int64) int { return http.StatusForbidden }
		c := s.config(1)
		c.Think = time.Second
		if r := run(t, c); r.FailedPlays < 10 || r.Completed != 0 || r.Held != 0 || r.Errors["403 playback.unavailable"] != r.Requests {
			t.Errorf("%+v", r)
		}
	})
}

func TestASilentEdgeIsATimeout(t *testing.T) {
	inTime(t, func(t *testing.T, s *service) {
		s.answer = func(string, int64) int { time.Sleep(time.Minute); return 0 }
		r := run(t, s.config(1))
		if r.Errors["timeout"] < 4 || len(r.Errors) != 1 {
			t.Errorf("%v", r.Errors)
		}
	})
}

func TestAnEdgeThatIsNotThereIsAnErrorToCount(t *testing.T) {
	inTime(t, func(t *testing.T, s *service) {
		c := s.config(5)
		c.Dial = func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
		}
		r := run(t, c)
		if n := r.Errors["connection refused"]; n != r.Requests || n == 0 {
			t.Errorf("%v of %d requests", r.Errors, r.Requests)
		}
	})
}

func TestTheEndOfTheContextEndsTheRun(t *testing.T) {
	inTime(t, func(t *testing.T, s *service) {
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
		defer stop()
		c := s.config(3)
		c.For = time.Hour
		r, err := load.Run(ctx, c)
		if err != nil || r.Requests == 0 || r.Seconds != 5 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestAHerdStartsTogether(t *testing.T) {
	inTime(t, func(t *testing.T, s *service) {
		r, err := load.Herd(t.Context(), s.config(50))
		if err != nil || r.Startup.N != 50 || r.FirstByte.N != 100 || len(r.Errors) != 0 || r.Startup.Max > 4.2 {
			t.Errorf("%+v, %v", r, err)
		}
		if n := s.requests.Load(); n != 200 {
			t.Errorf("%d requests of 50 listeners for two playlists, an init segment and a segment", n)
		}
	})
}

func TestWhatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	ok := func(context.Context, int) (string, error) { return "", nil }
	for name, c := range map[string]load.Config{
		"no tracks":     {Start: ok},
		"no start":      {Tracks: 1},
		"skips":         {Tracks: 1, Start: ok, Skips: 1.1},
		"negative":      {Tracks: 1, Start: ok, Listeners: -1},
		"no files left": {Tracks: 1, Start: ok, Listeners: 1 << 30},
	} {
		if _, err := load.Run(t.Context(), c); !errors.Is(err, melodyud.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
