// Package relay brings the facts that were committed with their rows to the
// event log.
//
//	transaction: rows + outbox -> commit -> relay: append to the log -> delete from the outbox
//
// A fact is deleted only after the log has it, so each arrives at least once;
// after a crash in between it is appended again under the same event id. Facts
// of one topic go in the order of the outbox. Of several processes one relays at a time.
package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/lease"
	"github.com/melodyud/melodyud/internal/database/pause"
	"github.com/melodyud/melodyud/internal/eventlog"
	"github.com/melodyud/melodyud/internal/fault"
)

const (
	defaultBatch = 100
	defaultPoll  = 200 * time.Millisecond
	firstPause   = 50 * time.Millisecond
	longPause    = 5 * time.Second
)

// Config is a relay. DB and Log are required.
type Config struct {
	DB      database.DB
	Log     eventlog.Log
	Logger  *slog.Logger          // Default: nobody hears
	Metrics prometheus.Registerer // Default: nothing is counted
	Batch   int                   // most facts moved at a time. Default 100
	Poll    time.Duration         // how soon a commit of another process is seen. Default 200 ms
	Term    time.Duration         // how soon a dead relay is replaced. Default lease.DefaultTerm
}

// Relay moves facts from the outbox of a database to an event log.
type Relay struct {
	Config
	emitted  <-chan struct{} // nil where the database cannot tell
	moved    prometheus.Counter
	failures prometheus.Counter
	oldest   prometheus.Gauge
}

// New returns a relay that does nothing until Run.
func New(c Config) (*Relay, error) {
	if c.DB == nil || c.Log == nil {
		return nil, errors.New("relay: DB and Log are required")
	}
	if c.Batch < 0 || c.Poll < 0 || c.Term < 0 {
		return nil, errors.New("relay: Batch, Poll and Term must not be negative")
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
	r := &Relay{Config: c}
	if teller, ok := c.DB.(interface{ Emitted() <-chan struct{} }); ok {
		r.emitted = teller.Emitted()
	}
	return r, r.count()
}

// count registers the metrics.
func (r *Relay) count() error {
	r.moved = prometheus.NewCounter(prometheus.CounterOpts{Name: "melodyud_relay_facts_total",
		Help: "Facts appended to the event log."})
	r.failures = prometheus.NewCounter(prometheus.CounterOpts{Name: "melodyud_relay_failures_total",
		Help: "Batches that could not be moved and are tried again."})
	r.oldest = prometheus.NewGauge(prometheus.GaugeOpts{Name: "melodyud_relay_lag_seconds",
		Help: "Age of the oldest fact of the last batch when it was read."})
	if r.Metrics == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{r.moved, r.failures, r.oldest} {
		if err := r.Metrics.Register(c); err != nil {
			return fmt.Errorf("relay: register metrics: %w", err)
		}
	}
	return nil
}

// Run relays until ctx ends, and returns nil then. Failures are logged and
// tried again: a fact that the log refuses holds those behind it up.
func (r *Relay) Run(ctx context.Context) error {
	l := lease.New(lease.Config{DB: r.DB, Name: "outbox", Term: r.Term})
	l.Run(ctx, r.Poll, func(err error) { r.Logger.Warn("relay has to wait", "error", err) }, r.work)
	return nil
}

func (r *Relay) work(ctx context.Context) error {
	failing := pause.Growing{First: firstPause, Longest: longPause}
	for ctx.Err() == nil {
		n, err := r.move(ctx)
		if n > 0 || err == nil {
			failing.Reset()
		}
		switch {
		case ctx.Err() != nil:
		case err != nil:
			r.failures.Inc()
			r.Logger.Warn("relay could not move facts", "error", err)
			failing.Wait(ctx)
		case n < r.Batch:
			pause.For(ctx, r.Poll, r.emitted)
		}
	}
	return context.Cause(ctx)
}

// move brings the oldest facts over and returns how many arrived, even if not all did.
func (r *Relay) move(ctx context.Context) (n int, err error) {
	facts, err := r.read(ctx)
	if err != nil || len(facts) == 0 {
		return 0, err
	}
	r.oldest.Set(time.Since(facts[0].event.Time).Seconds())
	if err := fault.Point("outbox.read"); err != nil {
		return 0, err
	}
	for _, same := range byTopic(facts) {
		if err := r.send(ctx, same); err != nil {
			return n, err
		}
		n += len(same)
		r.moved.Add(float64(len(same)))
	}
	return n, nil
}

// fact is a row of the outbox.
type fact struct {
	seq   int64
	topic string
	event melodyud.Event
}

func (r *Relay) read(ctx context.Context) (facts []fact, err error) {
	rows, err := r.DB.Query(ctx, "SELECT seq, topic, event FROM outbox ORDER BY seq LIMIT ?", r.Batch)
	if err != nil {
		return nil, fmt.Errorf("read outbox: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var f fact
		var body []byte
		if err := rows.Scan(&f.seq, &f.topic, &body); err != nil {
			return nil, fmt.Errorf("read outbox: %w", err)
		}
		if err := json.Unmarshal(body, &f.event); err != nil {
			return nil, fmt.Errorf("row %d of the outbox: %w", f.seq, err)
		}
		facts = append(facts, f)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read outbox: %w", err)
	}
	return facts, nil
}

// byTopic parts facts by topic. Each part keeps the order; there is none between
// topics. A part that arrived is done even if the next one fails.
func byTopic(facts []fact) [][]fact {
	var parts [][]fact
	at := map[string]int{}
	for _, f := range facts {
		i, known := at[f.topic]
		if !known {
			i = len(parts)
			at[f.topic], parts = i, append(parts, nil)
		}
		parts[i] = append(parts[i], f)
	}
	return parts
}

// send appends facts of one topic and then deletes them from the outbox.
func (r *Relay) send(ctx context.Context, facts []fact) error {
	events := make([]melodyud.Event, len(facts))
	for i, f := range facts {
		events[i] = f.event
	}
	if err := r.Log.Append(ctx, facts[0].topic, events...); err != nil {
		return err
	}
	if err := fault.Point("outbox.sent"); err != nil {
		return err
	}
	return r.forget(ctx, facts)
}

// forget deletes the rows by their exact numbers: one that was committed late
// may lie between them.
func (r *Relay) forget(ctx context.Context, facts []fact) error {
	seqs := make([]any, len(facts))
	for i, f := range facts {
		seqs[i] = f.seq
	}
	_, err := r.DB.Exec(ctx, "DELETE FROM outbox WHERE seq IN (?"+strings.Repeat(", ?", len(seqs)-1)+")", seqs...)
	if err != nil {
		return fmt.Errorf("delete from outbox: %w", err)
	}
	return nil
}
