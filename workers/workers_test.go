package workers_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/catalog"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/databasetest"
	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/objectstore/dir"
	"github.com/melodyud/melodyud/internal/queue"
	"github.com/melodyud/melodyud/internal/sound"
	"github.com/melodyud/melodyud/packager/packagertest"
	"github.com/melodyud/melodyud/transcode"
	"github.com/melodyud/melodyud/transcode/decode"
	"github.com/melodyud/melodyud/transcode/encode"
	"github.com/melodyud/melodyud/transcode/pcm"
	"github.com/melodyud/melodyud/workers"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "child" {
		os.Exit(decode.ChildMain(os.Args[2:]))
	}
	goleak.VerifyTestMain(m)
}

var nora = api.Principal{User: "usr_01NORA", Name: "Nora", Roles: []api.Role{api.RoleCreator}}

// hands is a queue whose tasks the test delivers itself: Deliver calls a handler.
type hands struct {
	mu       sync.Mutex
	rung     []queue.Task
	handlers map[string]queue.Handler
	ready    chan struct{}
}

func newHands() *hands { return &hands{ready: make(chan struct{})} }

func (h *hands) Ring(_ context.Context, t queue.Task) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rung = append(h.rung, t)
	return nil
}

func (h *hands) Answer(ctx context.Context, _ int, _ time.Duration, handlers map[string]queue.Handler) error {
	h.handlers = handlers
	close(h.ready)
	<-ctx.Done()
	return nil
}

func (h *hands) Depths(context.Context) ([]queue.Depth, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return []queue.Depth{{Urgency: queue.Default, Pending: len(h.rung)}}, nil
}
func (h *hands) Ping(context.Context) error { return nil }
func (h *hands) Close() error               { return nil }

// count returns how often a task was rung.
func (h *hands) count(task string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.rung {
		if t.Type == task {
			n++
		}
	}
	return n
}

// engine makes packets of noise; its hooks let a test interfere.
type engine struct {
	probe   func(ctx context.Context) error
	render  func(ctx context.Context, job transcode.Job) error
	listen  func(ctx context.Context, progress func(float64)) error
	renders atomic.Int32
	listens atomic.Int32
	newer   atomic.Int32 // analyzer versions after the first
	cover   []byte
}

var tags = melodyud.Tags{Title: "Tagged", Artist: "The Band"}

func (e *engine) Version() string { return "noise1" }

func (e *engine) Analyzer() (int, string) { return 1 + int(e.newer.Load()), "params" }

func (e *engine) heard() melodyud.Features {
	version, params := e.Analyzer()
	return melodyud.Features{Schema: melodyud.FeaturesSchema, Version: fmt.Sprint(version), ParamsHash: params, Duration: 10}
}

func (e *engine) Listen(ctx context.Context, _ *os.File, progress func(float64)) (transcode.Report, error) {
	e.listens.Add(1)
	if e.listen != nil {
		if err := e.listen(ctx, progress); err != nil {
			return transcode.Report{}, err
		}
	}
	return transcode.Report{Features: e.heard(), Waveform: []byte("wave"), Overview: []byte("view")}, nil
}

func (e *engine) Probe(ctx context.Context, _ *os.File) (transcode.Facts, error) {
	if e.probe != nil {
		if err := e.probe(ctx); err != nil {
			return transcode.Facts{}, err
		}
	}
	return transcode.Facts{SampleRate: 44100, Channels: 2, BitDepth: 16, Tags: tags}, nil
}

const samples = 10 * 44100

func (e *engine) Render(ctx context.Context, _ *os.File, job transcode.Job) (transcode.Report, error) {
	e.renders.Add(1)
	if e.render != nil {
		if err := e.render(ctx, job); err != nil {
			return transcode.Report{}, err
		}
	}
	grid := media.NewGrid(44100)
	for i, rung := range job.Ladder {
		if err := feed(job, grid, rung, uint64(i)); err != nil {
			return transcode.Report{}, err
		}
	}
	job.Progress(1)
	report := transcode.Report{Grid: grid, SampleRate: 44100, Samples: samples, Tags: tags, Features: e.heard(), Waveform: []byte("wave"), Overview: []byte("view")}
	if e.cover != nil {
		report.Cover = transcode.Cover{e.cover, e.cover, e.cover}
	}
	return report, nil
}

