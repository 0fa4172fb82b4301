package postgres_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/databasetest"
	"github.com/melodyud/melodyud/internal/database/postgres"
	"github.com/melodyud/melodyud/internal/realtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, url string) database.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestPostgresKeepsTheContract(t *testing.T) {
	t.Parallel()
	databasetest.Run(t, func(t *testing.T) database.DB { return open(t, realtest.Postgres(t)) })
}

func TestSeveralProcessesMayOpenAFreshDatabaseAtOnce(t *testing.T) {
	t.Parallel()
	url := realtest.Postgres(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			db, err := postgres.Open(t.Context(), url)
			if err != nil {
				t.Error(err)
				return
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestOpeningSaysInOneLineWhatIsWrong(t *testing.T) {
	t.Parallel()
	url := realtest.Postgres(t)
	for bad, want := range map[string]error{
		"postgres://u:p@:notaport/x":                         melodyud.ErrInvalid,
		url + "&pool_max_conns=none":                         melodyud.ErrInvalid,
		"postgres://u:geheim@127.0.0.1:1/x":                  melodyud.ErrUnavailable,
		strings.Replace(url, "?", "_missing?", 1) + "&x_y=1": melodyud.ErrForbidden,
		strings.Replace(url, "?", "_missing?", 1):            melodyud.ErrForbidden,
	} {
		_, err := postgres.Open(t.Context(), bad)
		if !errors.Is(err, want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: got %q, want %v on one line without the password", bad, err, want)
		}
	}
}

func TestAServerThatNeverAnswersIsGivenUp(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts and stays silent
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = postgres.Open(t.Context(), "postgres://u@"+l.Addr().String()+"/x?sslmode=disable")
	if !errors.Is(err, melodyud.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// faults.md B11: 0 lost, 0 double, errors only inside the window.
func TestAServerThatRestartsLosesNothingThatWasAcknowledged(t *testing.T) {
	t.Parallel()
	server := realtest.StartPostgres(t)
	db := open(t, server.URL)
	for round := range 3 {
		if _, err := db.Exec(t.Context(), "INSERT INTO eventlog_topics (topic, head) VALUES (?, 1)", strings.Repeat("a", round+1)); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		server.Kill()
		_, err := db.Exec(t.Context(), "INSERT INTO eventlog_topics (topic, head) VALUES (?, 1)", strings.Repeat("b", round+1))
		if !errors.Is(err, melodyud.ErrUnavailable) {
			t.Errorf("round %d: got %v from a dead server", round, err)
		}
		if err := db.Ping(t.Context()); !errors.Is(err, melodyud.ErrUnavailable) {
			t.Errorf("round %d: ping got %v from a dead server", round, err)
		}
		server.Start()
	}
	var rows int
	if err := db.QueryRow(t.Context(), "SELECT COUNT(*) FROM eventlog_topics", nil, &rows); err != nil || rows != 3 {
		t.Errorf("got %d rows and %v, want 3", rows, err)
	}
}

func TestAServerThatDiesInATransactionIsUnavailable(t *testing.T) {
	t.Parallel()
	server := realtest.StartPostgres(t)
	db := open(t, server.URL)
	err := db.InTx(t.Context(), func(tx database.Tx) error {
		server.Stop()
		_, err := tx.Exec(t.Context(), "DELETE FROM leases")
		return err
	})
	if !errors.Is(err, melodyud.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestAPoolThatIsUsedUpIsUnavailableWhenTheCallerStopsWaiting(t *testing.T) {
	t.Parallel()
	db := open(t, realtest.Postgres(t)+"&pool_max_conns=1")
	err := db.InTx(t.Context(), func(database.Tx) error {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := db.Exec(ctx, "DELETE FROM leases")
		return err
	})
	if !errors.Is(err, melodyud.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}
