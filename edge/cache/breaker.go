package cache

import (
	"errors"
	"fmt"
	"sync"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

const (
	// afterFailures in a row the store counts as away.
	afterFailures = 5
	// probeEvery is how often a store that is away is asked all the same.
	probeEvery = time.Second
)

var errStoreAway = fmt.Errorf("%w: the object store does not answer", melodyud.ErrUnavailable)

// breaker spares listeners the wait for a store that is away: most are refused at
// once, and one a second finds out whether it is back.
type breaker struct {
	now      func() time.Time
	mu       sync.Mutex
	failures int
	next     time.Time // when the store may be asked again
}

// closed reports whether the store may be asked.
func (b *breaker) closed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < afterFailures {
		return true
	}
	now := b.now()
	if now.Before(b.next) {
		return false
	}
	b.next = now.Add(probeEvery)
	return true
}

// told learns from an answer. Whatever the store says of an object, it is there.
func (b *breaker) told(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !errors.Is(err, melodyud.ErrUnavailable) {
		b.failures = 0
		return
	}
	b.failures++
	b.next = b.now().Add(probeEvery)
}
