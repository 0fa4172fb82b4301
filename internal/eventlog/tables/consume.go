package tables

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/lease"
	"github.com/melodyud/melodyud/internal/database/pause"
	"github.com/melodyud/melodyud/internal/eventlog"
)

const (
	firstPause = 100 * time.Millisecond
	longPause  = 30 * time.Second
	lastMoment = 5 * time.Second // to record finished work after the context ended
)

type handler = func(context.Context, []melodyud.Event) error

// Consume calls handle with batches of a topic's events; see eventlog.Log.
func (l *Log) Consume(ctx context.Context, topic, group string, handle func(context.Context, []melodyud.Event) error) error {
	if err := eventlog.Check(topic); err != nil {
		return err
	}
	if err := eventlog.Check(group); err != nil {
		return fmt.Errorf("group: %w", err)
	}
	living, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.life, cancel)()
	c := &consumer{log: l, topic: topic, group: group, handle: handle, lease: l.lease(topic, group)}
	c.lease.Run(living, l.Poll, c.report, c.work)
	if ctx.Err() != nil {
		return nil
	}
	return l.open()
}

// consumer is one call of Consume.
type consumer struct {
	log          *Log
	topic, group string
	handle       handler
	lease        *lease.Lease
}

func (c *consumer) report(err error) {
	c.log.Logger.Warn("event log: consumer has to wait", "topic", c.topic, "group", c.group, "error", err)
}

// work reads the topic from where the group left off, while it has the lease.
func (c *consumer) work(ctx context.Context) error {
	position, err := c.position(ctx)
	if err != nil {
		return err
	}
	t := c.log.topic(c.topic)
	for ctx.Err() == nil {
		now := c.log.look(t) // before reading, or an append in between is missed
		b, err := c.read(ctx, position)
		if err != nil {
			return err
		}
		if len(b.events) == 0 {
			c.log.rest(ctx, now)
			continue
		}
		if err := c.finish(ctx, b); err != nil {
			return err
		}
		position = b.last
	}
	return context.Cause(ctx)
}

// finish hands a batch over until it is handled, and records that. What was
// handled is recorded even if the context has just ended.
func (c *consumer) finish(ctx context.Context, b batch) error {
	failing := pause.Growing{First: firstPause, Longest: longPause}
	for {
		err := c.handle(ctx, b.events)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		c.log.Logger.Warn("event log: handler failed, the batch is delivered again", "topic", c.topic, "group", c.group,
			"first", b.events[0].ID, "events", len(b.events), "error", err)
		if !failing.Wait(ctx) {
			return context.Cause(ctx)
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastMoment)
	defer cancel()
	return c.record(ctx, b.last)
}

// record is retried, because the batch would be handled again if it failed.
func (c *consumer) record(ctx context.Context, position int64) error {
	failing := pause.Growing{First: firstPause, Longest: time.Second}
	for {
		err := c.log.DB.InTx(ctx, func(tx database.Tx) error {
			if err := c.lease.Check(ctx, tx); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `INSERT INTO eventlog_groups (topic, name, position) VALUES (?, ?, ?)
				ON CONFLICT (topic, name) DO UPDATE SET position = excluded.position`, c.topic, c.group, position)
			return err
		})
		if err == nil {
			return nil
		}
		if !errors.Is(err, melodyud.ErrUnavailable) || !failing.Wait(ctx) {
			return fmt.Errorf("record position %d: %w", position, err)
		}
	}
}

func (c *consumer) position(ctx context.Context) (position int64, err error) {
	err = c.log.DB.QueryRow(ctx, "SELECT position FROM eventlog_groups WHERE topic = ? AND name = ?", []any{c.topic, c.group}, &position)
	if errors.Is(err, melodyud.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("find position: %w", err)
	}
	return position, nil
}

type batch struct {
	events []melodyud.Event
	last   int64 // position of the last one
}

// read returns the next events behind a position: at most Batch, and no more
// than one beyond batchBytes.
func (c *consumer) read(ctx context.Context, position int64) (b batch, err error) {
	rows, err := c.log.DB.Query(ctx, "SELECT position, event FROM eventlog_events WHERE topic = ? AND position > ? ORDER BY position LIMIT ?",
		c.topic, position, c.log.Batch)
	if err != nil {
		return b, fmt.Errorf("read events: %w", err)
	}
	defer rows.Close()
	for size := 0; size < batchBytes && rows.Next(); {
		var body []byte
		var e melodyud.Event
		if err := rows.Scan(&b.last, &body); err != nil {
			return b, fmt.Errorf("read events: %w", err)
		}
		if err := json.Unmarshal(body, &e); err != nil {
			return b, fmt.Errorf("event at position %d of %s: %w", b.last, c.topic, err)
		}
		b.events = append(b.events, e)
		size += len(body)
	}
	if err := rows.Err(); err != nil {
		return b, fmt.Errorf("read events: %w", err)
	}
	return b, nil
}
