// Package workers does the work that is owed to tracks: it answers the queue's
// rings, holds a lease on the row while it works, and sweeps the rows for work
// that nobody was rung for.
//
//	track:render   master -> renditions in the store   -> track:publish is owed
//	track:publish  read everything back and verify it  -> listeners can hear it
//	gc             withdrawn track                     -> its objects are deleted
//	sound:reanalyze  published track                   -> it is listened to anew
//
// Every step can be delivered twice, die at any point and be done again by
// somebody else: it writes the same names and bytes, and only the holder of the
// newest lease can finish it.
package workers

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/queue"
)

// claims are the leases on work.
type claims interface {
	Claim(ctx context.Context, id melodyud.TrackID, step melodyud.Step, holder string) (melodyud.Claim, error)
	Renew(ctx context.Context, c melodyud.Claim, p melodyud.Progress) (time.Time, error)
	Fail(ctx context.Context, c melodyud.Claim, cause error) error
	Refuse(ctx context.Context, c melodyud.Claim, refusal *melodyud.Refusal) error
}

// results are how a track moves on.
type results interface {
	Storing(ctx context.Context, c melodyud.Claim, renderHash string) error
	Listening(ctx context.Context, c melodyud.Claim, set melodyud.FeatureSet) error
	Rendered(ctx context.Context, c melodyud.Claim, r melodyud.Rendering) error
	Publish(ctx context.Context, c melodyud.Claim, rel melodyud.Release) (melodyud.Track, error)
}

// leftovers are what withdrawn tracks leave.
type leftovers interface {
	Collect(ctx context.Context, c melodyud.Claim) (melodyud.Leftovers, error)
	Collected(ctx context.Context, c melodyud.Claim, left melodyud.Leftovers) error
}

// backlog is what waits.
type backlog interface {
	Due(ctx context.Context, now time.Time, limit int) ([]melodyud.Owed, error)
	Backlog(ctx context.Context) (melodyud.Backlog, error)
	Dead(ctx context.Context, limit int) ([]melodyud.DeadLetter, error)
	Retry(ctx context.Context, id melodyud.TrackID) error
}

// lives are the processes that worked in one place, one after the other.
type lives interface {
	Lapse(ctx context.Context, place string) (int64, error)
}

// catalog is all of them, as one service has them.
type catalog interface {
	lives
	claims
	results
	relistened
	leftovers
	backlog
}

// Config configures a Service.
type Config struct {
	Catalog catalog           // required: the rows
	Store   objectstore.Store // required: the bytes
	Queue   queue.Queue       // required: the doorbells
	Engine  engine            // required: the sound; a *transcode.Engine

	Backfill backfill // what is to be listened to anew; default: nothing ever

	Ladder  melodyud.Ladder // qualities made of every track; default melodyud.DefaultLadder
	Scratch string          // directory for work in progress, made when absent; default melodyud-work in os.TempDir
	// Concurrency is how many tracks are worked on at once; default half the CPUs, at least 1.
	Concurrency int

	// Place names where this process works alone: the leases of whoever worked there
	// before are given up when Run starts, so that a restart need not wait for their
	// end. Default: no such place.
	Place string

	Heartbeat time.Duration // a lease is renewed this often; default 15 s
	Pulse     time.Duration // progress is written at most this often; default 1 s
	Sweep     time.Duration // the rows are searched for due work this often; default 5 s
	Rering    time.Duration // one track is rung for again at most this often; default 30 s
	Backlog   int           // the sweep keeps the queue below so many tasks; default 1,000
	Drain     time.Duration // how long work in hand may take when stopping; default 25 s

	Logger  *slog.Logger          // default: discards
	Metrics prometheus.Registerer // default: a private registry
	Now     func() time.Time      // default time.Now
}

// Service works on tracks. Its Run may run in many processes at once.
type Service struct {
	c       Config
	holder  string        // names this process in its leases
	slots   chan struct{} // one for each track worked on
	metrics *metrics
}

