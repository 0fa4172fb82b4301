// Package queue is the port to the doorbells: which work to wake up for. It is a
// lossy hint with at-least-once delivery; the truth is in the rows, and a sweep
// over them makes the loss of the whole queue harmless. The one adapter is Asynq,
// on an in-process Redis by default or on a real one by URL; package queuetest is
// the contract.
package queue

import (
	"context"
	"time"
)

// Task is one ring of the bell. Its payload is an id, never data.
type Task struct {
	Type    string        // "track:render"
	Subject string        // the id of what to work on
	Urgency Urgency       // which queue; empty means Default
	Delay   time.Duration // not before; whole seconds
}

// Urgency is the queue a task waits in.
type Urgency string

// The queues, most urgent first.
const (
	Critical Urgency = "critical"
	Default  Urgency = "default"
	Bulk     Urgency = "bulk"
)

// Handler does what a task asks. An error is logged by the queue and nothing
// else: retries are rung anew from the rows. It must stop soon after ctx ends.
type Handler func(ctx context.Context, subject string) error

// Queue rings and answers bells. Safe for concurrent use.
type Queue interface {
	// Ring wakes one handler of the task's type, under a fresh task id. An
	// unreachable queue is ErrUnavailable, which callers may ignore: the sweep rings again.
	Ring(ctx context.Context, t Task) error
	// Answer runs handlers, at most concurrency at a time, until ctx ends; then it
	// takes no new task, waits up to drain for those in hand, cancels the rest and
	// returns nil.
	Answer(ctx context.Context, concurrency int, drain time.Duration, handlers map[string]Handler) error
	// Depths counts what waits, for operators.
	Depths(ctx context.Context) ([]Depth, error)
	Ping(ctx context.Context) error
	Close() error
}

// Depth is the length of one queue.
type Depth struct {
	Urgency Urgency       `json:"queue"`
	Pending int           `json:"pending"`
	Active  int           `json:"active"`
	Delayed int           `json:"delayed"`
	Oldest  time.Duration `json:"oldest_nanoseconds"` // how long the oldest pending task has waited
}
