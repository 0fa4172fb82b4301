package node_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/node"
	"github.com/melodyud/melodyud/internal/queue"
	"github.com/melodyud/melodyud/internal/queue/queuetest"
	"github.com/melodyud/melodyud/internal/realtest"
)

// start runs a node until the test ends and returns its address.
func start(t *testing.T, c node.Config) string {
	t.Helper()
	base, stop := startUntil(t, c)
	t.Cleanup(stop)
	return base
}

// startUntil runs a node until stop is called.
func startUntil(t *testing.T, c node.Config) (base string, stop func()) {
	t.Helper()
	n, stop := run(t, c)
	return n.URL(), stop
}

// run opens a node and runs it until stop is called.
func run(t *testing.T, c node.Config) (n *node.Node, stop func()) {
	t.Helper()
	c.Child = child()
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	if c.LogOutput == nil {
		c.LogOutput = &testLog{t: t}
	}
	if c.Data == "" {
		c.Data = t.TempDir()
	}
	n, err := node.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	return n, sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("node ended with %v", err)
		}
	})
}

// testLog keeps a node's log and shows it when the test failed.
type testLog struct {
	t    *testing.T
	once sync.Once
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *testLog) Write(p []byte) (int, error) {
	l.once.Do(func() {
		l.t.Cleanup(func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.t.Failed() {
				l.t.Logf("log:\n%s", l.text.String())
			}
		})
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *testLog) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Contains(l.text.Bytes(), []byte(text))
}

// tell uploads a song, waits until it is published and plays every rendition to
// its end: the whole story. It returns the renditions' bytes.
func tell(t *testing.T, creator, listener *person) map[string][]byte {
	t.Helper()
	const seconds = 9.5
	file := song(t, seconds, 1)
	id := creator.upload("song.wav", file)
	track := creator.await(id)
	if track.State != "published" {
		t.Fatalf("%+v", track)
	}
	if track.Release.Number != 1 || track.Release.Duration != seconds {
		t.Errorf("release %+v", track.Release)
	}
	heard := listener.hears(id)
	if len(heard) != len(melodyud.DefaultLadder()) {
		t.Errorf("%d renditions", len(heard))
	}
	for name, data := range heard {
		if !bytes.Contains(data[:64], []byte("ftyp")) || bytes.Count(data, []byte("moof")) < 3 {
			t.Errorf("%s is no track of three segments: %d bytes", name, len(data))
		}
	}
	return heard
}

func TestOneProcessCarriesATrackFromUploadToPlayback(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	base := start(t, node.Config{Data: data})
	p := as(t, base, data)
	tell(t, p, p)
}

func TestTrackSurvivesARestartAndCanBeWithdrawn(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	base, stop := startUntil(t, node.Config{Data: data})
	p := as(t, base, data)
	id := p.upload("song.wav", song(t, 3, 2))
	before := p.await(id)
	stop()
	p.base = start(t, node.Config{Data: data})
	if after := p.await(id); after.State != "published" || after.Release.ID != before.Release.ID {
		t.Fatalf("after a restart: %+v", after)
	}
	p.hears(id)
	if a := p.ask("DELETE", "/v1/tracks/"+id, nil); a.status != http.StatusNoContent {
		t.Fatalf("delete: %d %s", a.status, a.body)
	}
	p.eventually("the objects to go", func() bool {
		left, err := filepath.Glob(filepath.Join(data, "objects", "m*", "*"))
		return err == nil && len(left) == 0
	})
}

func TestRolesSplitOverFiveNodesTellTheSameStory(t *testing.T) {
	t.Parallel()
	shared := t.TempDir()
	cluster(t, "sqlite:"+filepath.Join(shared, "rows.db"), "dir:"+filepath.Join(shared, "objects"), realtest.Redis(t))
}

func TestRealBackendsTellTheSameStory(t *testing.T) {
	t.Parallel()
	cluster(t, realtest.Postgres(t), realtest.MinIO(t), realtest.Redis(t))
}

