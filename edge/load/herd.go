package load

import (
	"context"
	"fmt"
	"sync"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

// HerdReport is what many met who started one track in the same moment.
type HerdReport struct {
	Listeners int     `json:"listeners"`
	Seconds   float64 `json:"seconds"` // until the last one had its first segment
	Bytes     int64   `json:"bytes"`
	// Startup is from the start signal to the first segment's last byte; FirstByte is
	// from a request for sound, the init segment or that one, to its answer's first byte.
	Startup   Spread           `json:"startup_ms"`
	FirstByte Spread           `json:"first_byte_ms"`
	Errors    map[string]int64 `json:"errors"`
}

// Herd has all of c.Listeners connect and get their right to play the most popular
// track, and then start it at once: playlists, init segment, first segment in the
// lowest quality. It ends when all have theirs or c.For is over.
func Herd(ctx context.Context, c Config) (HerdReport, error) {
	c, err := c.withDefaults()
	if err != nil {
		return HerdReport{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.For)
	defer cancel()
	h := &herd{crowd: &crowd{config: c, seen: newSeen(), lists: &lists{}}, signal: make(chan struct{})}
	var ready, done sync.WaitGroup
	for range c.Listeners {
		ready.Add(1)
		done.Go(func() { h.one(ctx, ready.Done) })
	}
	ready.Wait()
	if ctx.Err() != nil {
		return HerdReport{}, fmt.Errorf("%w: %d listeners could not all connect within %s", melodyud.ErrUnavailable, c.Listeners, c.For)
	}
	h.began = c.Now()
	close(h.signal)
	done.Wait()
	s := h.crowd.seen
	return HerdReport{
		Listeners: c.Listeners, Seconds: c.Now().Sub(h.began).Seconds(), Bytes: s.bytes.Load(),
		Startup: s.started.counts().spread(), FirstByte: s.firstByte.counts().spread(), Errors: s.faultsByKind,
	}, nil
}

type herd struct {
	crowd  *crowd
	signal chan struct{}
	began  time.Time // set before signal
}

// one is one listener of the herd.
func (h *herd) one(ctx context.Context, ready func()) {
	l := &listener{crowd: h.crowd, line: h.crowd.line()}
	defer context.AfterFunc(ctx, l.line.cut)()
	defer l.line.cut()
	address, ok := l.admission(ctx, 0)
	if ok {
		ok = l.line.prepare(ctx, address) == nil
	}
	ready()
	select {
	case <-h.signal:
	case <-ctx.Done():
		return
	}
	if !ok {
		h.crowd.seen.fault("no connection")
		return
	}
	index, ok := l.list(ctx, address)
	if !ok {
		return
	}
	t := &tape{listener: l, player: &player{}, index: index, base: address, began: h.began, begun: func() {}}
	if t.choose(ctx) {
		t.segment(ctx, 0)
	}
}
