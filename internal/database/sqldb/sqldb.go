// Package sqldb is what the adapters of package database have in common: the
// port laid over database/sql. An adapter adds its driver, dialect and errors.
//
// Both adapters are made to fail alike: a statement that failed loses its
// transaction even where the engine would go on, and a text that one engine
// would refuse is refused by both.
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/pause"
)

const (
	defaultWait = 10 * time.Second
	attempts    = 40
	starts      = 6 // more than a pool keeps idle: a restarted server breaks them all
	firstPause  = 2 * time.Millisecond
	longPause   = 200 * time.Millisecond
)

// Config is an adapter. Read, Write and Kind are required.
type Config struct {
	Read  *sql.DB // runs single SELECTs; closed with the DB
	Write *sql.DB // runs everything else; may be Read; closed with the DB

	// Isolation of transactions. Default: what the driver begins by itself.
	Isolation sql.IsolationLevel
	// Rebind turns `?` into the dialect's placeholders. Default: unchanged.
	Rebind func(query string) string
	// Kind returns the melodyud kind of a driver's error, or nil.
	Kind func(error) error
	// Lost says whether a transaction lost against another and may be run again.
	Lost func(error) bool
	// Wait is how long a transaction waits for a connection before it is
	// ErrUnavailable. Default 10 s.
	Wait time.Duration
	// Stamp is that of database.Stamped. Default: there is no telling.
	Stamp func() (database.Stamp, bool)
	// Last is closed after the pools. Default: nothing.
	Last io.Closer
}

// DB implements database.DB.
type DB struct {
	Config
	closed  atomic.Bool
	emitted chan struct{}
}

var (
	_ database.DB      = (*DB)(nil)
	_ database.Stamped = (*DB)(nil)
)

// New lays the port over c.
func New(c Config) (*DB, error) {
	if c.Read == nil || c.Write == nil || c.Kind == nil {
		return nil, errors.New("sqldb: Read, Write and Kind are required")
	}
	if c.Rebind == nil {
		c.Rebind = func(query string) string { return query }
	}
	if c.Lost == nil {
		c.Lost = func(error) bool { return false }
	}
	if c.Stamp == nil {
		c.Stamp = func() (database.Stamp, bool) { return database.Stamp{}, false }
	}
	if c.Wait == 0 {
		c.Wait = defaultWait
	}
	return &DB{Config: c, emitted: make(chan struct{}, 1)}, nil
}

// Exec runs one statement in a transaction of its own.
func (d *DB) Exec(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = d.InTx(ctx, func(tx database.Tx) error {
		n, err = tx.Exec(ctx, query, args...)
		return err
	})
	return n, err
}

// Query runs one statement; the caller closes the rows before anything else.
func (d *DB) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	args, err := plain(args)
	if err != nil {
		return nil, err
	}
	rows, err := d.pool(query).QueryContext(ctx, d.Rebind(query), args...)
	return rows, d.translate(ctx, err)
}

// QueryRow scans one row into dest; no row is ErrNotFound.
func (d *DB) QueryRow(ctx context.Context, query string, args []any, dest ...any) error {
	if !reads(query) {
		return d.InTx(ctx, func(tx database.Tx) error { return tx.QueryRow(ctx, query, args, dest...) })
	}
	args, err := plain(args)
	if err != nil {
		return err
	}
	return d.translate(ctx, d.Read.QueryRowContext(ctx, d.Rebind(query), args...).Scan(dest...))
}

// InTx runs f in a serializable transaction, again if it lost against another.
func (d *DB) InTx(ctx context.Context, f func(tx database.Tx) error) error {
	var err error
	between := pause.Growing{First: firstPause, Longest: longPause}
	for n := range attempts {
		if err = d.once(ctx, f); err == nil || !d.again(err, n) {
			return d.translate(ctx, err)
		}
		if !between.Wait(ctx) {
			return d.translate(ctx, ctx.Err())
		}
	}
	return fmt.Errorf("%w: transaction lost %d times against others: %w", melodyud.ErrUnavailable, attempts, err)
}

// again says whether a transaction that failed with err had no effect and is
// worth another try after n earlier ones.
func (d *DB) again(err error, n int) bool {
	var start *startError
	if errors.As(err, &start) {
		return n < starts && !d.closed.Load() && errors.Is(d.Kind(err), melodyud.ErrUnavailable)
	}
	return d.Lost(err)
}

// startError is a failure before the first statement.
type startError struct{ error }

func (s *startError) Unwrap() error { return s.error }

func (d *DB) once(ctx context.Context, f func(tx database.Tx) error) error {
	conn, err := d.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	under, err := conn.BeginTx(ctx, &sql.TxOptions{Isolation: d.Isolation})
	if err != nil {
		return &startError{err}
	}
	defer under.Rollback() // does nothing after a commit
	t := &tx{db: d, under: under}
	err = f(t)
	if t.failed != nil {
		return t.failed
	}
	if err != nil {
		return err
	}
	if err := under.Commit(); err != nil {
		return err
	}
	if t.emitted {
		d.signal()
	}
	return nil
}

// connect waits for a connection, but not for ever: an overloaded database says so.
func (d *DB) connect(ctx context.Context) (*sql.Conn, error) {
	waiting, cancel := context.WithTimeout(ctx, d.Wait)
	defer cancel()
	conn, err := d.Write.Conn(waiting)
	if err != nil && ctx.Err() == nil && waiting.Err() != nil {
		return nil, fmt.Errorf("%w: no connection to the database was free for %s", melodyud.ErrUnavailable, d.Wait)
	}
	return conn, err
}

// Emitted receives soon after a transaction of this DB that emitted facts has
// committed. Signals are merged; there is one listener, the relay.
func (d *DB) Emitted() <-chan struct{} { return d.emitted }

func (d *DB) signal() {
	select {
	case d.emitted <- struct{}{}:
	default:
	}
}

// Stamp names the state of the rows.
func (d *DB) Stamp() (database.Stamp, bool) { return d.Config.Stamp() }

// Ping says whether the database answers.
func (d *DB) Ping(ctx context.Context) error {
	var one int
	return d.QueryRow(ctx, "SELECT 1", nil, &one)
}

// Close waits for statements in hand and closes the pools.
func (d *DB) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
	err := d.Write.Close()
	if d.Read != d.Write {
		err = errors.Join(err, d.Read.Close())
	}
	if d.Last != nil {
		err = errors.Join(err, d.Last.Close())
	}
	return err
}

func (d *DB) pool(query string) *sql.DB {
	if reads(query) {
		return d.Read
	}
	return d.Write
}

func reads(query string) bool {
	word, _, _ := strings.Cut(strings.TrimSpace(query)+" ", " ")
	word, _, _ = strings.Cut(strings.ReplaceAll(word, "\t", "\n"), "\n")
	return strings.EqualFold(word, "SELECT")
}
