// Package eventlog is the port to the facts: what happened, in order, for ever.
// The default adapter keeps them in tables of the database; package eventlogtest
// is the contract, written so that Kafka fits it.
package eventlog

import (
	"context"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

// Log is an append-only log of events in topics. Safe for concurrent use.
type Log interface {
	// Append stores events at the end of topic and returns once they are durable.
	// Events of one subject keep the order in which they were appended. Appending an
	// event id again may be dropped or delivered again: readers drop duplicates by id.
	Append(ctx context.Context, topic string, events ...melodyud.Event) error
	// Consume calls handle with batches of a topic's events until ctx ends, and
	// returns nil then. A batch counts as read by the group once handle returned nil:
	// a consumer of the same group that starts later goes on behind it. Every event
	// is delivered at least once to each group, those of one subject in order, and
	// only one consumer of a group gets an event at a time. After an error of handle
	// the same batch is delivered again, with a growing pause.
	Consume(ctx context.Context, topic, group string, handle func(context.Context, []melodyud.Event) error) error
	// Follow calls handle with the events of a topic until ctx ends, and returns nil
	// then: first those appended since a time, and maybe some before it, then those
	// that come. Every caller gets all of them, each at least once, those of one
	// subject in order. handle is called without events each time there are no
	// further ones, at least every few seconds: what was appended before that call
	// began has been delivered. After an error of handle the same events are
	// delivered again, with a growing pause. A log that cannot be read is tried again.
	Follow(ctx context.Context, topic string, since time.Time, handle func(context.Context, []melodyud.Event) error) error
	Close() error
}