func feed(job transcode.Job, grid media.Grid, rung melodyud.Rung, seed uint64) error {
	s := media.Stream{Name: rung.Name(), Codec: rung.Codec, Channels: 2, Bitrate: rung.Bitrate, SampleRate: 44100}
	end := media.Ending{Samples: samples}
	if rung.Codec == melodyud.CodecFLAC {
		s.Timeline, s.FrameSize, s.BitDepth = grid.Lossless, grid.FLACBlock, 16
	} else {
		s.Timeline, s.FrameSize, s.Priming = grid.AAC, media.AACFrame, media.AACFrame
		end.Config = packagertest.ASC(44100, 2)
	}
	sink, err := job.Open(s)
	if err != nil {
		return err
	}
	if rung.Codec == melodyud.CodecFLAC {
		return silence(s, sink)
	}
	for _, p := range packagertest.Packets(s, end, 0, seed) {
		if err := sink.WritePacket(p); err != nil {
			return err
		}
	}
	return sink.Finish(end)
}

// silence is real FLAC: before publishing it is decoded.
func silence(s media.Stream, sink media.Sink) error {
	enc, err := encode.NewFLAC(s, sink)
	if err != nil {
		return err
	}
	if err := enc.Encode(pcm.Block{Samples: [][]float32{make([]float32, samples), make([]float32, samples)}}); err != nil {
		return err
	}
	end, err := enc.Close()
	if err != nil {
		return err
	}
	return sink.Finish(end)
}

type world struct {
	t       *testing.T
	catalog *catalog.Service
	db      database.DB
	store   objectstore.Store
	queue   *hands
	engine  *engine
	worker  *workers.Service
	scratch string
	metrics *prometheus.Registry
	sound   *sound.Service
}

// options change what newWorld builds.
type options struct {
	catalog func(*catalog.Config)
	workers func(*workers.Config)
	store   func(objectstore.Store) objectstore.Store // what the workers see
}

func newWorld(t *testing.T, o options) *world {
	t.Helper()
	store, err := dir.Open(dir.Config{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	w := &world{t: t, db: databasetest.Open(t), store: store, queue: newHands(), engine: &engine{},
		scratch: t.TempDir(), metrics: prometheus.NewRegistry()}
	c := catalog.Config{Database: w.db, Store: store, Bell: w.queue, RetryFirst: time.Millisecond, RetryMost: time.Millisecond}
	if o.catalog != nil {
		o.catalog(&c)
	}
	w.catalog, err = catalog.New(c)
	w.must(err)
	w.sound, err = sound.New(sound.Config{Tracks: w.catalog, Library: w.catalog, Store: store, Database: w.db, Bell: w.queue})
	w.must(err)
	var seen objectstore.Store = store
	if o.store != nil {
		seen = o.store(store)
	}
	wc := workers.Config{Catalog: w.catalog, Backfill: w.sound, Store: seen, Queue: w.queue, Engine: w.engine, Scratch: w.scratch,
		Concurrency: 4, Sweep: time.Hour, Metrics: w.metrics, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if o.workers != nil {
		o.workers(&wc)
	}
	w.worker, err = workers.New(wc)
	w.must(err)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// run starts the worker; the returned function stops it and waits.
func (w *world) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.worker.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("run: %v", err)
		}
	})
	w.t.Cleanup(stop)
	<-w.queue.ready
	return stop
}

// deliver hands a task to the worker and waits for it.
func (w *world) deliver(task string, id melodyud.TrackID) {
	w.t.Helper()
	if err := w.queue.handlers[task](context.Background(), string(id)); err != nil {
		w.t.Errorf("%s: %v", task, err)
	}
}

const theSound = "the sound of the sea"

func (w *world) master(content string) melodyud.Master {
	w.t.Helper()
	sum := sha256.Sum256([]byte(content))
	m := melodyud.Master{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(content))}
	w.put("masters/"+m.SHA256, content)
	return m
}

