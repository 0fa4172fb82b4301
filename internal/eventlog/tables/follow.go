package tables

import (
	"context"
	"fmt"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database/pause"
	"github.com/melodyud/melodyud/internal/eventlog"
)

// Follow calls handle with the events of a topic; see eventlog.Log. The position is
// kept in memory only: there is no row and no lease of a follower.
func (l *Log) Follow(ctx context.Context, topic string, since time.Time, handle func(context.Context, []melodyud.Event) error) error {
	if err := eventlog.Check(topic); err != nil {
		return err
	}
	living, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.life, cancel)()
	f := &follower{consumer: consumer{log: l, topic: topic, handle: handle}, since: since}
	failing := pause.Growing{First: firstPause, Longest: time.Second}
	for living.Err() == nil {
		if err := f.work(living, &failing); living.Err() == nil {
			l.Logger.Warn("event log: follower has to wait", "topic", topic, "error", err)
			failing.Wait(living)
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return l.open()
}

// follower is one call of Follow.
type follower struct {
	consumer
	since    time.Time
	begun    bool
	position int64
}

// work hands over what there is and what comes, until something fails.
func (f *follower) work(ctx context.Context, failing *pause.Growing) error {
	if !f.begun {
		if err := f.begin(ctx); err != nil {
			return err
		}
	}
	t := f.log.topic(f.topic)
	for {
		now := f.log.look(t) // before reading, or an append in between is missed
		b, err := f.read(ctx, f.position)
		if err == nil {
			err = f.handle(ctx, b.events)
		}
		if err != nil {
			return err
		}
		failing.Reset()
		if len(b.events) > 0 {
			f.position = b.last
			continue
		}
		if !f.log.rest(ctx, now) {
			return context.Cause(ctx)
		}
	}
}

// begin finds the position before the first event that is not older than since. The
// ids of events begin with their time, so that they sort by age.
func (f *follower) begin(ctx context.Context) error {
	least := melodyud.FirstEventID(f.since)
	err := f.log.DB.QueryRow(ctx, `SELECT COALESCE(
			(SELECT MIN(position) - 1 FROM eventlog_events WHERE topic = ? AND id >= ?),
			(SELECT head FROM eventlog_topics WHERE topic = ?), 0)`,
		[]any{f.topic, string(least), f.topic}, &f.position)
	if err != nil {
		return fmt.Errorf("find the first event: %w", err)
	}
	f.begun = true
	return nil
}
