package asynqueue

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/queue"
)

// patience is how long Answer waits for a cancelled handler to return.
const patience = 10 * time.Second

// Answer runs handlers until ctx ends. Tasks of a type without a handler are
// logged and dropped, so all processes that answer must answer the same types. What is
// cancelled after drain goes back to the queue for others.
func (q *Queue) Answer(ctx context.Context, concurrency int, drain time.Duration, handlers map[string]queue.Handler) error {
	if concurrency < 1 || drain < 0 {
		return fmt.Errorf("%w: answer with concurrency %d and drain %s", melodyud.ErrInvalid, concurrency, drain)
	}
	h := &hands{handlers: handlers, log: q.cfg.Logger}
	server := asynq.NewServerFromRedisClient(q.redis, asynq.Config{
		Concurrency:              concurrency,
		BaseContext:              func() context.Context { return context.WithoutCancel(ctx) },
		TaskCheckInterval:        q.cfg.Poll,
		DelayedTaskCheckInterval: time.Second,
		Queues:                   weights,
		ShutdownTimeout:          max(drain, 1), // zero would mean Asynq's default
		Logger:                   &voice{log: q.cfg.Logger, now: q.cfg.Now},
		LogLevel:                 asynq.InfoLevel,
	})
	if err := server.Start(asynq.HandlerFunc(h.process)); err != nil {
		return fmt.Errorf("answer the queue: %w", err)
	}
	<-ctx.Done()
	server.Shutdown()
	h.rest()
	return nil
}

// hands are the handlers at work. Asynq's Shutdown leaves those it has cancelled
// behind; rest waits for them.
type hands struct {
	handlers map[string]queue.Handler
	log      *slog.Logger

	mu     sync.Mutex
	folded bool // no further handler may start
	busy   sync.WaitGroup
}

func (h *hands) begin() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.folded {
		h.busy.Add(1)
	}
	return !h.folded
}

func (h *hands) rest() {
	h.mu.Lock()
	h.folded = true
	h.mu.Unlock()
	idle := make(chan struct{})
	go func() { h.busy.Wait(); close(idle) }()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-idle:
	case <-late.C:
		h.log.Error("a task handler ignores its cancellation; leaving it behind")
	}
}

// process always returns nil to Asynq: whatever comes of a task is in the rows.
func (h *hands) process(ctx context.Context, t *asynq.Task) error {
	if ctx.Err() != nil || !h.begin() {
		return nil
	}
	defer h.busy.Done()
	log := h.log.With("task", t.Type(), "subject", string(t.Payload()))
	handle := h.handlers[t.Type()]
	if handle == nil {
		log.Error("task has no handler here; dropped")
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			log.ErrorContext(ctx, "task handler panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	if err := handle(ctx, string(t.Payload())); err != nil {
		log.Log(ctx, levelOf(ctx, err), "task handler failed", "error", err)
	}
	return nil
}

func levelOf(ctx context.Context, err error) slog.Level {
	switch kind := melodyud.Kind(err); {
	case kind == melodyud.ErrUnavailable:
		return slog.LevelWarn
	case kind != nil || ctx.Err() != nil:
		return slog.LevelInfo
	}
	return slog.LevelError
}

// voice is what Asynq logs through. Its chatter is debugging to us, and its troubles
// are outages that the sweep survives: of the several each second one stands for all.
type voice struct {
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	next time.Time // the next trouble is told from then on
}

const breath = 10 * time.Second // between two troubles

func (v *voice) Debug(...any)      {}
func (v *voice) Info(args ...any)  { v.say(slog.LevelDebug, args) }
func (v *voice) Warn(args ...any)  { v.say(v.trouble(), args) }
func (v *voice) Error(args ...any) { v.say(v.trouble(), args) }
func (v *voice) Fatal(args ...any) { v.say(slog.LevelError, args) }

func (v *voice) trouble() slog.Level {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.now()
	if now.Before(v.next) {
		return slog.LevelDebug
	}
	v.next = now.Add(breath)
	return slog.LevelWarn
}

func (v *voice) say(level slog.Level, args []any) {
	v.log.Log(context.Background(), level, "asynq", "text", fmt.Sprint(args...))
}
