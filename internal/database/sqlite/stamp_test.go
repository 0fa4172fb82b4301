package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/sqlite"
)

// settled waits until db can tell the state of its rows.
func settled(t *testing.T, db database.DB) database.Stamp {
	t.Helper()
	for range 1000 {
		if now, ok := db.(database.Stamped).Stamp(); ok {
			return now
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("there is no telling the state of the rows")
	return database.Stamp{}
}

func TestNoCommitOfAnybodyLeavesTheSameStamp(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "melodyud.db")
	var handles []database.DB
	for range 2 {
		db, err := sqlite.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		handles = append(handles, db)
	}
	before := settled(t, handles[0])
	for n := range 6 {
		if now := settled(t, handles[n%2]); now != before {
			t.Fatalf("%v became %v, and nothing was written", before, now)
		}
		if _, err := handles[1].Exec(t.Context(), "INSERT INTO leases (name, holder, beat) VALUES (?, 'me', 1)", n); err != nil {
			t.Fatal(err)
		}
		if now, ok := handles[0].(database.Stamped).Stamp(); ok && now == before {
			t.Fatalf("%v stayed after commit %d", now, n)
		}
		before = settled(t, handles[0])
	}
}