func (w *world) put(key, content string) {
	w.t.Helper()
	_, err := w.store.Put(w.t.Context(), key, strings.NewReader(content), int64(len(content)), objectstore.PutOptions{})
	w.must(err)
}

func (w *world) receive(content string) melodyud.TrackID {
	w.t.Helper()
	track, err := w.catalog.Receive(w.t.Context(), melodyud.Receipt{
		Track: melodyud.NewTrackID(time.Now()), Owner: nora.User, FileName: "sea.wav", Master: w.master(content),
	})
	w.must(err)
	return track.ID
}

func (w *world) track(id melodyud.TrackID) melodyud.Track {
	w.t.Helper()
	track, err := w.catalog.Track(context.Background(), nora, id)
	w.must(err)
	return track
}

// until waits for a track to get into a state.
func (w *world) until(id melodyud.TrackID, state melodyud.State) melodyud.Track {
	w.t.Helper()
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		track := w.track(id)
		if track.State == state {
			return track
		}
		time.Sleep(pause)
	}
}

// objects returns every object and its content.
func (w *world) objects() map[string]string {
	w.t.Helper()
	all := map[string]string{}
	for info, err := range w.store.List(context.Background(), "") {
		w.must(err)
		r, _, err := w.store.Open(context.Background(), info.Key, 0, -1)
		if errors.Is(err, melodyud.ErrNotFound) {
			continue // just collected
		}
		w.must(err)
		b, err := io.ReadAll(r)
		w.must(errors.Join(err, r.Close()))
		all[info.Key] = string(b)
	}
	return all
}

// untilEmpty waits for the last object to go.
func (w *world) untilEmpty() {
	w.t.Helper()
	for len(w.objects()) > 0 {
		time.Sleep(10 * time.Millisecond)
	}
}

// leftOver lists what lies in the scratch directory beside the lock of the living.
func (w *world) leftOver() (names []string) {
	w.t.Helper()
	w.must(filepath.WalkDir(w.scratch, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() && e.Name() != "lock" {
			names = append(names, path)
		}
		return err
	}))
	return names
}

func (w *world) dead() []melodyud.DeadLetter {
	w.t.Helper()
	dead, err := w.catalog.Dead(context.Background(), 10)
	w.must(err)
	return dead
}

func (w *world) facts() (all []string) {
	w.t.Helper()
	rows, err := w.db.Query(context.Background(), `SELECT event FROM outbox ORDER BY seq`)
	w.must(err)
	defer rows.Close()
	for rows.Next() {
		var body string
		w.must(rows.Scan(&body))
		_, rest, _ := strings.Cut(body, `com.melodyud.track.`)
		name, _, _ := strings.Cut(rest, `.v1`)
		all = append(all, name)
	}
	w.must(rows.Err())
	return all
}

func TestAnUploadedTrackIsPublishedWithEverythingItNeeds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.engine.cover = []byte("\xff\xd8\xff picture")
	w.run()
	id := w.receive(theSound)
	w.deliver("track:render", id)
	w.deliver("track:publish", id)
	track := w.track(id)
	if track.State != melodyud.StatePublished || track.Title != "Tagged" || !track.Release.HasCover || track.Release.Duration != 10*time.Second {
		t.Fatalf("track %+v, release %+v", track, track.Release)
	}
	all := w.objects()
	folder := "media/" + track.Release.RenderHash + "/"
	for _, name := range []string{"aac-64.mp4", "aac-256.mp4", "flac.mp4", "manifest.json", "index.m3u8", "hifi.m3u8",
		"manifest.mpd", "flac.m3u8", "cover-1200.jpg", "cover-600.jpg", "cover-150.jpg"} {
		if all[folder+name] == "" {
			t.Errorf("no %s", name)
		}
	}
	for _, name := range []string{"features.json", "analysis.json", "waveform.dat", "overview.dat"} {
		if all["features/"+track.Release.FeaturesHash+"/"+name] == "" || all[folder+name] != "" {
			t.Errorf("%s is not in the features' own folder", name)
		}
	}
	if all["releases/"+string(track.Release.ID)+"/manifest.json"] != all[folder+"manifest.json"] {
		t.Error("the release's manifest is not the render's")
	}
	if left := w.leftOver(); len(left) != 0 {
		t.Errorf("scratch holds %v", left)
	}
	if got := w.facts(); !slices.Equal(got, []string{"received", "published"}) {
		t.Errorf("facts %v", got)
	}
}

