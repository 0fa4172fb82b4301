// Package pause waits between tries: longer after each failure, jittered so
// that rivals part, and never longer than the context.
package pause

import (
	"context"
	"math/rand/v2"
	"time"
)

// Growing is the pause after a row of failures: half of it fixed, half random,
// doubling from First to Longest. The zero number of failures is a fresh one.
type Growing struct {
	First, Longest time.Duration

	failures int
}

// Reset forgets the failures.
func (g *Growing) Reset() { g.failures = 0 }

// Next returns how long to pause after one more failure.
func (g *Growing) Next() time.Duration {
	d := g.Longest
	if g.failures < 30 && g.First<<g.failures < g.Longest {
		d = g.First << g.failures
	}
	g.failures++
	return d/2 + rand.N(d/2+1)
}

// Wait sleeps for Next and says false if ctx ended before.
func (g *Growing) Wait(ctx context.Context) bool { return For(ctx, g.Next(), nil) }

// For sleeps for d, or until wake receives or is closed, and says false if ctx
// ended before.
func For(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
	case <-wake:
	}
	return ctx.Err() == nil
}
