// Package asynqueue is the queue on Asynq: on a Redis inside the process by
// default, on a real one by URL.
//
// It uses little of Asynq on purpose. Every ring has a fresh id and no retries, so
// nothing that Redis forgets, keeps or gets stuck can hold work up: the rows know what
// is to be done, and the sweep over them rings again.
package asynqueue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/queue"
)

// reach bounds every single question to Redis, dialling included.
const reach = 5 * time.Second

// weights share the workers out among the queues when all are busy.
var weights = map[string]int{
	string(queue.Critical): 6,
	string(queue.Default):  3,
	string(queue.Bulk):     1,
}

// Config is the same for the embedded and the real Redis. The zero value is usable.
type Config struct {
	// Timeout ends a handler's context; it must outlast the longest render. Whole
	// seconds. Zero: 6 h.
	Timeout time.Duration
	// Poll is how often an idle Answer looks for work: it wakes after half to one and
	// a half of it. Zero: 50 ms.
	Poll time.Duration
	// Logger gets handlers' errors and what Asynq has to say. Nil: slog.Default().
	Logger *slog.Logger
	// Now is the clock for delays. Nil: time.Now.
	Now func() time.Time
}

func (c *Config) complete() error {
	if c.Timeout == 0 {
		c.Timeout = 6 * time.Hour
	}
	if c.Timeout < time.Second || c.Timeout%time.Second != 0 {
		return fmt.Errorf("%w: queue timeout %s: want whole seconds", melodyud.ErrInvalid, c.Timeout)
	}
	if c.Poll == 0 {
		c.Poll = 50 * time.Millisecond
	}
	if c.Poll < time.Millisecond {
		return fmt.Errorf("%w: queue poll %s: want at least 1 ms", melodyud.ErrInvalid, c.Poll)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return nil
}

// Queue is a queue.Queue on Asynq.
type Queue struct {
	cfg   Config
	redis redis.UniversalClient
	stop  func() // ends the embedded Redis; nothing for a real one
}

// Ring wakes one handler. A delayed task is never early; it is up to two seconds late.
func (q *Queue) Ring(ctx context.Context, t queue.Task) error {
	opts, err := q.options(t)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, reach)
	defer cancel()
	// A fresh client each time: one that is kept announces its queues only once, so
	// after a FLUSHALL no inspector would see them again.
	client := asynq.NewClientFromRedisClient(q.redis)
	if _, err := client.EnqueueContext(ctx, asynq.NewTask(t.Type, []byte(t.Subject)), opts...); err != nil {
		return fmt.Errorf("ring %s: %w: %w", t.Type, melodyud.ErrUnavailable, err)
	}
	return nil
}

func (q *Queue) options(t queue.Task) ([]asynq.Option, error) {
	if t.Type == "" {
		return nil, fmt.Errorf("%w: a task without a type", melodyud.ErrInvalid)
	}
	if t.Delay < 0 {
		return nil, fmt.Errorf("%w: task %s with a delay of %s", melodyud.ErrInvalid, t.Type, t.Delay)
	}
	if t.Urgency == "" {
		t.Urgency = queue.Default
	}
	if weights[string(t.Urgency)] == 0 {
		return nil, fmt.Errorf("%w: task %s for queue %q: want critical, default or bulk", melodyud.ErrInvalid, t.Type, t.Urgency)
	}
	opts := []asynq.Option{
		asynq.TaskID(rand.Text()), asynq.Queue(string(t.Urgency)),
		asynq.MaxRetry(0), asynq.Timeout(q.cfg.Timeout),
	}
	if t.Delay > 0 {
		opts = append(opts, asynq.ProcessAt(wholeSecond(q.cfg.Now().Add(t.Delay))))
	}
	return opts, nil
}

// wholeSecond rounds up: Asynq keeps whole seconds and would cut, running early.
func wholeSecond(t time.Time) time.Time {
	if cut := t.Truncate(time.Second); cut.Before(t) {
		return cut.Add(time.Second)
	}
	return t
}

// Depths counts what waits in each queue, the most urgent first. A queue that
// Redis does not know, because nothing was rung yet or it was flushed, is empty.
func (q *Queue) Depths(ctx context.Context) ([]queue.Depth, error) {
	if err := q.Ping(ctx); err != nil {
		return nil, err
	}
	depths := make([]queue.Depth, 0, len(weights))
	for _, u := range []queue.Urgency{queue.Critical, queue.Default, queue.Bulk} {
		d, err := q.depth(u)
		if err != nil {
			return nil, fmt.Errorf("depth of queue %s: %w: %w", u, melodyud.ErrUnavailable, err)
		}
		depths = append(depths, d)
	}
	return depths, nil
}

func (q *Queue) depth(u queue.Urgency) (queue.Depth, error) {
	in := asynq.NewInspectorFromRedisClient(q.redis)
	info, err := in.GetQueueInfo(string(u))
	if err != nil {
		return queue.Depth{Urgency: u}, unlessUnknown(in, string(u), err)
	}
	return queue.Depth{
		Urgency: u, Pending: info.Pending, Active: info.Active,
		Delayed: info.Scheduled, Oldest: info.Latency,
	}, nil
}

// unlessUnknown forgives err when Redis does not know the queue, for which Asynq
// exports no error to compare with.
func unlessUnknown(in *asynq.Inspector, name string, err error) error {
	names, listErr := in.Queues()
	if listErr != nil {
		return errors.Join(err, listErr)
	}
	for _, known := range names {
		if known == name {
			return err
		}
	}
	return nil
}

// Ping asks Redis whether it is there.
func (q *Queue) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reach)
	defer cancel()
	if err := q.redis.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("ping the queue: %w: %w", melodyud.ErrUnavailable, err)
	}
	return nil
}

// Close closes the connections and ends the embedded Redis with all it holds.
// Let Answer return first.
func (q *Queue) Close() error {
	err := q.redis.Close()
	q.stop()
	if errors.Is(err, redis.ErrClosed) {
		return nil
	}
	return err
}