func TestDuplicateDeliveriesGiveOneRelease(t *testing.T) { // B8
	t.Parallel()
	w := newWorld(t, options{})
	w.run()
	ids := []melodyud.TrackID{w.receive(theSound), w.receive(theSound), w.receive("another sound")}
	for range 2 {
		var wg sync.WaitGroup
		for _, task := range []string{"track:publish", "track:render"} {
			for range 5 {
				for _, id := range ids {
					wg.Go(func() { w.deliver(task, id) })
				}
			}
		}
		wg.Wait()
	}
	for _, id := range ids {
		w.deliver("track:publish", id)
		if got := w.track(id); got.State != melodyud.StatePublished || got.Release.Number != 1 || got.Progress.Attempt != 1 {
			t.Errorf("track %+v, %+v", got, got.Release)
		}
	}
	published := 0
	for _, fact := range w.facts() {
		if fact == "published" {
			published++
		}
	}
	if published != len(ids) {
		t.Errorf("%d published facts", published)
	}
}

func TestADeadQueueIsMadeGoodByTheSweep(t *testing.T) { // B2
	t.Parallel()
	w := newWorld(t, options{workers: func(c *workers.Config) { c.Sweep = 10 * time.Millisecond }})
	w.run() // rings are heard by nobody: hands delivers nothing by itself
	for range 5 {
		w.until(w.receive(theSound), melodyud.StatePublished)
	}
}

func TestAMasterAlteredInTheStoreIsNeverPublished(t *testing.T) { // A4
	t.Parallel()
	for name, spoil := range map[string]func(w *world, key string){
		"flipped": func(w *world, key string) { w.put(key, strings.Replace(theSound, "sea", "see", 1)) },
		"cut":     func(w *world, key string) { w.put(key, theSound[:5]) },
		"gone":    func(w *world, key string) { w.must(w.store.Delete(t.Context(), key)) },
	} {
		w := newWorld(t, options{catalog: func(c *catalog.Config) { c.MaxAttempts = 2 }})
		w.run()
		id := w.receive(theSound)
		spoil(w, "masters/"+w.track(id).Master.SHA256)
		for range 2 {
			time.Sleep(2 * time.Millisecond) // the pause between attempts
			w.deliver("track:render", id)
		}
		if got := w.track(id); got.State != melodyud.StateReceived || got.Refusal != nil {
			t.Errorf("%s: the creator is blamed: %+v", name, got)
		}
		if dead := w.dead(); len(dead) != 1 || dead[0].Attempt != 2 || !strings.Contains(dead[0].Reason, "master") {
			t.Errorf("%s: dead %+v", name, dead)
		}
		if n := w.engine.renders.Load(); n != 0 {
			t.Errorf("%s: rendered %d times", name, n)
		}
	}
}

func TestOnlyRefusalsReachTheCreator(t *testing.T) { // design section 4
	t.Parallel()
	refusal := melodyud.Refuse(melodyud.ErrInvalid, "audio.too-short", "Too short. Send a longer one.")
	for _, one := range []struct {
		err     error
		state   melodyud.State
		attempt int // of the next try
		code    string
	}{
		{refusal.Because(errors.New("secret")), melodyud.StateRefused, 0, "audio.too-short"},
		{errors.New("a bug"), melodyud.StateReceived, 2, ""},
		{melodyud.ErrInvalid, melodyud.StateReceived, 2, ""},
		{errors.Join(context.Canceled, errors.New("somewhere inside")), melodyud.StateReceived, 2, ""},
		{melodyud.ErrUnavailable, melodyud.StateReceived, 1, ""},
		{melodyud.Refuse(melodyud.ErrUnavailable, "decoder.missing", "Later."), melodyud.StateReceived, 1, ""},
	} {
		w := newWorld(t, options{catalog: func(c *catalog.Config) { c.OutageMost = time.Millisecond }})
		w.run()
		w.engine.probe = func(context.Context) error { return one.err }
		id := w.receive(theSound)
		w.deliver("track:render", id)
		got := w.track(id)
		if got.State != one.state || (one.code != "") != (got.Refusal != nil) {
			t.Errorf("%v: %+v", one.err, got)
			continue
		}
		if got.Refusal != nil && (got.Refusal.Code != one.code || strings.Contains(got.Refusal.Text, "secret")) {
			t.Errorf("%v: %+v", one.err, got.Refusal)
		}
		time.Sleep(3 * time.Millisecond)
		c, err := w.catalog.Claim(t.Context(), id, melodyud.StepRender, "test")
		if err == nil != (one.attempt > 0) || c.Attempt != one.attempt {
			t.Errorf("%v: next attempt %d, %v", one.err, c.Attempt, err)
		}
	}
}

