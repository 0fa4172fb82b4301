package load_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is a small edge: tracks of two qualities and ten short segments.
type service struct {
	*httptest.Server
	requests atomic.Int64
	starts   [4]atomic.Int64
	fail     func(path string, n int64) int // a status to answer instead; 0: none
	segment  time.Duration
}

func open(t *testing.T) *service {
	t.Helper()
	s := &service{segment: 50 * time.Millisecond}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := s.requests.Add(1)
	if s.fail != nil {
		if status := s.fail(r.URL.Path, n); status != 0 {
			w.WriteHeader(status)
			fmt.Fprint(w, `{"status":503,"code":"playback.unavailable","detail":"…"}`)
			return
		}
	}
	switch path := r.URL.Path; {
	case strings.HasSuffix(path, "/index.m3u8") && strings.Count(path, "/") == 2:
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		fmt.Fprint(z, "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9000000,CODECS=\"fLaC,x\",AUDIO=\"a\"\nhigh/index.m3u8\n#EXT-X-STREAM-INF:CODECS=\"mp4a.40.2\",BANDWIDTH=70000\nlow/index.m3u8\n")
	case strings.HasSuffix(path, ".m3u8"):
		fmt.Fprint(w, "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI=\"init.mp4\"\n")
		for i := range 10 {
			fmt.Fprintf(w, "#EXTINF:%.3f,\ns/%d.m4s\n", s.segment.Seconds(), i)
		}
		fmt.Fprint(w, "#EXT-X-ENDLIST\n")
		_ = http.NewResponseController(w).Flush() // chunked
		fmt.Fprint(w, "# the end\n")
	case strings.HasSuffix(path, "init.mp4"):
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = w.Write(make([]byte, 700))
	default:
		status := "origin; hit, e; fwd=uri-miss"
		if n%2 == 0 {
			status = "e; hit"
		}
		w.Header().Set("Cache-Status", status)
		_, _ = w.Write(make([]byte, 20_000))
	}
}

func (s *service) start(_ context.Context, track int) (string, error) {
	s.starts[track].Add(1)
	return fmt.Sprintf("%s/%d/index.m3u8", s.URL, track), nil
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
	t.Parallel()
	s := open(t)
	r := run(t, load.Config{Tracks: 4, Start: s.start, Listeners: 20, For: 1500 * time.Millisecond, Zipf: 1, Skips: 0.3})
	if r.FailedPlays != 0 || len(r.Errors) != 0 {
		t.Errorf("%d plays failed: %v", r.FailedPlays, r.Errors)
	}
	// Twenty listeners for a second and a half hear at most half a minute.
	if heard := r.PlayHours * 3600; heard > 30 || heard < 3 || r.Completed == 0 || r.Skipped == 0 {
		t.Errorf("%.1f s heard in %d whole and %d skipped plays", heard, r.Completed, r.Skipped)
	}
	if r.HitRatio < 0.2 || r.HitRatio > 0.8 || r.Startup.N < r.Completed || r.Startup.P50 <= 0 || r.Startup.P50 > r.Startup.P99 {
		t.Errorf("hit ratio %v, startup %+v", r.HitRatio, r.Startup)
	}
	if s.starts[0].Load() <= s.starts[3].Load() {
		t.Errorf("the first track was wanted %d times, the fourth %d", s.starts[0].Load(), s.starts[3].Load())
	}
	if raw, err := json.Marshal(r); err != nil || !bytes.Contains(raw, []byte(`"stalls_per_hour"`)) {
		t.Errorf("%s, %v", raw, err)
	}
}

func TestAnEdgeThatIsTooSlowStallsItsListeners(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.fail = func(path string, _ int64) int {
		if strings.HasSuffix(path, ".m4s") && !strings.HasSuffix(path, "/0.m4s") {
			time.Sleep(4 * s.segment)
		}
		return 0
	}
	r := run(t, load.Config{Tracks: 1, Start: s.start, Listeners: 3, For: time.Second})
	if r.Stalls < 3 || r.StallRatio < 0.3 || r.StallRatio > 1 || r.StallsPerHour <= 0 {
		t.Errorf("%d stalls, %.2f of the time", r.Stalls, r.StallRatio)
	}
}

func TestASlowLineTakesALowQuality(t *testing.T) {
	t.Parallel()
	s := open(t)
	var high atomic.Int64
	s.fail = func(path string, _ int64) int {
		if strings.Contains(path, "/high/") {
			high.Add(1)
		}
		return 0
	}
	slow := load.Config{Tracks: 1, Start: s.start, Listeners: 2, For: 400 * time.Millisecond, Line: 4_000_000}
	if r := run(t, slow); high.Load() != 0 || r.AverageBitRate != 70000 {
		t.Errorf("%d requests for more than the line carries, %v bit/s", high.Load(), r.AverageBitRate)
	}
	slow.Line = 0
	if run(t, slow); high.Load() == 0 {
		t.Error("nobody took what a fast line carries")
	}
}

func TestWhatFailsIsAskedForAgainAndCounted(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.fail = func(path string, n int64) int {
		if n == 2 {
			return http.StatusServiceUnavailable
		}
		return 0
	}
	r := run(t, load.Config{Tracks: 1, Start: s.start, Listeners: 1, For: 2 * time.Second})
	if r.Errors["503 playback.unavailable"] != 1 || r.FailedPlays != 0 || r.Completed == 0 {
		t.Errorf("%+v", r)
	}
	s.fail = func(string, int64) int { return http.StatusForbidden }
	r = run(t, load.Config{Tracks: 1, Start: s.start, Listeners: 1, For: 300 * time.Millisecond, Think: 10 * time.Millisecond})
	if r.FailedPlays == 0 || r.Completed != 0 || r.Held != 0 {
		t.Errorf("%+v", r)
	}
}

func TestAnEdgeThatIsNotThereIsAnErrorToCount(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.Close()
	r := run(t, load.Config{Tracks: 1, Start: s.start, Listeners: 5, For: 200 * time.Millisecond})
	if len(r.Errors) != 1 || r.Requests == 0 {
		t.Errorf("%v", r.Errors)
	}
}

func TestTheEndOfTheContextEndsTheRun(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx, stop := context.WithCancel(t.Context())
	seconds := make(chan load.Second, 8)
	go func() {
		<-seconds
		stop()
	}()
	r, err := load.Run(ctx, load.Config{Tracks: 1, Start: s.start, Listeners: 3, For: time.Hour, Ramp: time.Millisecond, Progress: func(s load.Second) { seconds <- s }})
	if err != nil || r.Requests == 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestAHerdStartsTogether(t *testing.T) {
	t.Parallel()
	s := open(t)
	r, err := load.Herd(t.Context(), load.Config{Tracks: 1, Start: s.start, Listeners: 50})
	if err != nil || r.Startup.N != 50 || r.FirstByte.N != 100 || len(r.Errors) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if n := s.requests.Load(); n != 200 {
		t.Errorf("%d requests of 50 listeners for two playlists, an init segment and a segment", n)
	}
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
