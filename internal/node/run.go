package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// phase is when a runner stops: those of an earlier phase are gone before the
// next one is asked to stop.
type phase int

// The stop order, written once: what takes work in, then what works, then what
// relays the facts of that work. The backends close after all of them.
const (
	listening phase = iota
	working
	folding
	phases
)

// runner is one long-running part of the process.
type runner struct {
	name  string
	phase phase
	run   func(context.Context) error
}

// runAll runs all runners until ctx ends or one of them stops by itself, then
// stops them phase by phase and returns what went wrong.
func runAll(ctx context.Context, runners []runner) error {
	stopped := make(chan error, len(runners))
	var stops [phases]context.CancelFunc
	var groups [phases]sync.WaitGroup
	for p := range phases {
		own, stop := context.WithCancel(context.WithoutCancel(ctx))
		defer stop()
		stops[p] = stop
		for _, r := range runners {
			if r.phase == p {
				groups[p].Go(func() { stopped <- r.runUntil(own) })
			}
		}
	}
	var errs []error
	select {
	case <-ctx.Done():
	case err := <-stopped:
		errs = append(errs, err)
	}
	for p := range phases {
		stops[p]()
		groups[p].Wait()
	}
	close(stopped)
	for err := range stopped {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// runUntil runs r; coming back before ctx ended is a failure. A call that was cut
// short because ctx ended is not: who is asked to stop while starting says so.
func (r runner) runUntil(ctx context.Context) error {
	err := r.run(ctx)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	if ctx.Err() == nil {
		return fmt.Errorf("%s stopped by itself", r.name)
	}
	return nil
}

// returnStartPagesOnce is once for a process, however many nodes it runs.
var returnStartPagesOnce = sync.OnceValue(returnStartPages)