func TestAPanicCostsOneAttemptAndNoWorker(t *testing.T) { // B6
	t.Parallel()
	w := newWorld(t, options{})
	w.run()
	w.engine.render = func(context.Context, transcode.Job) error {
		if w.engine.renders.Load() == 1 {
			panic("poison")
		}
		return nil
	}
	id := w.receive(theSound)
	w.deliver("track:render", id)
	if left := w.leftOver(); len(left) != 0 {
		t.Errorf("scratch holds %v", left)
	}
	time.Sleep(2 * time.Millisecond)
	w.deliver("track:render", id)
	w.deliver("track:publish", id)
	if got := w.track(id); got.State != melodyud.StatePublished || got.Progress.Attempt != 2 {
		t.Errorf("track %+v", got)
	}
}

func TestWhatIsStoredAndWholeIsNotRenderedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.run()
	for range 2 {
		id := w.receive(theSound)
		w.deliver("track:render", id)
		w.deliver("track:publish", id)
		if got := w.track(id); got.State != melodyud.StatePublished || got.Artist != "The Band" {
			t.Errorf("track %+v", got)
		}
	}
	if n := w.engine.renders.Load(); n != 1 {
		t.Errorf("rendered %d times", n)
	}
}

func TestADamagedObjectIsRepairedBeforePublishing(t *testing.T) { // A4, A10
	t.Parallel()
	w := newWorld(t, options{})
	w.run()
	first := w.receive(theSound)
	w.deliver("track:render", first)
	whole := w.objects()
	hash := workers.RenderHash(w.engine, w.track(first).Master.SHA256, melodyud.DefaultLadder())
	key := "media/" + hash + "/aac-96.mp4"
	w.put(key, strings.Repeat("x", len(whole[key]))) // same size, other bytes
	w.deliver("track:publish", first)
	if got := w.track(first); got.State != melodyud.StateReceived {
		t.Fatalf("damaged bytes are %s", got.State)
	}
	time.Sleep(2 * time.Millisecond)
	w.deliver("track:render", first)
	w.deliver("track:publish", first)
	if got := w.track(first); got.State != melodyud.StatePublished || got.Progress.Attempt != 2 {
		t.Errorf("track %+v", got)
	}
	now := w.objects()
	delete(now, "releases/"+string(w.track(first).Release.ID)+"/manifest.json")
	if !maps.Equal(now, whole) {
		t.Error("the objects are not what they were")
	}
}

func TestATrackWithdrawnDuringItsRenderEndsCleanly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{
		catalog: func(c *catalog.Config) { c.Lease = 300 * time.Millisecond },
		workers: func(c *workers.Config) { c.Pulse, c.Heartbeat = 10*time.Millisecond, 50*time.Millisecond },
	})
	w.run()
	started := make(chan struct{})
	w.engine.render = func(ctx context.Context, _ transcode.Job) error {
		close(started)
		<-ctx.Done()
		return ctx.Err()
	}
	id := w.receive(theSound)
	ended := make(chan struct{})
	go func() { w.deliver("track:render", id); close(ended) }()
	<-started
	w.must(w.catalog.Withdraw(t.Context(), nora, id))
	<-ended
	if left := w.leftOver(); len(left) != 0 {
		t.Errorf("scratch holds %v", left)
	}
	for len(w.objects()) > 0 { // due once the worker's lease has surely ended
		w.deliver("gc", id)
		time.Sleep(10 * time.Millisecond)
	}
	if got, dead := w.track(id), w.dead(); got.State != melodyud.StateWithdrawn || len(dead) != 0 {
		t.Errorf("track %+v, dead %+v", got, dead)
	}
	if got := w.facts(); !slices.Equal(got, []string{"received", "withdrawn"}) {
		t.Errorf("facts %v", got)
	}
}

