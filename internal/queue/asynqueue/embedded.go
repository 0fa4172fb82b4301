package asynqueue

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// OpenEmbedded opens a queue on a Redis of its own inside the process. It is
// reached through memory, not through a port, and forgets everything at Close.
func OpenEmbedded(ctx context.Context, cfg Config) (*Queue, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	inner := &embedded{server: miniredis.NewMiniRedis(), ended: make(chan struct{})}
	q := &Queue{cfg: cfg, stop: inner.close, redis: redis.NewClient(&redis.Options{
		Addr:                  "embedded",
		Dialer:                inner.dial,
		ContextTimeoutEnabled: true,
		DisableIdentity:       true,
	})}
	inner.clock.Go(inner.advance)
	if err := q.Ping(ctx); err != nil {
		_ = q.Close()
		return nil, err
	}
	return q, nil
}

// embedded is the Redis in the process and its clock.
type embedded struct {
	server *miniredis.Miniredis
	ended  chan struct{}
	clock  sync.WaitGroup

	mu     sync.Mutex
	closed bool
}

// dial refuses after close, where the server would come back to life.
func (e *embedded) dial(context.Context, string, string) (net.Conn, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, net.ErrClosed
	}
	return e.server.Dial()
}

// advance lets keys expire. The server's own clock (ClockTTL) sorts all keys at
// every command; a second's tick costs nothing and makes expiry at most a second early.
func (e *embedded) advance() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-e.ended:
			return
		case <-tick.C:
			now := time.Now()
			e.server.FastForward(now.Sub(last))
			last = now
		}
	}
}

func (e *embedded) close() {
	e.mu.Lock()
	again := e.closed
	e.closed = true
	e.mu.Unlock()
	if again {
		return
	}
	close(e.ended)
	e.clock.Wait()
	e.server.Close()
}