// cluster tells the story with one role a node, two of them workers.
func cluster(t *testing.T, db, objects, queue string) {
	t.Helper()
	with := func(c node.Config) node.Config {
		c.DB, c.Objects, c.Queue = db, objects, queue
		return c
	}
	edge := start(t, with(node.Config{Roles: []node.Role{node.RoleEdge}}))
	data := t.TempDir()
	api := start(t, with(node.Config{Roles: []node.Role{node.RoleAPI}, Data: data, EdgeURL: edge}))
	for _, role := range []node.Role{node.RoleWork, node.RoleWork, node.RoleFold} {
		start(t, with(node.Config{Roles: []node.Role{role}}))
	}
	p := as(t, api, data)
	tell(t, p, p)
	page, err := p.once("GET", "/", nil) // 503 where the page is not built, with the same policy
	if err != nil {
		t.Fatal(err)
	}
	policy := page.header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "connect-src 'self' "+edge) || !strings.Contains(policy, "media-src 'self' "+edge) {
		t.Errorf("the page may not play from the edge: %s", policy)
	}
	if a := p.ask("GET", edge+"/v1/tracks", nil); a.status != http.StatusNotFound {
		t.Errorf("the edge answers the API: %d", a.status)
	}
}

func TestAQueueThatLosesEveryRingOnlyDelaysTheStory(t *testing.T) {
	if testing.Short() {
		t.Skip("left out with -short: it mostly waits")
	}
	t.Parallel()
	data := t.TempDir()
	base := start(t, node.Config{Data: data, Bells: func(q queue.Queue) queue.Queue { return queuetest.Deaf{Queue: q} }})
	p := as(t, base, data)
	tell(t, p, p)
}

func TestFlushingRedisInMidWorkLosesNoTrack(t *testing.T) { // faults B2
	t.Parallel()
	redis := realtest.StartRedis(t)
	data := t.TempDir()
	base := start(t, node.Config{Data: data, Queue: redis.URL})
	p := as(t, base, data)
	var ids []string
	for i := range 4 {
		ids = append(ids, p.upload("song.wav", song(t, 4, 10+i)))
		redis.FlushAll()
	}
	for _, id := range ids {
		if track := p.await(id); track.State != "published" {
			t.Errorf("%+v", track)
		}
		redis.FlushAll()
	}
}

func TestBadFilesAreRefusedInWordsAndLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	base := start(t, node.Config{Data: data, FFmpeg: "-"})
	p := as(t, base, data)
	whole := song(t, 2, 3)
	zeroRate, nineChannels := bytes.Clone(whole), bytes.Clone(whole)
	copy(zeroRate[24:28], []byte{0, 0, 0, 0})
	nineChannels[22] = 9
	for name, c := range map[string]struct {
		file []byte
		code string
	}{
		"text.mp3":      {bytes.Repeat([]byte("These are words, not music.\n"), 100), "audio.unknown-format"},
		"zero.wav":      {zeroRate, "audio.bad-rate"},
		"nine.wav":      {nineChannels, "audio.too-many-channels"},
		"truncated.wav": {whole[:len(whole)/2], "audio.truncated"},
	} {
		track := p.await(p.upload(name, c.file))
		if track.State != "refused" || track.Refusal.Code != c.code || !strings.HasSuffix(track.Refusal.Text, ".") {
			t.Errorf("%s: %s %+v", name, track.State, track.Refusal)
		}
	}
	empty := p.ask("POST", "/v1/uploads", nil, "Tus-Resumable", "1.0.0", "Upload-Length", "0")
	if empty.status < 400 || !bytes.Contains(empty.body, []byte(`"upload.empty"`)) {
		t.Errorf("an empty file: %d %s", empty.status, empty.body)
	}
	if track := p.await(p.upload("good.wav", whole)); track.State != "published" {
		t.Errorf("the worker did not live on: %+v", track)
	}
	p.eventually("everything else to go", func() bool {
		return len(files(t, filepath.Join(data, "scratch"))) == 0 && // but for locks
			len(files(t, filepath.Join(data, "objects", "uploads"))) == 0 &&
			len(files(t, filepath.Join(data, "objects", "masters"))) == 1
	})
}