func TestCollectingLeavesNothingOfATrackAndAllOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.run()
	publish := func(content string) melodyud.TrackID {
		id := w.receive(content)
		w.deliver("track:render", id)
		w.deliver("track:publish", id)
		return id
	}
	publish("another sound")
	before := w.objects()
	one, two := publish(theSound), publish(theSound)
	w.must(w.catalog.Withdraw(t.Context(), nora, one))
	w.deliver("gc", one)
	all := w.objects()
	if kept := w.track(two); all["masters/"+kept.Master.SHA256] == "" || all["media/"+kept.Release.RenderHash+"/manifest.json"] == "" {
		t.Error("objects of a published track were collected")
	}
	w.must(w.catalog.Withdraw(t.Context(), nora, two))
	w.deliver("gc", two)
	w.deliver("gc", two)
	if after := w.objects(); !maps.Equal(before, after) {
		t.Errorf("before %v, after %v", slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
	}
	b, err := w.catalog.Backlog(t.Context())
	w.must(err)
	if len(b.Steps) != 0 {
		t.Errorf("owed %+v", b)
	}
}

func TestAStoppedWorkerGivesItsWorkBack(t *testing.T) { // B13
	t.Parallel()
	w := newWorld(t, options{workers: func(c *workers.Config) { c.Sweep, c.Drain = 5*time.Millisecond, time.Millisecond }})
	started := make(chan struct{})
	w.engine.render = func(ctx context.Context, _ transcode.Job) error {
		close(started)
		<-ctx.Done()
		return melodyud.Refuse(melodyud.ErrInvalid, "audio.damaged", "What a killed decoder seems to say.")
	}
	stop := w.run()
	id := w.receive(theSound)
	<-started
	stop()
	c, err := w.catalog.Claim(t.Context(), id, melodyud.StepRender, "next")
	w.must(err)
	if c.Attempt != 1 {
		t.Errorf("the stop counted: attempt %d", c.Attempt)
	}
	if entries, err := os.ReadDir(w.scratch); err != nil || len(entries) != 0 {
		t.Errorf("scratch holds %v, %v", entries, err)
	}
}

func TestScratchOfTheDeadIsRemovedAndOfTheLivingKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.run()
	dead := filepath.Join(w.scratch, "worker-123")
	w.must(os.MkdirAll(filepath.Join(dead, "job-1"), 0o700))
	w.must(os.WriteFile(filepath.Join(dead, "lock"), nil, 0o600))
	foreign := filepath.Join(w.scratch, "mine")
	w.must(os.WriteFile(foreign, nil, 0o600))
	next, err := workers.New(workers.Config{Catalog: w.catalog, Store: w.store, Queue: newHands(), Engine: w.engine, Scratch: w.scratch})
	w.must(err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.must(next.Run(ctx))
	entries, err := os.ReadDir(w.scratch)
	w.must(err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if len(names) != 2 || names[0] != "mine" || !strings.HasPrefix(names[1], "worker-") || names[1] == "worker-123" {
		t.Errorf("scratch holds %v", names)
	}
}

func TestTheSweepDoesNotFloodTheQueue(t *testing.T) { // B12
	t.Parallel()
	w := newWorld(t, options{workers: func(c *workers.Config) {
		c.Sweep, c.Rering, c.Backlog, c.Concurrency = time.Millisecond, time.Millisecond, 7, 1
	}})
	busy := make(chan struct{})
	w.engine.render = func(context.Context, transcode.Job) error { <-busy; return nil }
	for range 12 {
		w.receive(theSound)
	}
	w.queue.rung = nil // those were taken
	stop := w.run()
	for w.queue.count("track:render") < 7 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(30 * time.Millisecond) // many sweeps
	close(busy)
	stop()
	if n := w.queue.count("track:render"); n != 7 {
		t.Errorf("rang %d times", n)
	}
}

// wav is a second and a half of a 16-bit stereo ramp.
func wav() string {
	const n = 66150
	b := []byte("RIFF\x00\x00\x00\x00WAVEfmt ")
	b = binary.LittleEndian.AppendUint32(b, 16)
	b = binary.LittleEndian.AppendUint16(b, 1)
	b = binary.LittleEndian.AppendUint16(b, 2)
	b = binary.LittleEndian.AppendUint32(b, 44100)
	b = binary.LittleEndian.AppendUint32(b, 44100*4)
	b = binary.LittleEndian.AppendUint16(b, 4)
	b = binary.LittleEndian.AppendUint16(b, 16)
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, n*4)
	for i := range n {
		b = binary.LittleEndian.AppendUint16(b, uint16(i*97))
		b = binary.LittleEndian.AppendUint16(b, uint16(i*61))
	}
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-8))
	return string(b)
}

