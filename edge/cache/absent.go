package cache

import (
	"sync"
	"time"
)

const (
	// absentFor is how long an object that is not there is not asked for again
	// (EDGE-10 allows 10 s).
	absentFor  = 5 * time.Second
	mostAbsent = 4096
)

// absent remembers objects that are not there.
type absent struct {
	now   func() time.Time
	mu    sync.Mutex
	until map[string]time.Time // by key
}

func (a *absent) has(key string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now().Before(a.until[key])
}

func (a *absent) add(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.until == nil || len(a.until) >= mostAbsent {
		a.until = map[string]time.Time{}
	}
	a.until[key] = a.now().Add(absentFor)
}
