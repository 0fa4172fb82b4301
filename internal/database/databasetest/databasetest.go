// Package databasetest is the contract of package database as code, and gives
// other packages' tests a database.
package databasetest

import (
	"path/filepath"
	"testing"

	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/sqlite"
)

// Open returns a fresh SQLite database with the newest schema, closed at cleanup.
func Open(t testing.TB) database.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "melodyud.db"))
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
