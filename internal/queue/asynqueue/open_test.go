package asynqueue_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/queue"
	"github.com/melodyud/melodyud/internal/queue/asynqueue"
	"github.com/melodyud/melodyud/internal/queue/queuetest"
	"github.com/melodyud/melodyud/internal/realtest"
)

func TestARealRedisKeepsTheContract(t *testing.T) {
	t.Parallel()
	url := realtest.Redis(t)
	queuetest.Run(t, func(t testing.TB) queuetest.Bench { return flushed(t, url) })
}

func TestAnUnreachableRedisIsOneClearError(t *testing.T) {
	t.Parallel()
	hole, err := net.Listen("tcp", "127.0.0.1:0") // accepts and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	shut, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	shut.Close()
	for _, url := range []string{
		"redis://:hunter2@" + shut.Addr().String(),
		"redis://:hunter2@" + hole.Addr().String() + "/3",
		"rediss://:hunter2@" + shut.Addr().String(),
		"redis-sentinel://:hunter2@" + shut.Addr().String() + "?master=m&sentinel_password=hunter2",
		"redis-cluster://:hunter2@" + shut.Addr().String() + "," + shut.Addr().String(),
	} {
		_, err := asynqueue.Open(t.Context(), url, asynqueue.Config{Logger: silent})
		if !errors.Is(err, melodyud.ErrUnavailable) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open(%s) = %v, want ErrUnavailable without the password", url, err)
		}
	}
}

func TestAWrongURLIsInvalidAndKeepsItsSecret(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "127.0.0.1:6379", "http://:hunter2@h", "redis://:hunter2@", "redis://:hunter2@h/x", "redis://:hunter2@h,i",
		"redis://:hunter2@h:port", "redis://:hunter2%@h", "redis://h?pasword=hunter2", "redis-sentinel://:hunter2@h",
		"redis-cluster://:hunter2@h/1", "rediss://h?tls=hunter2",
	} {
		_, err := asynqueue.Open(t.Context(), url, asynqueue.Config{})
		if !errors.Is(err, melodyud.ErrInvalid) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open(%q) = %v, want ErrInvalid without the password", url, err)
		}
	}
	for _, cfg := range []asynqueue.Config{{Timeout: time.Millisecond}, {Timeout: 1500 * time.Millisecond}, {Timeout: -time.Hour}, {Poll: -1}} {
		if _, err := asynqueue.OpenEmbedded(t.Context(), cfg); !errors.Is(err, melodyud.ErrInvalid) {
			t.Errorf("OpenEmbedded(%+v) = %v, want ErrInvalid", cfg, err)
		}
	}
}

func TestRingsFailWhileRedisIsAwayAndWorkWhenItIsBack(t *testing.T) {
	t.Parallel()
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	q, err := asynqueue.Open(t.Context(), "redis://"+server.Addr(), asynqueue.Config{Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	got := make(chan string, 99)
	ctx, cancel := context.WithCancel(t.Context())
	answered := make(chan error)
	go func() {
		answered <- q.Answer(ctx, 2, time.Second, map[string]queue.Handler{"t": func(_ context.Context, s string) error {
			got <- s
			return nil
		}})
	}()
	ring := func(subject string) error { return q.Ring(t.Context(), queue.Task{Type: "t", Subject: subject}) }
	if err := ring("before"); err != nil || <-got != "before" {
		t.Fatal(err)
	}
	server.Close()
	if err := ring("lost"); !errors.Is(err, melodyud.ErrUnavailable) {
		t.Errorf("Ring without Redis = %v, want ErrUnavailable", err)
	}
	if _, err := q.Depths(t.Context()); !errors.Is(err, melodyud.ErrUnavailable) {
		t.Errorf("Depths without Redis = %v, want ErrUnavailable", err)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	for ring("after") != nil {
	}
	if s := <-got; s != "after" {
		t.Errorf("handler got %q, want after", s)
	}
	cancel()
	if err := <-answered; err != nil {
		t.Errorf("Answer = %v", err)
	}
}

func TestAnOutageIsNotToldSeveralTimesASecond(t *testing.T) {
	t.Parallel()
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	said := make(lines, 1000)
	noon := time.Now()
	q, err := asynqueue.Open(t.Context(), "redis://"+server.Addr(), asynqueue.Config{
		Logger: slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelDebug})), Now: func() time.Time { return noon },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	ctx, cancel := context.WithCancel(t.Context())
	answered := make(chan error)
	go func() { answered <- q.Answer(ctx, 1, time.Second, nil) }()
	server.Close()
	warnings := 0
	for errs := 0; errs < 3; {
		if line := <-said; strings.Contains(line, "refused") {
			errs++
			if strings.Contains(line, "level=WARN") {
				warnings++
			}
		}
	}
	cancel()
	if err := <-answered; err != nil || warnings != 1 {
		t.Errorf("%d warnings of one outage at one time, want 1 (%v)", warnings, err)
	}
}

// lines is a log's writer that gives its lines.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func TestAnswerEndsWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	q, err := asynqueue.Open(t.Context(), "redis://"+server.Addr(), asynqueue.Config{Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	ctx, cancel := context.WithCancel(t.Context())
	answered := make(chan error)
	go func() { answered <- q.Answer(ctx, 2, time.Second, nil) }()
	server.Close()
	cancel()
	if err := <-answered; err != nil {
		t.Errorf("Answer = %v", err)
	}
}

func TestHandlersErrorsAndPanicsAreLoggedWithTheirTask(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	q, err := asynqueue.OpenEmbedded(t.Context(), asynqueue.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	ctx, cancel := context.WithCancel(t.Context())
	left := 3
	handlers := map[string]queue.Handler{"t": func(_ context.Context, s string) error {
		if left--; left == 0 {
			defer cancel()
		}
		switch s {
		case "boom":
			panic("oh dear")
		case "away":
			return melodyud.ErrUnavailable
		}
		return errors.New("no good")
	}}
	for _, s := range []string{"boom", "away", "bad"} {
		if err := q.Ring(ctx, queue.Task{Type: "t", Subject: s}); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Answer(ctx, 1, time.Minute, handlers); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`level=ERROR msg="task handler panicked" task=t subject=boom panic="oh dear" stack=`,
		`level=WARN msg="task handler failed" task=t subject=away error=unavailable`,
		`level=ERROR msg="task handler failed" task=t subject=bad error="no good"`,
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, log.String())
		}
	}
}

