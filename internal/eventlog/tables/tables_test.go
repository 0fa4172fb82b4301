package tables_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/databasetest"
	"github.com/melodyud/melodyud/internal/database/postgres"
	"github.com/melodyud/melodyud/internal/database/sqlite"
	"github.com/melodyud/melodyud/internal/eventlog"
	"github.com/melodyud/melodyud/internal/eventlog/eventlogtest"
	"github.com/melodyud/melodyud/internal/eventlog/tables"
	"github.com/melodyud/melodyud/internal/realtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTablesInSQLiteKeepTheContract(t *testing.T) {
	t.Parallel()
	eventlogtest.Run(t, func(t *testing.T) func() eventlog.Log {
		db := databasetest.Open(t)
		return func() eventlog.Log { return tables.New(db) }
	})
}

func TestTablesInPostgresKeepTheContract(t *testing.T) {
	t.Parallel()
	eventlogtest.Run(t, func(t *testing.T) func() eventlog.Log {
		url := realtest.Postgres(t)
		return func() eventlog.Log { return tables.New(openPostgres(t, url)) }
	})
}

func openPostgres(t *testing.T, url string) database.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func event(n int) melodyud.Event {
	return melodyud.NewEvent(time.Now(), "com.melodyud.test.v1", "s", n)
}

func series(n int) []melodyud.Event {
	events := make([]melodyud.Event, n)
	for i := range events {
		events[i] = event(i)
	}
	return events
}

// take consumes until n events came and returns the sizes of the batches.
func take(t *testing.T, l eventlog.Log, n int) (sizes []int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	left := n
	err := l.Consume(ctx, "topic", "group", func(_ context.Context, events []melodyud.Event) error {
		sizes = append(sizes, len(events))
		if left -= len(events); left <= 0 {
			cancel()
		}
		return nil
	})
	if err != nil || left != 0 {
		t.Fatalf("%d of %d events did not come: %v", left, n, err)
	}
	return sizes
}

func TestABatchIsBoundedInNumberAndBytes(t *testing.T) {
	t.Parallel()
	l := tables.New(databasetest.Open(t))
	if err := l.Append(t.Context(), "topic", series(450)...); err != nil {
		t.Fatal(err)
	}
	if sizes := take(t, l, 450); len(sizes) != 3 || sizes[0] != 200 {
		t.Errorf("got batches of %v", sizes)
	}
	large := series(20)
	for i := range large {
		large[i].Data = json.RawMessage(`"` + strings.Repeat("x", eventlog.MaxEventBytes-2) + `"`)
	}
	if err := l.Append(t.Context(), "topic", large...); err != nil {
		t.Fatal(err)
	}
	for _, n := range take(t, l, 20) {
		if n > 5 {
			t.Errorf("%d events of %d bytes in one batch", n, eventlog.MaxEventBytes)
		}
	}
}

