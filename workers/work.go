package workers

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/fault"
)

// worker is a Service that runs.
type worker struct {
	*Service
	scratch *scratch
	again   chan struct{} // there may be something to listen to anew
}

// work claims a step, does it and settles the claim. Work that is done, held by
// somebody else or not due is no error: rings come twice and late.
func (w *worker) work(ctx context.Context, step melodyud.Step, id melodyud.TrackID) error {
	c, err := w.c.Catalog.Claim(ctx, id, step, w.holder)
	if errors.Is(err, melodyud.ErrConflict) || errors.Is(err, melodyud.ErrNotFound) {
		w.c.Logger.DebugContext(ctx, "nothing to do", "track", id, "step", step, "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	log := w.c.Logger.With("track", id, "step", step, "attempt", c.Attempt)
	log.InfoContext(ctx, "work begins")
	held, l := w.hold(ctx, c)
	defer l.lose(nil)
	err = w.perform(held, l)
	if lost := l.end(held); err != nil && errors.Is(lost, errLost) {
		err = errLost
	}
	return w.settle(ctx, c, err)
}

func (w *worker) perform(ctx context.Context, l *lease) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			w.c.Logger.ErrorContext(ctx, "work panicked", "track", l.claim.Track.ID, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	if err := fault.Point("task.taken"); err != nil {
		return err
	}
	switch l.claim.Step {
	case melodyud.StepRender:
		return w.render(ctx, l)
	case melodyud.StepPublish:
		return w.publish(ctx, l)
	case melodyud.StepCollect:
		return w.collect(ctx, l)
	}
	return fmt.Errorf("no such step: %s", l.claim.Step)
}

const settlePatience = 10 * time.Second

// settle writes down how a step ended. It also runs when ctx has ended: a worker
// that is stopped gives its work back at once.
func (w *worker) settle(ctx context.Context, c melodyud.Claim, err error) error {
	stopped := errors.Is(ctx.Err(), context.Canceled)
	trusted := ctx.Err() == nil // a decoder that was killed says anything
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settlePatience)
	defer cancel()
	log := w.c.Logger.With("track", c.Track.ID, "step", c.Step, "attempt", c.Attempt)
	refusal, refused := refusalIn(err)
	var end error
	switch {
	case err == nil:
		log.InfoContext(ctx, "work done")
		w.metrics.outcomes.WithLabelValues(string(c.Step), "done").Inc()
		return nil
	case errors.Is(err, errLost), errors.Is(err, melodyud.ErrConflict) && !refused:
		end = melodyud.ErrConflict
	case refused && trusted:
		log.InfoContext(ctx, "track refused", "code", refusal.Code, "error", err)
		w.metrics.failed(c.Step, "refused", refusal.Code)
		end = w.c.Catalog.Refuse(ctx, c, refusal)
	case stopped:
		log.InfoContext(ctx, "work given back")
		w.metrics.outcomes.WithLabelValues(string(c.Step), "given-back").Inc()
		end = w.c.Catalog.Fail(ctx, c, context.Canceled)
	case errors.Is(err, melodyud.ErrUnavailable), errors.Is(err, melodyud.ErrLimited):
		log.WarnContext(ctx, "work put off", "error", err)
		w.metrics.failed(c.Step, "put-off", codeOf(err))
		end = w.c.Catalog.Fail(ctx, c, err)
	default:
		log.ErrorContext(ctx, "work failed", "error", err)
		w.metrics.failed(c.Step, "failed", codeOf(err))
		end = w.c.Catalog.Fail(ctx, c, counted{err})
	}
	if errors.Is(end, melodyud.ErrConflict) {
		log.InfoContext(ctx, "lease lost")
		w.metrics.lost.Inc()
		return nil
	}
	return end
}

// refusalIn returns the verdict on the creator's file in err. A refusal for want
// of a backend is none.
func refusalIn(err error) (*melodyud.Refusal, bool) {
	r, ok := melodyud.AsRefusal(err)
	if !ok || r.Kind == melodyud.ErrUnavailable || r.Kind == melodyud.ErrLimited {
		return nil, false
	}
	return r, true
}

// counted is a failure of ours. It hides what it wraps, so that a cancellation
// somewhere inside is not taken for a stop of the worker and tried for ever.
type counted struct{ err error }

func (c counted) Error() string { return c.err.Error() }

// codeOf names a failure with few words, for metrics.
func codeOf(err error) string {
	if r, ok := melodyud.AsRefusal(err); ok {
		return r.Code
	}
	if kind := melodyud.Kind(err); kind != nil {
		return kind.Error()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "too slow"
	}
	return "internal"
}