func TestRealSoundIsRenderedStoredVerifiedAndPublishedAlwaysWithTheSameBytes(t *testing.T) {
	t.Parallel()
	engine, err := transcode.New(transcode.Config{FFmpeg: "-"})
	if err != nil {
		t.Fatal(err)
	}
	var folders []map[string]string
	for range 2 {
		w := newWorld(t, options{workers: func(c *workers.Config) { c.Engine = engine }})
		w.run()
		id := w.receive(wav())
		w.deliver("track:render", id)
		w.deliver("track:publish", id)
		track := w.track(id)
		if track.State != melodyud.StatePublished || track.Release.Duration != 1500*time.Millisecond {
			t.Fatalf("track %+v, dead %+v", track, w.dead())
		}
		folder := map[string]string{}
		for key, content := range w.objects() {
			if strings.HasPrefix(key, "media/") {
				folder[key] = content
			}
		}
		folders = append(folders, folder)
	}
	if len(folders[0]) < 14 || !maps.Equal(folders[0], folders[1]) {
		t.Errorf("two renders differ, or are no folder: %v", slices.Sorted(maps.Keys(folders[0])))
	}
}

func TestAFileRenderedByHandIsWhatTheQueueWouldStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.run()
	id := w.receive(theSound)
	w.deliver("track:render", id)
	master := w.track(id).Master
	src, err := os.Create(filepath.Join(t.TempDir(), "sea.wav"))
	w.must(err)
	defer src.Close()
	_, err = src.WriteString(theSound)
	w.must(err)
	out := filepath.Join(t.TempDir(), "new", "folder")
	var last float64
	got, err := workers.RenderFile(t.Context(), w.engine, src, master.SHA256, out, melodyud.DefaultLadder(), func(f float64) { last = f })
	w.must(err)
	if got.Tags != tags || got.HasCover || last != 1 || got.Manifest.MasterSHA256 != master.SHA256 {
		t.Errorf("got %+v, progress %v", got, last)
	}
	stored := w.objects()
	entries, err := os.ReadDir(out)
	w.must(err)
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(out, e.Name()))
		w.must(err)
		rendered, heard := "media/"+got.Manifest.RenderHash+"/"+e.Name(), "features/"+workers.FeatureSet(w.engine, master.SHA256).Hash+"/"+e.Name()
		if stored[rendered]+stored[heard] != string(content) {
			t.Errorf("%s differs", e.Name())
		}
	}
	if len(entries) != len(stored)-1 { // all but the master
		t.Errorf("%d files, %d objects", len(entries), len(stored))
	}
}

func TestSomethingThatIsNoSoundIsRefusedInWords(t *testing.T) {
	t.Parallel()
	engine, err := transcode.New(transcode.Config{FFmpeg: "-"})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, options{workers: func(c *workers.Config) { c.Engine = engine }})
	w.run()
	id := w.receive("<html>not music</html>")
	w.deliver("track:render", id)
	if got := w.track(id); got.State != melodyud.StateRefused || got.Refusal.Code == "" || got.Refusal.Text == "" {
		t.Errorf("track %+v, dead %+v", got, w.dead())
	}
}
