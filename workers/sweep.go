package workers

import (
	"context"
	"sync"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/queue"
)

// sweeper finds work that nobody came for. It rings; and if nobody comes for that
// either, it sends a free hand of this process, so that a queue which loses every
// ring costs seconds and never a track.
type sweeper struct {
	*worker
	rung map[melodyud.TrackID]ring
}

// ring is when a track was first and last rung for by this process, since it is due.
type ring struct{ first, last time.Time }

// sweep looks at once and then every interval, until ctx ends; then it waits for
// the hands it has sent, and cancels them after Drain.
func (w *worker) sweep(ctx context.Context) {
	s := sweeper{worker: w, rung: map[melodyud.TrackID]ring{}}
	hands, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var sent sync.WaitGroup
	defer func() {
		late := time.AfterFunc(w.c.Drain, cancel)
		defer late.Stop()
		sent.Wait()
	}()
	tick := time.NewTicker(w.c.Sweep)
	defer tick.Stop()
	for {
		s.once(ctx, hands, &sent)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *sweeper) once(ctx, hands context.Context, sent *sync.WaitGroup) {
	now := s.c.Now()
	room := s.c.Backlog - s.observe(ctx)
	due, err := s.c.Catalog.Due(ctx, now, s.c.Backlog)
	if err != nil {
		if ctx.Err() == nil {
			s.c.Logger.WarnContext(ctx, "due work unknown", "error", err)
		}
		return
	}
	s.forget(due)
	for _, o := range due {
		if ctx.Err() != nil {
			return
		}
		r, known := s.rung[o.Track]
		switch {
		case known && now.Sub(r.first) >= s.c.Sweep && s.send(hands, o, sent):
		case !known && now.Sub(o.Due) >= s.c.Sweep/2, known && now.Sub(r.last) >= s.c.Rering:
			if room > 0 {
				room--
				s.ring(ctx, o, now)
			}
		}
	}
}

// forget drops the tracks that are not due any more.
func (s *sweeper) forget(due []melodyud.Owed) {
	still := make(map[melodyud.TrackID]ring, len(due))
	for _, o := range due {
		if r, ok := s.rung[o.Track]; ok {
			still[o.Track] = r
		}
	}
	s.rung = still
}

func (s *sweeper) ring(ctx context.Context, o melodyud.Owed, now time.Time) {
	r, known := s.rung[o.Track]
	if !known {
		r.first = now
	}
	r.last = now
	s.rung[o.Track] = r
	s.metrics.rerung.Inc()
	ctx, cancel := context.WithTimeout(ctx, ringPatience)
	defer cancel()
	if err := s.c.Queue.Ring(ctx, taskFor(o)); err != nil {
		s.c.Logger.WarnContext(ctx, "ring lost", "track", o.Track, "step", o.Step, "error", err)
	}
}

const ringPatience = 2 * time.Second

// send does the work here if a hand is free.
func (s *sweeper) send(hands context.Context, o melodyud.Owed, sent *sync.WaitGroup) bool {
	select {
	case s.slots <- struct{}{}:
	default:
		return false
	}
	sent.Go(func() {
		defer func() { <-s.slots }()
		if err := s.work(hands, o.Step, o.Track); err != nil {
			s.c.Logger.ErrorContext(hands, "swept work failed", "track", o.Track, "step", o.Step, "error", err)
		}
	})
	delete(s.rung, o.Track)
	return true
}

// taskFor is the ring for a step, in the queue of its urgency.
func taskFor(o melodyud.Owed) queue.Task {
	for task, step := range steps {
		if step == o.Step {
			return queue.Task{Type: task, Subject: string(o.Track), Urgency: urgencies[step]}
		}
	}
	return queue.Task{}
}

var urgencies = map[melodyud.Step]queue.Urgency{
	melodyud.StepPublish: queue.Critical, melodyud.StepRender: queue.Default, melodyud.StepCollect: queue.Bulk,
}

// observe sets the gauges and returns how many tasks wait in the queue.
func (s *sweeper) observe(ctx context.Context) int {
	ctx, cancel := context.WithTimeout(ctx, ringPatience)
	defer cancel()
	waiting := 0
	depths, err := s.c.Queue.Depths(ctx)
	if err != nil {
		s.c.Logger.WarnContext(ctx, "queue depths unknown", "error", err)
	}
	for _, d := range depths {
		waiting += d.Pending + d.Delayed
		s.metrics.showDepth(d)
	}
	if b, err := s.c.Catalog.Backlog(ctx); err == nil {
		s.metrics.showBacklog(b)
	}
	return waiting
}