func TestTheLogSurvivesAReopening(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "melodyud.db")
	for round := range 3 {
		db, err := sqlite.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		l := tables.New(db)
		if err := l.Append(t.Context(), "topic", series(10)...); err != nil {
			t.Fatal(err)
		}
		if sizes := take(t, l, 10); len(sizes) != 1 {
			t.Errorf("round %d: got batches of %v", round, sizes)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A consumer that was thought dead while it worked must not record a position:
// the one that took over may be elsewhere.
func TestAConsumerThatLostItsLeaseDoesNotRecord(t *testing.T) {
	t.Parallel()
	db := databasetest.Open(t)
	l := tables.New(db)
	if err := l.Append(t.Context(), "topic", series(3)...); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := l.Consume(ctx, "topic", "group", func(context.Context, []melodyud.Event) error {
		defer cancel()
		_, err := db.Exec(t.Context(), "UPDATE leases SET holder = 'successor'")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(t.Context(), "DELETE FROM leases"); err != nil {
		t.Fatal(err)
	}
	take(t, l, 3)
}

func TestAConsumerOfADeadProcessIsReplaced(t *testing.T) {
	t.Parallel()
	db := databasetest.Open(t)
	if _, err := db.Exec(t.Context(), "INSERT INTO leases (name, holder, beat) VALUES ('eventlog/topic/group', 'dead', 7)"); err != nil {
		t.Fatal(err)
	}
	l, err := tables.Open(tables.Config{DB: db, Term: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Append(t.Context(), "topic", event(1)); err != nil {
		t.Fatal(err)
	}
	take(t, l, 1)
}

// faults.md B11: consumers wait for the server and go on where they were.
func TestAConsumerOutlivesARestartOfTheServer(t *testing.T) {
	t.Parallel()
	server := realtest.StartPostgres(t)
	l := tables.New(openPostgres(t, server.URL))
	if err := l.Append(t.Context(), "topic", series(2)...); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	restart := func() { server.Kill(); server.Start() }
	var got []melodyud.Event
	err := l.Consume(ctx, "topic", "group", func(ctx context.Context, events []melodyud.Event) error {
		if got = append(got, events...); len(got) >= 4 {
			cancel()
			return nil
		}
		restart()
		return l.Append(ctx, "topic", series(2)...)
	})
	if err != nil || len(got) != 4 {
		t.Errorf("got %d events and %v, want 4", len(got), err)
	}
}

func TestALagCountsWhatAGroupHasNotFinished(t *testing.T) {
	t.Parallel()
	l := tables.New(databasetest.Open(t))
	first := series(3)
	if err := l.Append(t.Context(), "topic", first...); err != nil {
		t.Fatal(err)
	}
	take(t, l, 3)
	if err := l.Append(t.Context(), "topic", first...); err != nil { // dropped
		t.Fatal(err)
	}
	if err := l.Append(t.Context(), "topic", series(2)...); err != nil {
		t.Fatal(err)
	}
	lags, err := l.Lags(t.Context())
	if want := (tables.Lag{Topic: "topic", Group: "group", Events: 2}); err != nil || len(lags) != 1 || lags[0] != want {
		t.Errorf("got %v and %v, want %v", lags, err, want)
	}
}

func TestALogNeedsADatabase(t *testing.T) {
	t.Parallel()
	if _, err := tables.Open(tables.Config{}); err == nil {
		t.Error("want an error")
	}
}

// asked counts the reads of a database that tells of itself what it is told to.
type asked struct {
	database.DB
	reads atomic.Int64
	stamp func() (database.Stamp, bool)
}

func (a *asked) Stamp() (database.Stamp, bool) { return a.stamp() }

func (a *asked) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	a.reads.Add(1)
	return a.DB.Query(ctx, query, args...)
}

// followWhile follows a log on db while act goes on, which may ask how many events came.
func followWhile(t *testing.T, db database.DB, act func(came func() int)) {
	t.Helper()
	l, err := tables.Open(tables.Config{DB: db, Poll: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var events atomic.Int64
	done := make(chan error, 1)
	go func() {
		done <- l.Follow(ctx, "topic", time.Time{}, func(_ context.Context, b []melodyud.Event) error {
			events.Add(int64(len(b)))
			return nil
		})
	}()
	act(func() int { return int(events.Load()) })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func until(t *testing.T, what string, seen func() bool) {
	t.Helper()
	for range 3000 {
		if seen() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s: not seen", what)
}

func TestAQuietLogIsSeldomRead(t *testing.T) {
	t.Parallel()
	looks := atomic.Int64{}
	db := &asked{DB: databasetest.Open(t), stamp: func() (database.Stamp, bool) { looks.Add(1); return database.Stamp{At: 1}, true }}
	followWhile(t, db, func(func() int) {
		until(t, "500 looks", func() bool { return looks.Load() > 500 })
		if reads := db.reads.Load(); reads < 60 || reads > 140 {
			t.Errorf("%d reads at 500 looks, want 100", reads)
		}
	})
}

func TestAnEventOfAnotherProcessIsSeenWhateverTheDatabaseTells(t *testing.T) {
	t.Parallel()
	for name, stamp := range map[string]func() (database.Stamp, bool){
		"nothing ever changes": func() (database.Stamp, bool) { return database.Stamp{}, true },
		"there is no telling":  func() (database.Stamp, bool) { return database.Stamp{}, false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			under := databasetest.Open(t)
			followWhile(t, &asked{DB: under, stamp: stamp}, func(came func() int) {
				for n := range 20 {
					if err := tables.New(under).Append(t.Context(), "topic", event(n)); err != nil {
						t.Fatal(err)
					}
					until(t, "an event", func() bool { return came() == n+1 })
				}
			})
		})
	}
}
