package realtest

import (
	"sync"
	"testing"
)

// shared is a server that the tests of one program use together: the first one
// starts it and the last one stops it.
type shared[S interface{ close() }] struct {
	mu    sync.Mutex
	users int
	it    S
}

func (s *shared[S]) use(t testing.TB, start func() (S, error)) S {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == 0 {
		it, err := start()
		if err != nil {
			t.Fatal(err)
		}
		s.it = it
	}
	s.users++
	t.Cleanup(s.leave)
	return s.it
}

func (s *shared[S]) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users == 0 {
		s.it.close()
	}
}
