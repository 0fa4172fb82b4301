// Package tables keeps the event log in tables of the database.
//
// A topic has one head row, which an append updates first: appends commit one
// after the other in the order of positions, so a reader that has seen a
// position has seen all before it. A consumer group has the last position it has
// finished, and a lease, so that one of its consumers works and the others wait.
package tables

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/lease"
	"github.com/melodyud/melodyud/internal/eventlog"
)

const (
	defaultBatch = 200
	defaultPoll  = 200 * time.Millisecond
	batchBytes   = 4 << 20
	insertRows   = 50
)

// Config is a log. DB is required.
type Config struct {
	DB     database.DB
	Logger *slog.Logger  // hears of failures that are tried again. Default: nobody
	Batch  int           // most events handled at a time. Default 200
	Poll   time.Duration // how soon an append of another process is seen. Default 200 ms
	Term   time.Duration // how soon a dead consumer is replaced. Default lease.DefaultTerm
}

// Log implements eventlog.Log.
type Log struct {
	Config
	life  context.Context // ends at Close, and every Consume with it
	close context.CancelFunc

	mu     sync.Mutex
	topics map[string]*topic
}

// topic is what this process knows of a topic.
type topic struct {
	appending chan struct{} // holds a token while one appends, so that appends do not fight for the head row
	appended  chan struct{} // closed and replaced at each append; guarded by Log.mu
}

var _ eventlog.Log = (*Log)(nil)

// New returns the log of db with every default. Close leaves db open.
func New(db database.DB) *Log {
	l, err := Open(Config{DB: db})
	if err != nil {
		panic(err) // db is nil
	}
	return l
}

// Open returns the log that c describes. Close leaves c.DB open.
func Open(c Config) (*Log, error) {
	if c.DB == nil {
		return nil, errors.New("event log: DB is required")
	}
	if c.Batch < 0 || c.Poll < 0 || c.Term < 0 {
		return nil, errors.New("event log: Batch, Poll and Term must not be negative")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Batch == 0 {
		c.Batch = defaultBatch
	}
	if c.Poll == 0 {
		c.Poll = defaultPoll
	}
	l := &Log{Config: c, topics: map[string]*topic{}}
	l.life, l.close = context.WithCancel(context.Background())
	return l, nil
}

// Close ends the log: every Consume ends with ErrUnavailable, the context of its
// handler with it, and Append is ErrUnavailable from now on.
func (l *Log) Close() error {
	l.close()
	return nil
}

func (l *Log) open() error {
	if l.life.Err() != nil {
		return fmt.Errorf("%w: the event log is closed", melodyud.ErrUnavailable)
	}
	return nil
}

// Append stores events at the end of a topic. Events whose id the topic has
// already are dropped.
func (l *Log) Append(ctx context.Context, name string, events ...melodyud.Event) error {
	if err := eventlog.Check(name, events...); err != nil {
		return err
	}
	if err := l.open(); err != nil || len(events) == 0 {
		return err
	}
	bodies, err := encode(events)
	if err != nil {
		return err
	}
	t := l.topic(name)
	select {
	case t.appending <- struct{}{}:
		defer func() { <-t.appending }()
	case <-ctx.Done():
		return ctx.Err()
	}
	err = l.DB.InTx(ctx, func(tx database.Tx) error { return appendTo(ctx, tx, name, events, bodies) })
	if err != nil {
		return fmt.Errorf("append to %s: %w", name, err)
	}
	l.wake(t)
	return nil
}

func encode(events []melodyud.Event) ([]string, error) {
	bodies := make([]string, len(events))
	for i := range events {
		body, err := json.Marshal(events[i])
		if err != nil {
			return nil, fmt.Errorf("%w: event %s: %w", melodyud.ErrInvalid, events[i].ID, err)
		}
		bodies[i] = string(body)
	}
	return bodies, nil
}

func appendTo(ctx context.Context, tx database.Tx, name string, events []melodyud.Event, bodies []string) error {
	const raise = `INSERT INTO eventlog_topics (topic, head) VALUES (?, ?)
		ON CONFLICT (topic) DO UPDATE SET head = eventlog_topics.head + excluded.head RETURNING head`
	var head int64
	if err := tx.QueryRow(ctx, raise, []any{name, len(events)}, &head); err != nil {
		return err
	}
	position := head - int64(len(events))
	for first := 0; first < len(events); first += insertRows {
		last := min(first+insertRows, len(events))
		args := make([]any, 0, 4*insertRows)
		for i := first; i < last; i++ {
			position++
			args = append(args, name, position, string(events[i].ID), bodies[i])
		}
		query := "INSERT INTO eventlog_events (topic, position, id, event) VALUES (?, ?, ?, ?)" +
			strings.Repeat(", (?, ?, ?, ?)", last-first-1) + " ON CONFLICT (topic, id) DO NOTHING"
		if _, err := tx.Exec(ctx, query, args...); err != nil {
			return err
		}
	}
	return nil
}

// topic returns what we know of a topic. Topics are few and never forgotten.
func (l *Log) topic(name string) *topic {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.topics[name]
	if t == nil {
		t = &topic{appending: make(chan struct{}, 1), appended: make(chan struct{})}
		l.topics[name] = t
	}
	return t
}

// next returns what is closed at the next append.
func (l *Log) next(t *topic) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return t.appended
}

func (l *Log) wake(t *topic) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(t.appended)
	t.appended = make(chan struct{})
}

func (l *Log) lease(topic, group string) *lease.Lease {
	return lease.New(lease.Config{DB: l.DB, Name: "eventlog/" + topic + "/" + group, Term: l.Term})
}
