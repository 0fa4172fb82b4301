package sqlite_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/databasetest"
	"github.com/melodyud/melodyud/internal/database/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T) database.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "melodyud.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestSQLiteKeepsTheContract(t *testing.T) {
	t.Parallel()
	databasetest.Run(t, open)
}

func TestRowsSurviveAReopening(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "with ?#% signs.db")
	for n := range 3 {
		db, err := sqlite.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(t.Context(), "INSERT INTO eventlog_topics (topic, head) VALUES (?, 1)", strings.Repeat("t", n+1)); err != nil {
			t.Fatal(err)
		}
		var rows int
		if err := db.QueryRow(t.Context(), "SELECT COUNT(*) FROM eventlog_topics", nil, &rows); err != nil || rows != n+1 {
			t.Fatalf("got %d rows and %v, want %d", rows, err, n+1)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the database is not where it was asked to be: %v", err)
	}
}

func TestLeasesOfTheProcessBeforeAreCleared(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "melodyud.db")
	for range 2 {
		db, err := sqlite.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(t.Context(), "INSERT INTO leases (name, holder, beat) VALUES ('relay', 'dead', 1)"); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLeasesOfAProcessThatLivesAreKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "melodyud.db")
	first, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Exec(t.Context(), "INSERT INTO leases (name, holder, beat) VALUES ('relay', 'alive', 1)"); err != nil {
		t.Fatal(err)
	}
	second, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	var holder string
	if err := second.QueryRow(t.Context(), "SELECT holder FROM leases", nil, &holder); err != nil || holder != "alive" {
		t.Errorf("got %q and %v", holder, err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}

// Nodes of one machine may share the file: they wait for each other's commits.
func TestTwoHandlesOfOneFileLoseNoUpdate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "melodyud.db")
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			db, err := sqlite.Open(t.Context(), path)
			if err != nil {
				t.Error(err)
				return
			}
			defer db.Close()
			for range 20 {
				_, err := db.Exec(t.Context(), `INSERT INTO eventlog_topics (topic, head) VALUES ('a', 1)
					ON CONFLICT (topic) DO UPDATE SET head = eventlog_topics.head + 1`)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	db, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var n int
	if err := db.QueryRow(t.Context(), "SELECT head FROM eventlog_topics", nil, &n); err != nil || n != 60 {
		t.Errorf("got %d and %v, want 60", n, err)
	}
}

func TestNobodyElseMayReadTheFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := sqlite.Open(t.Context(), filepath.Join(dir, "melodyud.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) < 2 {
		t.Fatalf("got %v, %v: want the database and its log", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v (%v)", e.Name(), info.Mode(), err)
		}
	}
}

func TestACommitIsOnTheDiskAndReadersGoBesideTheWriter(t *testing.T) {
	t.Parallel()
	db := open(t)
	for query, want := range map[string]string{
		"SELECT synchronous FROM pragma_synchronous":   "2",
		"SELECT journal_mode FROM pragma_journal_mode": "wal",
		"SELECT foreign_keys FROM pragma_foreign_keys": "1",
	} {
		var got string
		if err := db.QueryRow(t.Context(), query, nil, &got); err != nil || got != want {
			t.Errorf("%s: got %q, %v", query, got, err)
		}
		err := db.InTx(t.Context(), func(tx database.Tx) error { return tx.QueryRow(t.Context(), query, nil, &got) })
		if err != nil || got != want {
			t.Errorf("%s on the writer: got %q, %v", query, got, err)
		}
	}
}

func TestOpeningSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "song.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("la la la ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		text: "not a database",
		filepath.Join(dir, "none", "melodyud.db"): "the directory does not exist",
		dir: "is a directory",
	} {
		_, err := sqlite.Open(t.Context(), path)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %q, want one line with %q", path, err, want)
		}
	}
}

func TestAFullDatabaseIsUnavailableAndLosesNothing(t *testing.T) {
	t.Parallel()
	db := open(t)
	// The pragma works on the one connection that writes.
	rows, err := db.Query(t.Context(), "PRAGMA max_page_count = 60")
	if err != nil {
		t.Fatal(err)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; err == nil && n < 1000; n++ {
		_, err = db.Exec(t.Context(), "INSERT INTO eventlog_topics (topic, head) VALUES (?, 1)", strings.Repeat("x", 5000+n))
	}
	if !errors.Is(err, melodyud.ErrUnavailable) {
		t.Fatalf("got %v after %d rows, want unavailable", err, n)
	}
	var kept int
	if err := db.QueryRow(t.Context(), "SELECT COUNT(*) FROM eventlog_topics", nil, &kept); err != nil || kept != n-1 {
		t.Errorf("got %d rows and %v, want %d", kept, err, n-1)
	}
}

func TestADatabaseOfANewerProgramIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "melodyud.db")
	db, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err = sqlite.Open(t.Context(), path); err == nil || !strings.Contains(err.Error(), "start a newer melodyud") {
		t.Errorf("got %v", err)
	}
}
