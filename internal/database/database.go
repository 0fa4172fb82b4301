// Package database is the port to the rows: what is true now. Its adapters are
// SQLite (one file, the default) and PostgreSQL (by URL); package databasetest
// is the contract both are held to.
//
// SQL is written once, in the subset both speak: `?` placeholders, TEXT, BIGINT
// and no vendor functions; times are BIGINT unix milliseconds (Millis, Time),
// booleans are BIGINT 0 or 1, INSERT … ON CONFLICT and RETURNING are allowed.
package database

import (
	"context"
	"database/sql"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

// Querier runs single statements; both DB and Tx are one. A text argument that is
// not UTF-8 or has a NUL is ErrInvalid; a time must be given as Millis.
type Querier interface {
	// Exec returns the number of rows touched. A unique violation is ErrConflict.
	Exec(ctx context.Context, query string, args ...any) (int64, error)
	// Query returns rows, which must be closed before the next statement of the
	// same transaction; their Err may be returned from InTx as it is.
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	// QueryRow scans one row into dest; no row is ErrNotFound.
	QueryRow(ctx context.Context, query string, args []any, dest ...any) error
}

// Tx is one transaction. After a statement failed, with anything but ErrNotFound,
// every further one fails and nothing is committed, whatever f returns. Facts
// given to Emit are written with it (the outbox) and relayed to the event log
// only after it has committed.
type Tx interface {
	Querier
	// Emit records facts on a topic of the event log. Facts of one subject keep the
	// order in which they were committed if the transactions that emit them change
	// the same row. An event that eventlog.Check refuses is refused here.
	Emit(ctx context.Context, topic string, events ...melodyud.Event) error
}

// DB is a database whose schema is up to date. Errors are kinds of package
// melodyud: an unreachable or overloaded server is ErrUnavailable.
type DB interface {
	Querier
	// InTx runs f in a serializable transaction and commits if it returns nil. A
	// transaction that lost against another one is rolled back and f is run again,
	// so f must have no effect outside tx.
	InTx(ctx context.Context, f func(tx Tx) error) error
	// Ping says whether the database answers.
	Ping(ctx context.Context) error
	Close() error
}

// Stamped is a DB that can tell what has been committed for less than a query costs.
type Stamped interface {
	// Stamp names a state of the rows: between two equal ones nothing was committed, by
	// any process. It is false when there is no telling, as right after a commit.
	Stamp() (Stamp, bool)
}

// Stamp is what Stamped names a state by.
type Stamp struct{ At, Size int64 }

// Millis returns t as the database keeps it.
func Millis(t time.Time) int64 { return t.UnixMilli() }

// Time returns what Millis stored, in UTC.
func Time(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
