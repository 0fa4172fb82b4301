package notices

import (
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/ticket"
)

// shards parts a scope, so that a new notice copies little.
const shards = 256

// scope holds the notices of one kind. Readers take no lock: each shard is a map
// that is replaced, never changed.
type scope struct {
	seed  maphash.Seed
	count atomic.Int64
	mu    sync.Mutex // of those who write
	maps  [shards]atomic.Pointer[map[string]notice]
}

// notice is what holds for one id. A withdrawal and a rule do not replace each
// other: each has its own time.
type notice struct {
	void    int64 // tickets issued at or before are void; unix milliseconds
	refusal *melodyud.Refusal
	ruled   int64 // tickets issued at or before are good where rule allows
	rule    ticket.Countries
}

func newScope() *scope { return &scope{seed: maphash.MakeSeed()} }

func (s *scope) shard(id string) *atomic.Pointer[map[string]notice] {
	return &s.maps[maphash.String(s.seed, id)%shards]
}

// ask returns the refusal of a ticket for id, or the rule that holds for it.
func (s *scope) ask(id string, issued time.Time) (ticket.Countries, error) {
	if s.count.Load() == 0 || id == "" {
		return "", nil
	}
	known := s.shard(id).Load()
	if known == nil {
		return "", nil
	}
	n, ok := (*known)[id]
	if !ok {
		return "", nil
	}
	at := int64(0) // the first version: older than everything
	if !issued.IsZero() {
		at = issued.UnixMilli()
	}
	if n.refusal != nil && at <= n.void {
		return "", n.refusal
	}
	if n.ruled > 0 && at <= n.ruled {
		return n.rule, nil
	}
	return "", nil
}

// put adds what n says to what holds for id; an older notice changes nothing.
func (s *scope) put(id string, n melodyud.Notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.shard(id)
	old := at.Load()
	var one notice
	known := false
	if old != nil {
		one, known = (*old)[id]
	}
	ms := n.Before.UnixMilli()
	switch {
	case n.Countries != nil && ms > one.ruled:
		one.ruled, one.rule = ms, ticket.Countries(*n.Countries)
	case n.Countries == nil && ms > one.void:
		one.void, one.refusal = ms, melodyud.Refuse(melodyud.ErrForbidden, n.Code, n.Text)
	default:
		return
	}
	fresh := map[string]notice{id: one}
	if old != nil {
		fresh = maps.Clone(*old)
		fresh[id] = one
	}
	at.Store(&fresh)
	if !known {
		s.count.Add(1)
	}
}

// forget drops the notices that end before a time.
func (s *scope) forget(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.maps {
		old := s.maps[i].Load()
		if old == nil {
			continue
		}
		fresh := maps.Clone(*old)
		maps.DeleteFunc(fresh, func(_ string, n notice) bool {
			return now.After(endOf(time.UnixMilli(max(n.void, n.ruled))))
		})
		if gone := len(*old) - len(fresh); gone > 0 {
			s.maps[i].Store(&fresh)
			s.count.Add(-int64(gone))
		}
	}
}
