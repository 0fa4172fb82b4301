package relay_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/databasetest"
	"github.com/melodyud/melodyud/internal/database/postgres"
	"github.com/melodyud/melodyud/internal/database/relay"
	"github.com/melodyud/melodyud/internal/database/sqlite"
	"github.com/melodyud/melodyud/internal/eventlog"
	"github.com/melodyud/melodyud/internal/eventlog/tables"
	"github.com/melodyud/melodyud/internal/realtest"
)

const facts = 20

// childPath tells a copy of the test program to relay the database there, with
// whatever fault point it was given.
const childPath = "MELODYUD_RELAY_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		relayFor(path)
		return
	}
	goleak.VerifyTestMain(m)
}

// relayFor commits facts one by one and relays them until a fault point kills us.
func relayFor(path string) {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, path)
	if err != nil {
		panic(err)
	}
	for n := range facts {
		if err := emit(ctx, db, n); err != nil {
			panic(err)
		}
	}
	r, err := relay.New(relay.Config{DB: db, Log: tables.New(db), Batch: 4})
	if err != nil {
		panic(err)
	}
	_ = r.Run(ctx)
}

func emit(ctx context.Context, db database.DB, n int) error {
	return db.InTx(ctx, func(tx database.Tx) error {
		return tx.Emit(ctx, topics[n%len(topics)], melodyud.NewEvent(time.Now(), "com.melodyud.test.v1", "s", n))
	})
}

var topics = []string{"even", "odd"}

// start runs a relay until the test ends.
func start(t *testing.T, c relay.Config) {
	t.Helper()
	r, err := relay.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

// collect consumes a topic until n different facts came, in order, and returns
// how many deliveries that took.
func collect(t *testing.T, l eventlog.Log, topic string, n int) (deliveries int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	known := map[melodyud.EventID]bool{}
	last := -1
	err := l.Consume(ctx, topic, "collector", func(_ context.Context, events []melodyud.Event) error {
		for _, e := range events {
			deliveries++
			if known[e.ID] {
				continue
			}
			known[e.ID] = true
			var number int
			if err := json.Unmarshal(e.Data, &number); err != nil || number <= last {
				t.Errorf("fact %s came after %d (%v)", e.Data, last, err)
			}
			last = number
		}
		if len(known) >= n {
			cancel()
		}
		return nil
	})
	if err != nil || len(known) != n {
		t.Fatalf("%s: got %d facts of %d, and %v", topic, len(known), n, err)
	}
	return deliveries
}

// drained waits until the outbox is empty.
func drained(t *testing.T, db database.DB) {
	t.Helper()
	for n := -1; n != 0; {
		if err := db.QueryRow(t.Context(), "SELECT COUNT(*) FROM outbox", nil, &n); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestCommittedFactsReachTheirTopicsInOrder(t *testing.T) {
	t.Parallel()
	db := databasetest.Open(t)
	l := tables.New(db)
	metrics := prometheus.NewRegistry()
	start(t, relay.Config{DB: db, Log: l, Batch: 3, Metrics: metrics})
	for n := range facts {
		if err := emit(t.Context(), db, n); err != nil {
			t.Fatal(err)
		}
	}
	for _, topic := range topics {
		if got := collect(t, l, topic, facts/2); got != facts/2 {
			t.Errorf("%s: %d deliveries of %d facts", topic, got, facts/2)
		}
	}
	drained(t, db)
	if n, err := testutil.GatherAndCount(metrics); err != nil || n != 3 {
		t.Errorf("got %d metrics, %v", n, err)
	}
}

// moody is a log that fails in every way an append can.
type moody struct {
	eventlog.Log
	mu    sync.Mutex
	calls int
}

func (m *moody) Append(ctx context.Context, topic string, events ...melodyud.Event) error {
	m.mu.Lock()
	m.calls++
	mood := m.calls % 4
	m.mu.Unlock()
	switch mood {
	case 1:
		return fmt.Errorf("%w: nothing was stored", melodyud.ErrUnavailable)
	case 2: // a part was stored, and then the connection broke
		return errors.Join(m.Log.Append(ctx, topic, events[:1]...), melodyud.ErrUnavailable)
	case 3: // all was stored, and the answer was lost
		return errors.Join(m.Log.Append(ctx, topic, events...), melodyud.ErrUnavailable)
	}
	return m.Log.Append(ctx, topic, events...)
}

func TestFactsOutliveALogThatFails(t *testing.T) {
	t.Parallel()
	db := databasetest.Open(t)
	l := tables.New(db)
	start(t, relay.Config{DB: db, Log: &moody{Log: l}, Batch: 7})
	for n := range facts {
		if err := emit(t.Context(), db, n); err != nil {
			t.Fatal(err)
		}
	}
	for _, topic := range topics {
		collect(t, l, topic, facts/2)
	}
	drained(t, db)
}

func TestOfSeveralRelaysEachFactComesOnce(t *testing.T) {
	t.Parallel()
	url := realtest.Postgres(t)
	connect := func() database.DB {
		db, err := postgres.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	db := connect()
	counted := &counting{Log: tables.New(db)}
	for range 3 {
		start(t, relay.Config{DB: connect(), Log: counted, Batch: 2})
	}
	for n := range facts {
		if err := emit(t.Context(), db, n); err != nil {
			t.Fatal(err)
		}
	}
	for _, topic := range topics {
		collect(t, counted, topic, facts/2)
	}
	drained(t, db)
	counted.mu.Lock()
	defer counted.mu.Unlock()
	if counted.events != facts {
		t.Errorf("%d facts were appended %d times", facts, counted.events)
	}
}

type counting struct {
	eventlog.Log
	mu     sync.Mutex
	events int
}

func (c *counting) Append(ctx context.Context, topic string, events ...melodyud.Event) error {
	c.mu.Lock()
	c.events += len(events)
	c.mu.Unlock()
	return c.Log.Append(ctx, topic, events...)
}

// faults.md §4, crash points 20 and 21, and the errors at the same places.
func TestAProcessKilledWhileRelayingLosesNothing(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"outbox.read:kill:1", "outbox.sent:kill:1", "outbox.read:kill:3", "outbox.sent:kill:4"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "melodyud.db")
			child := exec.CommandContext(t.Context(), os.Args[0])
			child.Env = append(os.Environ(), childPath+"="+path, "FAULT="+point)
			if out, err := child.CombinedOutput(); err == nil || child.ProcessState.ExitCode() != -1 {
				t.Fatalf("the child was not killed: %v\n%s", err, out)
			}
			db, err := sqlite.Open(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			l := tables.New(db)
			start(t, relay.Config{DB: db, Log: l})
			for _, topic := range topics {
				if got := collect(t, l, topic, facts/2); got != facts/2 {
					t.Errorf("%s: %d deliveries of %d facts", topic, got, facts/2)
				}
			}
			drained(t, db)
		})
	}
}

func TestARelayNeedsItsTwoEnds(t *testing.T) {
	t.Parallel()
	db := databasetest.Open(t)
	for _, c := range []relay.Config{{DB: db}, {Log: tables.New(db)}, {DB: db, Log: tables.New(db), Batch: -1}} {
		if _, err := relay.New(c); err == nil {
			t.Errorf("%+v: want an error", c)
		}
	}
}
