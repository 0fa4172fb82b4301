// Package sqlite keeps the rows in one file, for the processes of one machine.
//
// There is one connection that writes and a few beside it that read: writers
// queue for it in Go instead of fighting for the file's lock, and readers see
// the last commit (WAL). A commit is on the disk before it is acknowledged
// (synchronous=FULL).
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	code "modernc.org/sqlite/lib"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/migrations"
	"github.com/melodyud/melodyud/internal/database/sqldb"
)

const readers = 4

// Open opens or creates the database file at path, readable by its owner only,
// and brings its schema up to date. Whoever opens it alone clears the leases
// that the processes before left, so that a restart waits for nobody dead.
func Open(ctx context.Context, path string) (database.DB, error) {
	db, err := open(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	return db, nil
}

func open(ctx context.Context, path string) (db *sqldb.DB, err error) {
	path, err = create(path)
	if err != nil {
		return nil, err
	}
	var opened []io.Closer
	defer func() {
		if err != nil {
			for _, one := range slices.Backward(opened) {
				err = errors.Join(err, one.Close())
			}
		}
	}()
	presence, alone, err := enter(path)
	if err != nil {
		return nil, err
	}
	opened = append(opened, presence)
	write, err := pool(path, 1, "_txlock=immediate")
	if err != nil {
		return nil, err
	}
	opened = append(opened, write)
	if err := prepare(ctx, write, alone); err != nil {
		return nil, explain(err)
	}
	if err := stay(presence); err != nil {
		return nil, err
	}
	read, err := pool(path, readers, "_query_only=1")
	if err != nil {
		return nil, err
	}
	return sqldb.New(sqldb.Config{Read: read, Write: write, Kind: kind, Lost: lost, Stamp: stamper(path + "-wal"), Last: presence})
}

// create makes a new file first, because SQLite would let everyone read it. One
// that exists is not touched: to close it would undo SQLite's locks on it.
func create(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	switch {
	case errors.Is(err, os.ErrExist):
		return path, regular(path)
	case errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("%w: the directory does not exist: create it first", melodyud.ErrNotFound)
	case err != nil:
		return "", err
	}
	return path, f.Close()
}

func regular(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%w: it is a directory: name a file in it", melodyud.ErrInvalid)
	}
	return err
}

// pool opens n connections. LIKE minds case, as on PostgreSQL, and a word in
// double quotes is never taken for a text.
func pool(path string, n int, mode string) (*sql.DB, error) {
	name := url.URL{Scheme: "file", Path: path}
	connector, err := sqlite.NewConnector(name.String() + "?" + mode +
		"&_busy_timeout=5000&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=1&_dqs=0" +
		"&_pragma=journal_size_limit(67108864)&_pragma=case_sensitive_like(1)&_pragma=cache_size(-16000)")
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

func prepare(ctx context.Context, write *sql.DB, alone bool) error {
	if err := migrations.Up(ctx, write, goose.DialectSQLite3); err != nil || !alone {
		return err
	}
	_, err := write.ExecContext(ctx, "DELETE FROM leases")
	return err
}

// explain says what to do about the errors an operator meets at start.
func explain(err error) error {
	switch primary(err) {
	case code.SQLITE_NOTADB, code.SQLITE_CORRUPT:
		return fmt.Errorf("the file is damaged or not a database: restore a backup or name another file: %w", err)
	case code.SQLITE_BUSY, code.SQLITE_LOCKED:
		return fmt.Errorf("%w: another program holds the file: stop it first: %w", melodyud.ErrUnavailable, err)
	}
	if k := kind(err); k != nil {
		return fmt.Errorf("%w: %w", k, err)
	}
	return err
}

func kind(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return nil
	}
	switch e.Code() {
	case code.SQLITE_CONSTRAINT_UNIQUE, code.SQLITE_CONSTRAINT_PRIMARYKEY, code.SQLITE_CONSTRAINT_ROWID:
		return melodyud.ErrConflict
	}
	switch e.Code() & 0xff {
	case code.SQLITE_BUSY, code.SQLITE_LOCKED, code.SQLITE_FULL, code.SQLITE_IOERR,
		code.SQLITE_CANTOPEN, code.SQLITE_READONLY, code.SQLITE_NOMEM, code.SQLITE_INTERRUPT:
		return melodyud.ErrUnavailable
	case code.SQLITE_TOOBIG:
		return melodyud.ErrTooLarge
	}
	return nil
}

func lost(err error) bool {
	p := primary(err)
	return p == code.SQLITE_BUSY || p == code.SQLITE_LOCKED
}

// primary returns SQLite's result code without its extension, 0 if err has none.
func primary(err error) int {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.Code() & 0xff
}
