package workers

import (
	"context"
	"errors"
	"sync"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

// errLost ends work whose lease went to somebody else, or whose track is gone.
var errLost = errors.New("the lease was lost")

const renewPatience = 10 * time.Second

// lease keeps a claim alive while its holder works, and writes the holder's
// progress. Its context ends with errLost as the cause once the claim is lost: when
// the rows say so, or when it could not be renewed until it expired.
type lease struct {
	claim melodyud.Claim
	s     *Service
	lose  context.CancelCauseFunc

	stop context.CancelFunc // ends the heartbeat
	over chan struct{}      // closed when it has ended

	mu       sync.Mutex
	progress melodyud.Progress
}

// hold starts the heartbeat of c. The returned context is for the work; end must
// be called.
func (s *Service) hold(ctx context.Context, c melodyud.Claim) (context.Context, *lease) {
	work, lose := context.WithCancelCause(ctx)
	beat, stop := context.WithCancel(context.WithoutCancel(ctx))
	l := &lease{
		claim: c, s: s, lose: lose, stop: stop, over: make(chan struct{}),
		progress: melodyud.Progress{Attempt: c.Attempt},
	}
	go l.beat(beat)
	return work, l
}

// end stops the heartbeat, so that the last write meets a lease that stands still.
// It returns errLost if the claim is lost. Calling it again is fine.
func (l *lease) end(work context.Context) error {
	l.stop()
	<-l.over
	if errors.Is(context.Cause(work), errLost) {
		return errLost
	}
	return work.Err()
}

// show sets the progress that the next pulse writes.
func (l *lease) show(stage melodyud.Stage, fraction float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.progress.Stage = stage
	l.progress.Percent = int(100 * min(max(fraction, 0), 1))
}

func (l *lease) shown() melodyud.Progress {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.progress
}

func (l *lease) beat(ctx context.Context) {
	defer close(l.over)
	pulse := time.NewTicker(min(l.s.c.Pulse, l.s.c.Heartbeat))
	defer pulse.Stop()
	last, told := l.s.c.Now(), l.shown()
	expires := l.claim.Expires
	for {
		select {
		case <-ctx.Done():
			return
		case <-pulse.C:
		}
		now, progress := l.s.c.Now(), l.shown()
		if progress != told || now.Sub(last) >= l.s.c.Heartbeat {
			until, err := l.renew(ctx, expires.Sub(now), progress)
			switch {
			case err == nil:
				last, told, expires = now, progress, until
			case errors.Is(err, melodyud.ErrConflict), errors.Is(err, melodyud.ErrNotFound):
				l.lose(errLost)
				return
			case ctx.Err() == nil:
				l.s.c.Logger.WarnContext(ctx, "lease not renewed", "track", l.claim.Track.ID, "error", err)
			}
		}
		if !l.s.c.Now().Before(expires) {
			l.lose(errLost)
			return
		}
	}
}

func (l *lease) renew(ctx context.Context, left time.Duration, p melodyud.Progress) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, min(renewPatience, left))
	defer cancel()
	return l.s.c.Catalog.Renew(ctx, l.claim, p)
}
