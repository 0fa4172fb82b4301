// Package databasetest is the contract of package database as code, and gives
// other packages' tests a database.
package databasetest

import (
	"fmt"
	"os"
	"path/filepath"
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
	db, err := open(t)
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

func open(t testing.TB) (database.DB, error) {
	t.Helper()
	switch engine := os.Getenv("MELODYUD_TEST_DB"); engine {
	case "", "sqlite":
		return sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "melodyud.db"))
	case "postgres":
		return postgres.Open(t.Context(), realtest.Postgres(t))
	default:
		return nil, fmt.Errorf("MELODYUD_TEST_DB=%s: want sqlite or postgres", engine)
	}
}