func TestTheConsoleShowsTheQueues(t *testing.T) {
	t.Parallel()
	q := embedded(t)
	if err := q.Ring(t.Context(), queue.Task{Type: "track:render", Subject: "trk_shown"}); err != nil {
		t.Fatal(err)
	}
	for root, mount := range map[string]string{"/ops/queues": "/ops/queues", "ops/queues/": "/ops/queues", "/": "", "": ""} {
		console := q.Console(root, true)
		for path, want := range map[string]string{
			"/":                                  "<html",
			"/api/queues":                        `"queue":"default"`,
			"/api/queues/default/pending_tasks":  "trk_shown",
			"/api/redis_info":                    "connected_clients",
			"/api/servers":                       "servers",
			"/api/queue_stats":                   "default",
			"/queues/default":                    "<html", // a page of the application itself
			"/api/queues/default/archived_tasks": "tasks",
		} {
			if code, body := visit(console, http.MethodGet, mount+path); code != 200 || !strings.Contains(body, want) {
				t.Errorf("root %q: GET %s = %d %.200s, want %s", root, mount+path, code, body, want)
			}
		}
		if code, _ := visit(console, http.MethodPost, mount+"/api/queues/default:pause"); code != http.StatusMethodNotAllowed {
			t.Errorf("root %q: a read-only console answered POST with %d", root, code)
		}
	}
	if code, _ := visit(q.Console("/", false), http.MethodPost, "/api/queues/default:pause"); code != http.StatusNoContent {
		t.Errorf("a console that may write answered POST with %d", code)
	}
}

func TestTheConsolesPolicyAllowsExactlyTheScriptsOfItsPage(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	embedded(t).Console("/ops/queues", false).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/ops/queues/", nil))
	policy := w.Header().Get("Content-Security-Policy")
	_, rest, _ := strings.Cut(policy, "script-src ")
	scripts, _, _ := strings.Cut(rest, ";")
	if scripts == "" || strings.Contains(scripts, "unsafe") || strings.Contains(policy, "http") {
		t.Errorf("policy %q, want one that names scripts by hash and no other host", policy)
	}
	inline := 0
	for after := range strings.SplitSeq(w.Body.String(), "<script>") {
		script, _, ok := strings.Cut(after, "</script>")
		if !ok || strings.HasPrefix(after, "<!doctype") {
			continue
		}
		inline++
		sum := sha256.Sum256([]byte(script))
		if hash := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(scripts, hash) {
			t.Errorf("policy %q forbids the page's own script %.60s: want %s", policy, script, hash)
		}
	}
	if inline == 0 {
		t.Error("the page has no inline script: the policy may be simpler")
	}
}

func visit(h http.Handler, method, path string) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	b, _ := io.ReadAll(w.Result().Body)
	return w.Code, string(b)
}

func TestADeafQueueLosesEveryRing(t *testing.T) {
	t.Parallel()
	q := queuetest.Deaf{Queue: embedded(t)}
	if err := q.Ring(t.Context(), queue.Task{Type: "t", Subject: "1"}); err != nil {
		t.Fatal(err)
	}
	depths, err := q.Depths(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range depths {
		if d.Pending != 0 {
			t.Errorf("a deaf queue heard: %+v", d)
		}
	}
}

// BenchmarkWakeUp measures how long an idle embedded queue takes from Ring to handler.
func BenchmarkWakeUp(b *testing.B) {
	q := embedded(b)
	got := make(chan time.Time, 1)
	ctx, cancel := context.WithCancel(b.Context())
	answered := make(chan error)
	go func() {
		answered <- q.Answer(ctx, 2, time.Second, map[string]queue.Handler{"t": func(context.Context, string) error {
			got <- time.Now()
			return nil
		}})
	}()
	var sum, worst time.Duration
	for b.Loop() {
		time.Sleep(200 * time.Millisecond) // idle
		rung := time.Now()
		if err := q.Ring(ctx, queue.Task{Type: "t"}); err != nil {
			b.Fatal(err)
		}
		waited := (<-got).Sub(rung)
		sum, worst = sum+waited, max(worst, waited)
	}
	b.ReportMetric(float64(sum.Milliseconds())/float64(b.N), "ms/wake")
	b.ReportMetric(float64(worst.Milliseconds()), "ms-worst")
	cancel()
	<-answered
}
