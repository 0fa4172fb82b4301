package databasetest

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
)

// Run holds an adapter to the contract. open returns a database with the newest
// schema and no rows, and closes it at cleanup.
func Run(t *testing.T, open func(t *testing.T) database.DB) {
	for name, test := range map[string]func(*testing.T, database.DB){
		"it answers":                                                   ping,
		"what was written is read":                                     readBack,
		"a statement may return what it wrote":                         returning,
		"no row is ErrNotFound":                                        noRow,
		"a second row of one key is ErrConflict":                       duplicate,
		"a key taken is kept on request":                               onConflict,
		"a row without its parent is refused":                          orphan,
		"a truth is 0 or 1":                                            truth,
		"a time must be given in milliseconds":                         noTimes,
		"a text that is not UTF-8 is ErrInvalid":                       badText,
		"a large text comes back whole":                                largeText,
		"LIKE minds case":                                              likeMindsCase,
		"texts sort by bytes in the order of ids":                      idsSort,
		"a question mark in a text is a text":                          questionMark,
		"an error rolls everything back":                               rollback,
		"a panic rolls everything back":                                panics,
		"a failed statement loses the transaction":                     failedStatement,
		"no row does not lose the transaction":                         noRowGoesOn,
		"a transaction sees its own rows and others do not":            isolation,
		"no update is lost":                                            lostUpdate,
		"two that each rely on what the other changes do not both win": writeSkew,
		"single statements count exactly":                              countingStatements,
		"facts are committed with their rows":                          emit,
		"facts of a rolled back transaction do not exist":              emitRollback,
		"facts keep the order of a subject's transactions":             emitOrder,
		"a fact that no log would take is refused":                     emitBad,
		"a cancelled call says so and writes nothing":                  cancelled,
		"a passed deadline is ErrUnavailable":                          deadline,
		"a transaction inside a transaction does not hang":             nested,
		"a closed database is ErrUnavailable":                          closed,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t)
			must(t, schema(t.Context(), db))
			test(t, db)
		})
	}
}

