// Package postgres keeps the rows in a server that speaks PostgreSQL's protocol.
//
// Every transaction is serializable. One that lost against another is run again;
// a server that is away, full or shutting down is ErrUnavailable.
package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/migrations"
	"github.com/melodyud/melodyud/internal/database/sqldb"
)

const (
	dialTimeout    = 5 * time.Second
	migrateTimeout = 10 * time.Minute
	defaultConns   = 16
	idleConns      = 4
	idleTime       = 5 * time.Minute
	lifeTime       = 30 * time.Minute
)

// limits are what a session may take before the server ends it, in
// milliseconds, unless the URL says otherwise: no statement, lock or forgotten
// transaction holds the others up for ever.
var limits = map[string]string{
	"application_name":                    "melodyud",
	"statement_timeout":                   "30000",
	"lock_timeout":                        "10000",
	"idle_in_transaction_session_timeout": "60000",
}

// Open connects to the database at a postgres:// URL and brings its schema up
// to date; of several processes that open it at once, one does. A server that
// does not answer within five seconds is ErrUnavailable, a malformed URL
// ErrInvalid. Besides libpq's parameters the URL takes pool_max_conns, the
// most connections this process makes (default 16).
func Open(ctx context.Context, url string) (database.DB, error) {
	config, conns, err := parse(url)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, config); err != nil {
		return nil, fmt.Errorf("open database on %s: %w", config.Host, err)
	}
	pool := stdlib.OpenDB(*config)
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(min(conns, idleConns))
	pool.SetConnMaxIdleTime(idleTime)
	pool.SetConnMaxLifetime(lifeTime)
	return sqldb.New(sqldb.Config{
		Read: pool, Write: pool, Isolation: sql.LevelSerializable,
		Rebind: sqldb.Dollar, Kind: kind, Lost: lost,
	})
}

func parse(url string) (*pgx.ConnConfig, int, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: database URL, want postgres://user:password@host:port/name: %w", melodyud.ErrInvalid, err)
	}
	config.ConnectTimeout = dialTimeout
	for name, value := range limits {
		if _, given := config.RuntimeParams[name]; !given {
			config.RuntimeParams[name] = value
		}
	}
	conns := defaultConns
	if text, given := config.RuntimeParams["pool_max_conns"]; given {
		delete(config.RuntimeParams, "pool_max_conns")
		if conns, err = strconv.Atoi(text); err != nil || conns < 1 {
			return nil, 0, fmt.Errorf("%w: database URL: pool_max_conns=%s: want a number from 1", melodyud.ErrInvalid, text)
		}
	}
	return config, conns, nil
}

// migrate works on connections of its own, where a statement may take its time.
func migrate(ctx context.Context, config *pgx.ConnConfig) error {
	patient := config.Copy()
	for _, name := range []string{"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"} {
		patient.RuntimeParams[name] = "0"
	}
	db := stdlib.OpenDB(*patient)
	defer db.Close()
	if err := reach(ctx, db); err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, uint64(migrateTimeout/time.Second)))
	if err != nil {
		return fmt.Errorf("lock the schema: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	return migrations.Up(ctx, db, goose.DialectPostgres, goose.WithSessionLocker(locker))
}

// reach waits for the server for a bounded time, however many hosts the URL has.
func reach(ctx context.Context, db *sql.DB) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	err := db.PingContext(ctx)
	switch {
	case err == nil:
		return nil
	case refused(err):
		return fmt.Errorf("%w: the server refused us: check user, password and database name: %w", melodyud.ErrForbidden, oneLine{err})
	}
	return fmt.Errorf("%w: no answer: check that the server runs and the URL is right: %w", melodyud.ErrUnavailable, oneLine{err})
}

// oneLine prints an error that pgx spreads over lines, one for each address tried.
type oneLine struct{ error }

func (o oneLine) Error() string { return flatten(o.error.Error()) }
func (o oneLine) Unwrap() error { return o.error }