// files lists the files below dir, but for locks.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && d.Name() != "lock" {
			all = append(all, path)
		}
		if errors.Is(err, fs.ErrNotExist) { // removed while we look
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestASecondProcessOnOneDataDirectoryIsToldWhy(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	start(t, node.Config{Data: data})
	_, err := node.Open(t.Context(), node.Config{Data: data, Addr: "127.0.0.1:0"})
	if !errors.Is(err, melodyud.ErrConflict) || !strings.Contains(err.Error(), "in use by process") {
		t.Errorf("%v", err)
	}
}

func TestWhatCannotWorkIsOneClearLineAtTheStart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config node.Config
		says   string
	}{
		"database kind":   {node.Config{DB: "mysql://x"}, "--db"},
		"store kind":      {node.Config{Objects: "ftp://x"}, "--objects"},
		"queue kind":      {node.Config{Queue: "amqp://x"}, "--queue"},
		"log kind":        {node.Config{Events: "kafka://x"}, "--events"},
		"role":            {node.Config{Roles: []node.Role{"cook"}}, "role"},
		"edge address":    {node.Config{EdgeURL: "not a url"}, "web address"},
		"lease":           {node.Config{Lease: time.Millisecond}, "--lease"},
		"drain":           {node.Config{Drain: -time.Second}, "--drain"},
		"log level":       {node.Config{LogLevel: "loud"}, "log level"},
		"ticket keys":     {node.Config{TicketKeys: "short"}, "ticket keys"},
		"no PostgreSQL":   {node.Config{DB: "postgres://127.0.0.1:1/x"}, "127.0.0.1:1"},
		"half of TLS":     {node.Config{Front: node.Front{TLSCert: "cert.pem"}}, "--tls-key"},
		"no certificate":  {node.Config{Front: node.Front{TLSCert: "none.pem", TLSKey: "none.pem"}}, "none.pem"},
		"proxies":         {node.Config{Front: node.Front{TrustedProxies: []string{"10.0.0.0/99"}}}, "--trusted-proxies"},
		"rates":           {node.Config{EdgeLimits: node.EdgeLimits{RateAPI: -1}}, "a rate"},
		"streams":         {node.Config{EdgeLimits: node.EdgeLimits{StreamsFree: -1}}, "--streams-free"},
		"no Redis":        {node.Config{Queue: "redis://127.0.0.1:1"}, "127.0.0.1:1"},
		"no object store": {node.Config{Objects: "s3://a:topsecret@127.0.0.1:1/b?tls=false"}, "127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.config.Data, c.config.Addr = t.TempDir(), "127.0.0.1:0"
			_, err := node.Open(t.Context(), c.config)
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") ||
				strings.Contains(err.Error(), "topsecret") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestHealthSaysWhatAProcessCanDo(t *testing.T) {
	t.Parallel()
	redis := realtest.StartRedis(t)
	data := t.TempDir()
	log := &testLog{t: t}
	base := start(t, node.Config{Data: data, Queue: redis.URL, LogOutput: log})
	p := as(t, base, data)
	if a := p.ask("GET", "/readyz", nil); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	redis.Kill()
	a, err := p.once("GET", "/readyz", nil)
	var ready struct{ Checks map[string]string }
	if err != nil || a.status != http.StatusServiceUnavailable ||
		json.Unmarshal(a.body, &ready) != nil || ready.Checks["queue"] != "failed" || ready.Checks["database"] != "ok" {
		t.Errorf("without Redis: %d %s %v", a.status, a.body, err)
	}
	if !log.has(`level=WARN msg="not ready" check=queue error=`) {
		t.Error("the log does not say what is wrong with the queue")
	}
	if a := p.ask("GET", "/livez", nil); a.status != http.StatusOK {
		t.Errorf("a live process says %d", a.status)
	}
	redis.Start()
	p.eventually("Redis to be back", func() bool {
		a, err := p.once("GET", "/readyz", nil)
		return err == nil && a.status == http.StatusOK
	})
}

func TestStopFinishesTheWorkInHand(t *testing.T) { // faults B13
	t.Parallel()
	data := t.TempDir()
	base, stop := startUntil(t, node.Config{Data: data, Drain: 5 * time.Minute})
	p := as(t, base, data)
	id := p.upload("song.wav", song(t, 8, 4))
	p.eventually("the render to begin", func() bool {
		a, err := p.once("GET", "/v1/tracks/"+id, nil)
		return err == nil && (bytes.Contains(a.body, []byte(`"rendering"`)) || bytes.Contains(a.body, []byte(`"published"`)))
	})
	stop()
	manifests, err := filepath.Glob(filepath.Join(data, "objects", "media", "*", "manifest.json"))
	if err != nil || len(manifests) != 1 {
		t.Errorf("the stop left %d finished renders", len(manifests))
	}
}

func TestOpsPagesAreForOperatorsOnly(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	base := start(t, node.Config{Data: data})
	p := as(t, base, data)
	for _, path := range []string{"/metrics", "/ops/queues/", "/v1/ops/queues", "/v1/ops/dead"} {
		if a := p.ask("GET", path, nil); a.status != http.StatusOK {
			t.Errorf("%s for operators: %d %s", path, a.status, a.body)
		}
		stranger := *p
		stranger.key = "mk_nobody"
		if a := stranger.ask("GET", path, nil); a.status != http.StatusUnauthorized {
			t.Errorf("%s for strangers: %d", path, a.status)
		}
	}
}