func schema(ctx context.Context, db database.DB) error {
	for _, s := range []string{
		"CREATE TABLE numbers (name TEXT PRIMARY KEY, n BIGINT NOT NULL)",
		"CREATE TABLE children (name TEXT PRIMARY KEY, parent TEXT NOT NULL REFERENCES numbers (name))",
	} {
		if _, err := db.Exec(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func ping(t *testing.T, db database.DB) { must(t, db.Ping(t.Context())) }

func readBack(t *testing.T, db database.DB) {
	for i, name := range []string{"a", "b", "c"} {
		n, err := db.Exec(t.Context(), "INSERT INTO numbers (name, n) VALUES (?, ?)", name, i)
		must(t, err)
		equal(t, n, int64(1))
	}
	n, err := db.Exec(t.Context(), "UPDATE numbers SET n = n + 10 WHERE n > ?", 0)
	must(t, err)
	equal(t, n, 2)
	equal(t, all(t, db), map[string]int64{"a": 0, "b": 11, "c": 12})
}

func returning(t *testing.T, db database.DB) {
	put(t, db, "a", 1)
	var n int64
	must(t, db.QueryRow(t.Context(), "UPDATE numbers SET n = n + 1 WHERE name = ? RETURNING n", []any{"a"}, &n))
	equal(t, n, 2)
	equal(t, all(t, db), map[string]int64{"a": 2})
}

func noRow(t *testing.T, db database.DB) {
	var n int64
	is(t, db.QueryRow(t.Context(), "SELECT n FROM numbers WHERE name = ?", []any{"none"}, &n), melodyud.ErrNotFound)
	is(t, db.QueryRow(t.Context(), "UPDATE numbers SET n = 1 WHERE name = ? RETURNING n", []any{"none"}, &n), melodyud.ErrNotFound)
}

func duplicate(t *testing.T, db database.DB) {
	put(t, db, "a", 1)
	_, err := db.Exec(t.Context(), "INSERT INTO numbers (name, n) VALUES (?, ?)", "a", 2)
	is(t, err, melodyud.ErrConflict)
	err = db.InTx(t.Context(), func(tx database.Tx) error {
		var n int64
		err := tx.QueryRow(t.Context(), "INSERT INTO numbers (name, n) VALUES (?, ?) RETURNING n", []any{"a", 3}, &n)
		return fmt.Errorf("count: %w", err)
	})
	is(t, err, melodyud.ErrConflict)
	equal(t, all(t, db), map[string]int64{"a": 1})
}

func onConflict(t *testing.T, db database.DB) {
	put(t, db, "a", 1)
	n, err := db.Exec(t.Context(), "INSERT INTO numbers (name, n) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", "a", 2)
	must(t, err)
	equal(t, n, 0)
	_, err = db.Exec(t.Context(), "INSERT INTO numbers (name, n) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = excluded.n", "a", 3)
	must(t, err)
	equal(t, all(t, db), map[string]int64{"a": 3})
}

func orphan(t *testing.T, db database.DB) {
	_, err := db.Exec(t.Context(), "INSERT INTO children (name, parent) VALUES (?, ?)", "a", "nobody")
	if err == nil {
		t.Fatal("want an error")
	}
}

func truth(t *testing.T, db database.DB) {
	for name, v := range map[string]any{"yes": true, "no": false} {
		_, err := db.Exec(t.Context(), "INSERT INTO numbers (name, n) VALUES (?, ?)", name, v)
		must(t, err)
	}
	equal(t, all(t, db), map[string]int64{"yes": 1, "no": 0})
}

func noTimes(t *testing.T, db database.DB) {
	if _, err := db.Exec(t.Context(), "INSERT INTO numbers (name, n) VALUES (?, ?)", "a", time.Unix(1, 0)); err == nil {
		t.Fatal("want an error")
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	put(t, db, "a", database.Millis(now))
	if got := database.Time(all(t, db)["a"]); !got.Equal(now) {
		t.Errorf("got %v, want %v", got, now)
	}
}

func badText(t *testing.T, db database.DB) {
	for _, text := range []string{"nul\x00", "latin\xe9"} {
		_, err := db.Exec(t.Context(), "INSERT INTO numbers (name, n) VALUES (?, 1)", text)
		is(t, err, melodyud.ErrInvalid)
		var n int64
		is(t, db.QueryRow(t.Context(), "SELECT n FROM numbers WHERE name = ?", []any{text}, &n), melodyud.ErrInvalid)
	}
}

func largeText(t *testing.T, db database.DB) {
	put(t, db, "p", 1)
	want := strings.Repeat("müsik ", 200_000)
	var got string
	must(t, db.InTx(t.Context(), func(tx database.Tx) error {
		if err := tx.Emit(t.Context(), "big", event("s", strings.Repeat("x", 800_000))); err != nil {
			return err
		}
		return tx.QueryRow(t.Context(), "SELECT event FROM outbox WHERE topic = ?", []any{"big"}, &got)
	}))
	if len(got) < 800_000 {
		t.Errorf("got %d bytes", len(got))
	}
	_, err := db.Exec(t.Context(), "CREATE TABLE texts (body TEXT NOT NULL)")
	must(t, err)
	_, err = db.Exec(t.Context(), "INSERT INTO texts (body) VALUES (?)", want)
	must(t, err)
	must(t, db.QueryRow(t.Context(), "SELECT body FROM texts", nil, &got))
	if got != want {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
}

func likeMindsCase(t *testing.T, db database.DB) {
	put(t, db, "Blue", 1)
	var n int64
	is(t, db.QueryRow(t.Context(), "SELECT n FROM numbers WHERE name LIKE ?", []any{"b%"}, &n), melodyud.ErrNotFound)
	must(t, db.QueryRow(t.Context(), "SELECT n FROM numbers WHERE lower(name) LIKE ?", []any{"b%"}, &n))
}

func idsSort(t *testing.T, db database.DB) {
	early := string(melodyud.NewTrackID(time.Unix(1e9, 0)))
	late := string(melodyud.NewTrackID(time.Unix(2e9, 0)))
	put(t, db, late, 2)
	put(t, db, early, 1)
	var first string
	must(t, db.QueryRow(t.Context(), "SELECT name FROM numbers ORDER BY name LIMIT ?", []any{1}, &first))
	equal(t, first, early)
}

func questionMark(t *testing.T, db database.DB) {
	put(t, db, "why?", 1)
	var n int64
	must(t, db.QueryRow(t.Context(), "SELECT n FROM numbers WHERE name = 'why?' AND n = ? -- really?", []any{1}, &n))
}

var errMine = errors.New("mine")

func rollback(t *testing.T, db database.DB) {
	err := db.InTx(t.Context(), func(tx database.Tx) error {
		if _, err := tx.Exec(t.Context(), "INSERT INTO numbers (name, n) VALUES ('a', 1)"); err != nil {
			return err
		}
		return errMine
	})
	is(t, err, errMine)
	equal(t, all(t, db), map[string]int64{})
}

func panics(t *testing.T, db database.DB) {
	func() {
		defer func() { _ = recover() }()
		_ = db.InTx(t.Context(), func(tx database.Tx) error {
			_, _ = tx.Exec(t.Context(), "INSERT INTO numbers (name, n) VALUES ('a', 1)")
			panic("mine")
		})
	}()
	equal(t, all(t, db), map[string]int64{})
	put(t, db, "b", 1)
}

func failedStatement(t *testing.T, db database.DB) {
	put(t, db, "a", 1)
	err := db.InTx(t.Context(), func(tx database.Tx) error {
		if _, err := tx.Exec(t.Context(), "INSERT INTO numbers (name, n) VALUES ('b', 1)"); err != nil {
			return err
		}
		_, err := tx.Exec(t.Context(), "INSERT INTO numbers (name, n) VALUES ('a', 1)")
		is(t, err, melodyud.ErrConflict)
		_, err = tx.Exec(t.Context(), "INSERT INTO numbers (name, n) VALUES ('c', 1)")
		is(t, err, melodyud.ErrConflict)
		return nil
	})
	is(t, err, melodyud.ErrConflict)
	equal(t, all(t, db), map[string]int64{"a": 1})
}

func noRowGoesOn(t *testing.T, db database.DB) {
	must(t, db.InTx(t.Context(), func(tx database.Tx) error {
		var n int64
		is(t, tx.QueryRow(t.Context(), "SELECT n FROM numbers WHERE name = 'a'", nil, &n), melodyud.ErrNotFound)
		_, err := tx.Exec(t.Context(), "INSERT INTO numbers (name, n) VALUES ('a', 1)")
		return err
	}))
	equal(t, all(t, db), map[string]int64{"a": 1})
}

func isolation(t *testing.T, db database.DB) {
	must(t, db.InTx(t.Context(), func(tx database.Tx) error {
		if _, err := tx.Exec(t.Context(), "INSERT INTO numbers (name, n) VALUES ('a', 1)"); err != nil {
			return err
		}
		var n int64
		must(t, tx.QueryRow(t.Context(), "SELECT n FROM numbers WHERE name = 'a'", nil, &n))
		equal(t, all(t, db), map[string]int64{})
		return nil
	}))
	equal(t, all(t, db), map[string]int64{"a": 1})
}

func lostUpdate(t *testing.T, db database.DB) {
	const workers, times = 8, 10
	put(t, db, "a", 0)
	together(t, workers, func(int) error {
		for range times {
			if err := db.InTx(t.Context(), func(tx database.Tx) error { return increment(t.Context(), tx) }); err != nil {
				return err
			}
		}
		return nil
	})
	equal(t, all(t, db), map[string]int64{"a": workers * times})
}

func increment(ctx context.Context, tx database.Tx) error {
	var n int64
	if err := tx.QueryRow(ctx, "SELECT n FROM numbers WHERE name = 'a'", nil, &n); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "UPDATE numbers SET n = ? WHERE name = 'a'", n+1)
	return err
}

// writeSkew: each takes its own name if fewer than one are taken.
func writeSkew(t *testing.T, db database.DB) {
	for round := range 10 {
		topic := fmt.Sprintf("%d-", round)
		together(t, 4, func(worker int) error {
			return db.InTx(t.Context(), func(tx database.Tx) error {
				var taken int64
				if err := tx.QueryRow(t.Context(), "SELECT COUNT(*) FROM numbers WHERE n = ?", []any{round}, &taken); err != nil || taken > 0 {
					return err
				}
				_, err := tx.Exec(t.Context(), "INSERT INTO numbers (name, n) VALUES (?, ?)", topic+fmt.Sprint(worker), round)
				return err
			})
		})
	}
	equal(t, len(all(t, db)), 10)
}

func countingStatements(t *testing.T, db database.DB) {
	put(t, db, "a", 0)
	together(t, 8, func(int) error {
		for range 10 {
			if _, err := db.Exec(t.Context(), "UPDATE numbers SET n = n + 1 WHERE name = 'a'"); err != nil {
				return err
			}
		}
		return nil
	})
	equal(t, all(t, db), map[string]int64{"a": 80})
}

func emit(t *testing.T, db database.DB) {
	one, two := event("s1", 1), event("s2", "é\n")
	must(t, db.InTx(t.Context(), func(tx database.Tx) error {
		if _, err := tx.Exec(t.Context(), "INSERT INTO numbers (name, n) VALUES ('a', 1)"); err != nil {
			return err
		}
		return tx.Emit(t.Context(), "facts", one, two)
	}))
	equal(t, outbox(t, db, "facts"), []melodyud.Event{one, two})
}

func emitRollback(t *testing.T, db database.DB) {
	err := db.InTx(t.Context(), func(tx database.Tx) error {
		if err := tx.Emit(t.Context(), "facts", event("s", 1)); err != nil {
			return err
		}
		return errMine
	})
	is(t, err, errMine)
	put(t, db, "a", 1)
	_ = db.InTx(t.Context(), func(tx database.Tx) error {
		_ = tx.Emit(t.Context(), "facts", event("s", 1))
		_, _ = tx.Exec(t.Context(), "INSERT INTO numbers (name, n) VALUES ('a', 1)")
		return nil
	})
	equal(t, outbox(t, db, "facts"), nil)
}

// emitOrder: the facts of one subject, whose transactions change the same row,
// lie in the outbox in the order in which they committed.
func emitOrder(t *testing.T, db database.DB) {
	put(t, db, "a", 0)
	together(t, 4, func(int) error {
		for range 5 {
			err := db.InTx(t.Context(), func(tx database.Tx) error {
				var n int64
				if err := tx.QueryRow(t.Context(), "SELECT n FROM numbers WHERE name = 'a'", nil, &n); err != nil {
					return err
				}
				if err := tx.Emit(t.Context(), "facts", event("a", n)); err != nil {
					return err
				}
				_, err := tx.Exec(t.Context(), "UPDATE numbers SET n = ? WHERE name = 'a'", n+1)
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	for i, e := range outbox(t, db, "facts") {
		equal(t, string(e.Data), fmt.Sprint(i))
	}
}

func emitBad(t *testing.T, db database.DB) {
	bad := event("s", 1)
	bad.Data = json.RawMessage("{")
	large := event("s", strings.Repeat("x", 1<<20))
	nameless := event("s", 1)
	nameless.ID = ""
	for want, e := range map[error]melodyud.Event{melodyud.ErrInvalid: bad, melodyud.ErrTooLarge: large} {
		is(t, db.InTx(t.Context(), func(tx database.Tx) error { return tx.Emit(t.Context(), "facts", e) }), want)
	}
	is(t, db.InTx(t.Context(), func(tx database.Tx) error { return tx.Emit(t.Context(), "facts", nameless) }), melodyud.ErrInvalid)
	is(t, db.InTx(t.Context(), func(tx database.Tx) error { return tx.Emit(t.Context(), "no topic", event("s", 1)) }), melodyud.ErrInvalid)
	equal(t, outbox(t, db, "facts"), nil)
}

func cancelled(t *testing.T, db database.DB) {
	ctx, cancel := context.WithCancel(t.Context())
	err := db.InTx(ctx, func(tx database.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO numbers (name, n) VALUES ('a', 1)"); err != nil {
			return err
		}
		cancel()
		return nil
	})
	is(t, err, context.Canceled)
	_, err = db.Exec(ctx, "INSERT INTO numbers (name, n) VALUES ('b', 1)")
	is(t, err, context.Canceled)
	var n int64
	is(t, db.QueryRow(ctx, "SELECT n FROM numbers", nil, &n), context.Canceled)
	equal(t, all(t, db), map[string]int64{})
}

func deadline(t *testing.T, db database.DB) {
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	_, err := db.Exec(ctx, "INSERT INTO numbers (name, n) VALUES ('b', 1)")
	is(t, err, melodyud.ErrUnavailable)
}

// nested: where there is one writer the inner transaction can only give up.
func nested(t *testing.T, db database.DB) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := db.InTx(t.Context(), func(tx database.Tx) error {
		if _, err := tx.Exec(t.Context(), "INSERT INTO numbers (name, n) VALUES ('a', 1)"); err != nil {
			return err
		}
		_, err := db.Exec(ctx, "INSERT INTO numbers (name, n) VALUES ('a', 2)")
		return err
	})
	is(t, err, melodyud.ErrUnavailable)
	equal(t, all(t, db), map[string]int64{})
}

func closed(t *testing.T, db database.DB) {
	must(t, db.Close())
	must(t, db.Close())
	var n int64
	_, err := db.Exec(t.Context(), "DELETE FROM numbers")
	is(t, err, melodyud.ErrUnavailable)
	is(t, db.QueryRow(t.Context(), "SELECT 1", nil, &n), melodyud.ErrUnavailable)
	is(t, db.Ping(t.Context()), melodyud.ErrUnavailable)
	is(t, db.InTx(t.Context(), func(database.Tx) error { return nil }), melodyud.ErrUnavailable)
	_, err = db.Query(t.Context(), "SELECT 1")
	is(t, err, melodyud.ErrUnavailable)
}

func put(t *testing.T, db database.DB, name string, n int64) {
	t.Helper()
	_, err := db.Exec(t.Context(), "INSERT INTO numbers (name, n) VALUES (?, ?)", name, n)
	must(t, err)
}

func all(t *testing.T, db database.DB) map[string]int64 {
	t.Helper()
	rows, err := db.Query(t.Context(), "SELECT name, n FROM numbers")
	must(t, err)
	found := map[string]int64{}
	scan(t, rows, func() error {
		var name string
		var n int64
		defer func() { found[name] = n }()
		return rows.Scan(&name, &n)
	})
	return found
}

func outbox(t *testing.T, db database.DB, topic string) (events []melodyud.Event) {
	t.Helper()
	rows, err := db.Query(t.Context(), "SELECT event FROM outbox WHERE topic = ? ORDER BY seq", topic)
	must(t, err)
	scan(t, rows, func() error {
		var body string
		if err := rows.Scan(&body); err != nil {
			return err
		}
		var e melodyud.Event
		err := json.Unmarshal([]byte(body), &e)
		events = append(events, e)
		return err
	})
	return events
}

func scan(t *testing.T, rows *sql.Rows, one func() error) {
	t.Helper()
	defer rows.Close()
	for rows.Next() {
		must(t, one())
	}
	must(t, rows.Err())
}

func event(subject string, data any) melodyud.Event {
	return melodyud.NewEvent(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "com.melodyud.test.v1", subject, data)
}

// together runs f in n goroutines at once and waits for all of them.
func together(t *testing.T, n int, f func(worker int) error) {
	t.Helper()
	var all sync.WaitGroup
	start := make(chan struct{})
	for worker := range n {
		all.Go(func() {
			<-start
			if err := f(worker); err != nil {
				t.Errorf("worker %d: %v", worker, err)
			}
		})
	}
	close(start)
	all.Wait()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
}

func equal[T any](t *testing.T, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
