// Package databasetest is the contract of package database as code, and gives
// other packages' tests a database.
package databasetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/postgres"
	"github.com/melodyud/melodyud/internal/database/sqlite"
	"github.com/melodyud/melodyud/internal/realtest"
)

// Open returns an empty database with the newest schema, closed at cleanup: SQLite,
// or PostgreSQL if MELODYUD_TEST_DB=postgres, which shows what a service's SQL
// does there.
func Open(t testing.TB) database.DB {
	t.Helper()
	return opened(t, os.Getenv("MELODYUD_TEST_DB"))
}

// OpenReal is Open, but in the integration run the database is a real PostgreSQL: for
// what engines may understand in two ways.
func OpenReal(t testing.TB) database.DB {
	t.Helper()
	if os.Getenv("MELODYUD_INTEGRATION") == "1" {
		return opened(t, "postgres")
	}
	return Open(t)
}

func opened(t testing.TB, engine string) database.DB {
	t.Helper()
	db, err := open(t, engine)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close database: %v", err)
		}
	})
	return db
}

func open(t testing.TB, engine string) (database.DB, error) {
	t.Helper()
	switch engine {
	case "", "sqlite":
		file, err := fresh()
		if err != nil {
			return nil, err
		}
		path := filepath.Join(t.TempDir(), "melodyud.db")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			return nil, err
		}
		return sqlite.Open(t.Context(), path)
	case "postgres":
		return postgres.Open(t.Context(), realtest.Postgres(t))
	default:
		return nil, fmt.Errorf("MELODYUD_TEST_DB=%s: want sqlite or postgres", engine)
	}
}

// fresh returns the file of an empty SQLite database with the newest schema, which
// is made once: the migrations would be most of what many tests do.
var fresh = sync.OnceValues(func() (file []byte, err error) {
	dir, err := os.MkdirTemp("", "melodyud-database")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "melodyud.db")
	db, err := sqlite.Open(context.Background(), path)
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil { // the log is in the file then
		return nil, err
	}
	return os.ReadFile(path)
})
