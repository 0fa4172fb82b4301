// Package inbox takes files that creators drop below inbox/<creator>/ with whatever
// program they have: a file manager, mc, rclone.
//
// One process at a time looks through the inbox, at intervals and when it is woken.
// A file that has not changed for a while is read into the same state machine as every
// other upload, and removed only when its bytes are a track's; the row that names its
// version makes that once, whatever crashes in between. A sidecar (song.wav.json) or
// a CSV file in the folder says how files are called, and report.json in the
// creator's folder what became of each.
package inbox

import (
	"context"
	"errors"
	"log/slog"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/ingest"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/lease"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// creators knows who may upload.
type creators interface {
	IsCreator(ctx context.Context, user melodyud.UserID) (bool, error)
}

// tracks knows what became of tracks.
type tracks interface {
	Track(ctx context.Context, who api.Principal, id melodyud.TrackID) (melodyud.Track, error)
}

// Config configures a Service.
type Config struct {
	DB       database.DB       // required
	Box      objectstore.Inbox // required; if it is a Waker too, it is listened to
	Uploads  *ingest.Service   // required
	Creators creators          // required
	Tracks   tracks            // required
	Logger   *slog.Logger      // default: discards

	Scan   time.Duration    // pause between two looks through the inbox; default 30 s
	Settle time.Duration    // a file is taken when it has not changed for so long; default 10 s
	Keep   time.Duration    // a refused file is kept for so long, and a report's entry; default 30 days
	Term   time.Duration    // of the lease; default lease.DefaultTerm
	Now    func() time.Time // default time.Now
}

// Service empties an inbox.
type Service struct {
	config  Config
	lease   *lease.Lease
	nudge   chan struct{}
	seen    map[string]sighting // by name; only used by the one look at a time
	written map[string]string   // what the last report told, by folder
}

// sighting is since when a file has been what it is.
type sighting struct {
	tag   string
	since time.Time
}

// New returns a service. Nothing is taken until Run.
func New(c Config) (*Service, error) {
	if c.DB == nil || c.Box == nil || c.Uploads == nil || c.Creators == nil || c.Tracks == nil {
		return nil, errors.New("inbox: Config needs DB, Box, Uploads, Creators and Tracks")
	}
	for field, fallback := range map[*time.Duration]time.Duration{
		&c.Scan: 30 * time.Second, &c.Settle: 10 * time.Second, &c.Keep: 30 * 24 * time.Hour, &c.Term: lease.DefaultTerm,
	} {
		if *field == 0 {
			*field = fallback
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{
		config: c, nudge: make(chan struct{}, 1), lease: lease.New(lease.Config{DB: c.DB, Name: "inbox", Term: c.Term}),
		seen: map[string]sighting{}, written: map[string]string{},
	}, nil
}

// Run looks through the inbox until ctx ends; then it returns nil. Of all processes
// that run it one works.
func (s *Service) Run(ctx context.Context) error {
	s.lease.Run(ctx, min(s.config.Scan, time.Second), func(err error) {
		s.config.Logger.Warn("the inbox is not looked through", "error", err)
	}, s.watch)
	return nil
}

// watch looks through the inbox again and again, while this process holds the lease.
func (s *Service) watch(ctx context.Context) error {
	clear(s.seen)
	ctx, cancel := context.WithCancel(ctx)
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		s.listen(ctx)
	}()
	defer func() {
		cancel()
		<-listening
	}()
	for ctx.Err() == nil {
		soon, err := s.look(ctx)
		if err != nil && ctx.Err() == nil {
			s.config.Logger.Warn("look through the inbox failed", "error", err)
		}
		wait := s.config.Scan
		if soon {
			wait = min(wait, s.config.Settle)
		}
		s.rest(ctx, wait)
	}
	return context.Cause(ctx)
}

func (s *Service) rest(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-s.nudge:
	}
}

// listen wakes watch where the store can tell; the looks at intervals do without.
func (s *Service) listen(ctx context.Context) {
	w, ok := s.config.Box.(objectstore.Waker)
	for ok && ctx.Err() == nil {
		err := w.Listen(ctx, s.wake)
		if ctx.Err() == nil {
			s.config.Logger.Info("not woken by the inbox's store for now", "error", err)
			s.rest(ctx, s.config.Scan)
		}
	}
}

func (s *Service) wake() {
	select {
	case s.nudge <- struct{}{}:
	default:
	}
}
