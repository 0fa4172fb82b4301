package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"

	"github.com/redis/go-redis/v9"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/postgres"
	"github.com/melodyud/melodyud/internal/database/sqlite"
	"github.com/melodyud/melodyud/internal/eventlog"
	"github.com/melodyud/melodyud/internal/eventlog/tables"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/objectstore/dir"
	"github.com/melodyud/melodyud/internal/objectstore/s3"
	"github.com/melodyud/melodyud/internal/ops"
	"github.com/melodyud/melodyud/internal/queue"
	"github.com/melodyud/melodyud/internal/queue/asynqueue"
)

// backends are the four things services meet at, and the lock on the data
// directory.
type backends struct {
	db      database.DB
	store   objectstore.Store
	queue   queue.Queue
	console func(rootPath string, readOnly bool) http.Handler // of the queue
	events  eventlog.Log
	redis   redis.UniversalClient // of --queue; nil: it is inside this process

	log     *slog.Logger
	closers []io.Closer // in the order they were opened
}

// RouteLibraryLogs sends what libraries would write to standard error by themselves
// to the log that c describes. It holds for the whole process: call it once, before
// Open.
func RouteLibraryLogs(c Config) error {
	log, err := ops.NewLogger(c.LogOutput, c.LogFormat, c.LogLevel)
	if err != nil {
		return err
	}
	asynqueue.RouteRedisLog(log)
	return nil
}

// openBackends opens all four; the URLs' schemes pick the adapters. After an
// error nothing stays open.
func openBackends(ctx context.Context, c Config, log *slog.Logger) (b *backends, err error) {
	b = &backends{log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	held, err := lock(c.Data)
	if err != nil {
		return b, err
	}
	b.closers = append(b.closers, held)
	for _, open := range []func(context.Context, Config) error{b.openDB, b.openStore, b.openQueue, b.openEvents} {
		if err := open(ctx, c); err != nil {
			return b, err
		}
	}
	return b, nil
}

func (b *backends) openDB(ctx context.Context, c Config) (err error) {
	name, path := scheme(c.DB, "sqlite")
	switch name {
	case "sqlite":
		if path == "" {
			path = c.path("melodyud.db")
		}
		b.db, err = sqlite.Open(ctx, path)
	case "postgres", "postgresql":
		b.db, err = postgres.Open(ctx, c.DB)
	default:
		err = unknownScheme("--db", name, "sqlite:PATH or postgres://…")
	}
	return b.opened(b.db, err)
}

func (b *backends) openStore(ctx context.Context, c Config) (err error) {
	name, path := scheme(c.Objects, "dir")
	switch name {
	case "dir", "file":
		if path == "" {
			path = c.path("objects")
		}
		var store *dir.Store
		store, err = dir.Open(dir.Config{Path: path, Now: c.Now})
		b.store = store
		return b.opened(store, err)
	case "s3":
		b.store, err = s3.Open(ctx, c.Objects)
		return err
	}
	return unknownScheme("--objects", name, "dir:PATH or s3://KEY:SECRET@host:port/bucket")
}

func (b *backends) openQueue(ctx context.Context, c Config) error {
	options := asynqueue.Config{Logger: b.log, Now: c.Now}
	name, _ := scheme(c.Queue, "embedded")
	open := func() (*asynqueue.Queue, error) { return asynqueue.Open(ctx, c.Queue, options) }
	switch name {
	case "embedded":
		open = func() (*asynqueue.Queue, error) { return asynqueue.OpenEmbedded(ctx, options) }
	case "redis", "rediss", "redis-sentinel", "redis-cluster":
	default:
		return unknownScheme("--queue", name, "redis://, rediss://, redis-sentinel:// or redis-cluster://…")
	}
	q, err := open()
	if err != nil {
		return err
	}
	b.queue, b.console = q, q.Console
	if name != "embedded" {
		b.redis, _ = q.Connection().MakeRedisClient().(redis.UniversalClient)
	}
	if c.Bells != nil {
		b.queue = c.Bells(q)
	}
	return b.opened(q, nil)
}

func (b *backends) openEvents(_ context.Context, c Config) error {
	if name, _ := scheme(c.Events, "db"); name != "db" {
		return unknownScheme("--events", name, "db:")
	}
	log, err := tables.Open(tables.Config{DB: b.db, Logger: b.log})
	b.events = log
	return b.opened(log, err)
}

func (b *backends) opened(one io.Closer, err error) error {
	if err == nil {
		b.closers = append(b.closers, one)
	}
	return err
}

func unknownScheme(flag, name, known string) error {
	return fmt.Errorf("%w: %s does not know %q: use %s", melodyud.ErrInvalid, flag, name+":", known)
}

// close closes everything, last opened first.
func (b *backends) close() error {
	var errs []error
	for i := len(b.closers) - 1; i >= 0; i-- {
		if err := b.closers[i].Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			errs = append(errs, err)
		}
	}
	b.closers = nil
	return errors.Join(errs...)
}
