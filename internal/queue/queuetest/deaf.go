package queuetest

import (
	"context"

	"github.com/melodyud/melodyud/internal/queue"
)

// Deaf is a queue that loses every ring and says nothing of it, as a Redis does
// that forgets. Everything else is the wrapped queue's.
type Deaf struct{ queue.Queue }

// Ring loses t.
func (Deaf) Ring(ctx context.Context, _ queue.Task) error { return ctx.Err() }
