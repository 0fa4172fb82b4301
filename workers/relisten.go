package workers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

// backfill has published tracks that are to be listened to anew.
type backfill interface {
	// Next hands out a track with a lease; if there is none, ErrNotFound, and after
	// wait there may be one (0: unknown).
	Next(ctx context.Context) (item melodyud.Relisten, wait time.Duration, err error)
	Keep(ctx context.Context, item melodyud.Relisten) (time.Time, error)
	Settle(ctx context.Context, item melodyud.Relisten, outcome error) error
}

// relistened are how a published track gets what was heard anew.
type relistened interface {
	Relistening(ctx context.Context, t melodyud.Track, set melodyud.FeatureSet) error
	Relistened(ctx context.Context, t melodyud.Track, set melodyud.FeatureSet) error
}

// catchUp listens to published tracks again while nothing is due, with hands that
// would be idle; it looks when it is rung for, when a hand is free again, and at
// every sweep. When ctx ends it waits for the hands it has sent, and cancels them
// after Drain.
func (w *worker) catchUp(ctx context.Context) {
	hands, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var sent sync.WaitGroup
	defer func() {
		late := time.AfterFunc(w.c.Drain, cancel)
		defer late.Stop()
		sent.Wait()
	}()
	for ctx.Err() == nil {
		pause := w.c.Sweep
		if wait := w.sendAll(ctx, hands, &sent); wait > 0 {
			pause = min(pause, wait)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-w.again:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// sendAll sends every free hand to a track, and returns when there may be another.
func (w *worker) sendAll(ctx, hands context.Context, sent *sync.WaitGroup) time.Duration {
	for ctx.Err() == nil && !w.busy(ctx) {
		select {
		case w.slots <- struct{}{}:
		default:
			return 0
		}
		item, wait, err := w.c.Backfill.Next(ctx)
		if err != nil {
			<-w.slots
			if !errors.Is(err, melodyud.ErrNotFound) && ctx.Err() == nil {
				w.c.Logger.WarnContext(ctx, "tracks to listen to unknown", "error", err)
			}
			return wait
		}
		sent.Go(func() {
			defer w.lookAgain()
			defer func() { <-w.slots }()
			w.relisten(hands, item)
		})
	}
	return 0
}

// lookAgain wakes catchUp.
func (w *worker) lookAgain() {
	select {
	case w.again <- struct{}{}:
	default:
	}
}

// busy reports whether something more urgent waits for a hand.
func (w *worker) busy(ctx context.Context) bool {
	due, err := w.c.Catalog.Due(ctx, w.c.Now(), 1)
	return err != nil || len(due) > 0
}

// relisten listens to one track and settles its lease.
func (w *worker) relisten(ctx context.Context, item melodyud.Relisten) {
	log := w.c.Logger.With("track", item.Track.ID, "reanalysis", item.Reanalysis, "attempt", item.Attempt)
	work, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	var beat sync.WaitGroup
	over := make(chan struct{})
	beat.Go(func() { w.keep(work, lose, item, over) })
	err := w.hearAgain(work, item)
	close(over)
	beat.Wait()
	if errors.Is(context.Cause(work), errLost) {
		log.InfoContext(ctx, "lease lost")
		return
	}
	if ctx.Err() != nil {
		err = context.Canceled
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		log.WarnContext(ctx, "not listened to", "error", err)
	}
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), settlePatience)
	defer cancel()
	if err := w.c.Backfill.Settle(settle, item, err); err != nil && !errors.Is(err, melodyud.ErrConflict) {
		log.WarnContext(ctx, "track of a reanalysis not settled", "error", err) // its lease ends by itself
	}
}

// keep renews the lease on item until the work is over, and ends the work when it
// is lost.
func (w *worker) keep(ctx context.Context, lose context.CancelCauseFunc, item melodyud.Relisten, over <-chan struct{}) {
	tick := time.NewTicker(w.c.Heartbeat)
	defer tick.Stop()
	expires := item.Expires
	for {
		select {
		case <-over:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		until, err := w.c.Backfill.Keep(ctx, item)
		if err == nil {
			expires = until
		}
		if errors.Is(err, melodyud.ErrConflict) || !w.c.Now().Before(expires) {
			lose(errLost)
			return
		}
	}
}

// hearAgain fetches the master of item's release, listens to it and gives the
// release what was heard.
func (w *worker) hearAgain(ctx context.Context, item melodyud.Relisten) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			w.c.Logger.ErrorContext(ctx, "listening panicked", "track", item.Track.ID, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	master := item.Track.Release.Master
	set := FeatureSet(w.c.Engine, master.SHA256)
	if item.Track.Release.FeaturesHash == set.Hash {
		if heard, err := w.heard(ctx, set.Hash); heard || err != nil {
			return err
		}
	}
	if err := w.c.Catalog.Relistening(ctx, item.Track, set); err != nil {
		return err
	}
	dir, err := w.scratch.job()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	src, err := w.fetch(ctx, filepath.Join(dir, "master"), master)
	if err != nil {
		return fmt.Errorf("fetch master %s: %w", master.SHA256, err)
	}
	defer src.Close()
	if err := w.listen(ctx, src, filepath.Join(dir, "features"), master, set, nil); err != nil {
		return err
	}
	return w.c.Catalog.Relistened(ctx, item.Track, set)
}
