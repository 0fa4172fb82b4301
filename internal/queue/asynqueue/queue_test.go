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

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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
	server := q.Connection().MakeRedisClient().(redis.UniversalClient)
	return queuetest.Bench{Queue: q, Flush: func() error { return server.FlushAll(context.Background()).Err() }}
}

func TestTheEmbeddedQueueKeepsTheContract(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t testing.TB) queuetest.Bench { return bench(embedded(t)) })
}
