package httpcache

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/melodyud/melodyud/edge/cachestatus"
)

const (
	// mostVariants is how many responses are kept for one address: the latest.
	mostVariants = 32
	// passFor is how long an address whose answers nobody may store is asked for
	// without making others wait.
	passFor = 30 * time.Second
)

// resource is what is known of one address. It is replaced, never changed.
type resource struct {
	variants  []*stored // the latest first
	passUntil time.Time // its answers are not storable, it seems
}

func (r *resource) weight(key string) uint32 {
	n := 128 + len(key)
	for _, v := range r.variants {
		n += v.size()
	}
	return uint32(n)
}

// store holds resources by address in bounded memory.
type store struct {
	mu    sync.Mutex // held while a resource is replaced
	known *otter.Cache[string, *resource]
}

func newStore(size int64) (*store, error) {
	known, err := otter.New(&otter.Options[string, *resource]{
		MaximumWeight: uint64(size),
		Weigher:       func(key string, r *resource) uint32 { return r.weight(key) },
	})
	if err != nil {
		return nil, fmt.Errorf("store of %d bytes: %w", size, err)
	}
	return &store{known: known}, nil
}

// find returns the latest response whose selecting fields a request matches (RFC
// 9111 §4.1), or why there is none.
func (s *store) find(key string, request http.Header) (*stored, cachestatus.Reason) {
	r, ok := s.known.GetIfPresent(key)
	if !ok || len(r.variants) == 0 {
		return nil, cachestatus.URIMiss
	}
	for _, v := range r.variants {
		if matches(v.selected, request) {
			return v, ""
		}
	}
	return nil, cachestatus.VaryMiss
}

// selecting is what the latest response of an address was chosen by.
func (s *store) selecting(key string) []selecting {
	if r, ok := s.known.GetIfPresent(key); ok && len(r.variants) > 0 {
		return r.variants[0].selected
	}
	return nil
}

// put adds a response and drops those it replaces: of the same selecting fields.
func (s *store) put(key string, one *stored) {
	s.replace(key, func(old resource) *resource {
		kept := []*stored{one}
		for _, v := range old.variants {
			if !slices.Equal(v.selected, one.selected) && len(kept) < mostVariants {
				kept = append(kept, v)
			}
		}
		return &resource{variants: kept}
	})
}

// combine adds a partial response to what there is of the same (RFC 9111 §3.4).
func (s *store) combine(key string, one *stored) {
	var older *stored
	if r, ok := s.known.GetIfPresent(key); ok {
		if i := slices.IndexFunc(r.variants, func(v *stored) bool { return slices.Equal(v.selected, one.selected) }); i >= 0 {
			older = r.variants[i]
		}
	}
	s.put(key, combined(older, one))
}

// pass notes that the answers of an address are not for the store.
func (s *store) pass(key string, until time.Time) {
	s.replace(key, func(old resource) *resource {
		old.passUntil = until
		return &old
	})
}

// passes reports whether nobody should wait for an answer to others.
func (s *store) passes(key string, now time.Time) bool {
	r, ok := s.known.GetIfPresent(key)
	return ok && len(r.variants) == 0 && now.Before(r.passUntil)
}

func (s *store) drop(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known.Invalidate(key)
}

func (s *store) replace(key string, with func(old resource) *resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var old resource
	if r, ok := s.known.GetIfPresent(key); ok {
		old = *r
	}
	s.known.Set(key, with(old))
}

func (s *store) bytes() int64 {
	s.known.CleanUp()
	return int64(s.known.WeightedSize())
}

func (s *store) close() { s.known.StopAllGoroutines() }