// New returns a Service. A missing dependency or an unusable ladder is ErrInvalid.
func New(c Config) (*Service, error) {
	if c.Catalog == nil || c.Store == nil || c.Queue == nil || c.Engine == nil {
		return nil, fmt.Errorf("%w: workers need a catalog, a store, a queue and an engine", melodyud.ErrInvalid)
	}
	c = c.withDefaults()
	m, err := newMetrics(c.Metrics)
	if err != nil {
		return nil, fmt.Errorf("register workers metrics: %w", err)
	}
	if c.Place == "" {
		c.Place = rand.Text()
	}
	host, _ := os.Hostname() // only makes the holder's name easier to read
	return &Service{
		c: c, metrics: m, slots: make(chan struct{}, c.Concurrency),
		holder: fmt.Sprintf("%s/%s-%d", c.Place, host, os.Getpid()),
	}, nil
}

func (c Config) withDefaults() Config {
	orDuration(&c.Heartbeat, 15*time.Second)
	orDuration(&c.Pulse, time.Second)
	orDuration(&c.Sweep, 5*time.Second)
	orDuration(&c.Rering, 30*time.Second)
	orDuration(&c.Drain, 25*time.Second)
	if len(c.Ladder) == 0 {
		c.Ladder = melodyud.DefaultLadder()
	}
	if c.Scratch == "" {
		c.Scratch = os.TempDir() + "/melodyud-work"
	}
	if c.Concurrency <= 0 {
		c.Concurrency = max(1, runtime.NumCPU()/2)
	}
	if c.Backlog <= 0 {
		c.Backlog = 1000
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func orDuration(d *time.Duration, fallback time.Duration) {
	if *d <= 0 {
		*d = fallback
	}
}

// The tasks, by the names the catalog rings for.
var steps = map[string]melodyud.Step{
	"track:render":  melodyud.StepRender,
	"track:publish": melodyud.StepPublish,
	"gc":            melodyud.StepCollect,
}

// Run works until ctx ends, then waits up to Drain for what is in hand and gives
// back the rest, uncounted. An unreachable queue only slows it down. Errors: a
// scratch directory that cannot be used.
func (s *Service) Run(ctx context.Context) error {
	scratch, err := openScratch(s.c.Scratch)
	if err != nil {
		return fmt.Errorf("open scratch directory: %w", err)
	}
	defer scratch.close()
	if n, err := s.c.Catalog.Lapse(ctx, s.c.Place); err != nil {
		s.c.Logger.WarnContext(ctx, "leases of an earlier life stay", "error", err) // until they end by themselves
	} else if n > 0 {
		s.c.Logger.InfoContext(ctx, "work of an earlier life taken up", "tracks", n)
	}
	worker := &worker{Service: s, scratch: scratch, again: make(chan struct{}, 1)}
	var wg sync.WaitGroup
	wg.Go(func() { worker.sweep(ctx) })
	if s.c.Backfill != nil {
		wg.Go(func() { worker.catchUp(ctx) })
	}
	worker.answer(ctx)
	wg.Wait()
	return nil
}

const answerPause = 5 * time.Second

// answer answers rings until ctx ends, also when the queue is away for a while.
func (w *worker) answer(ctx context.Context) {
	handlers := map[string]queue.Handler{}
	for task, step := range steps {
		handlers[task] = func(ctx context.Context, subject string) error { return w.rung(ctx, step, subject) }
	}
	handlers["sound:reanalyze"] = func(context.Context, string) error {
		w.lookAgain()
		return nil
	}
	for ctx.Err() == nil {
		if err := w.c.Queue.Answer(ctx, w.c.Concurrency, w.c.Drain, handlers); err != nil {
			w.c.Logger.WarnContext(ctx, "queue not answered", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(answerPause):
		}
	}
}

// rung does one step once there is a slot for it.
func (w *worker) rung(ctx context.Context, step melodyud.Step, subject string) error {
	id, err := melodyud.ParseTrackID(subject)
	if err != nil {
		return fmt.Errorf("ring for %s: %w", step, err)
	}
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-ctx.Done():
		return nil // the row still says that it is owed
	}
	return w.work(ctx, step, id)
}
