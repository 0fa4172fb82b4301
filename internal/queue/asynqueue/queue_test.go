package asynqueue_test

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/melodyud/melodyud/internal/queue/asynqueue"
	"github.com/melodyud/melodyud/internal/queue/queuetest"
)

func TestMain(m *testing.M) {
	asynqueue.RouteRedisLog(silent)
	goleak.VerifyTestMain(m)
}

var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

func embedded(t testing.TB) *asynqueue.Queue {
	t.Helper()
	q, err := asynqueue.OpenEmbedded(t.Context(), asynqueue.Config{Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

func bench(q *asynqueue.Queue) queuetest.Bench {
	flush := func(ctx context.Context, c *redis.Client) error { return c.FlushAll(ctx).Err() }
	ctx := context.Background()
	switch c := q.Connection().MakeRedisClient().(type) {
	case *redis.ClusterClient:
		return queuetest.Bench{Queue: q, Flush: func() error { return c.ForEachMaster(ctx, flush) }}
	case *redis.Client:
		return queuetest.Bench{Queue: q, Flush: func() error { return flush(ctx, c) }}
	default:
		panic("a Redis of an unknown shape")
	}
}

func TestTheEmbeddedQueueKeepsTheContract(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t testing.TB) queuetest.Bench { return bench(embedded(t)) })
}
