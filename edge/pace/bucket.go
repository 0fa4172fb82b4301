// Package pace keeps single listeners and networks from taking more than their
// share of an edge: token buckets in bounded memory, decided without any network.
package pace

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

// Rate is how fast a bucket fills, and how much it holds.
type Rate struct {
	PerSecond float64 // requests; 0: as many as one likes
	Burst     int     // requests at once after a pause; at least 1
}

const shards = 16

// Key names a bucket: see Name. Two keys are alike once in some billion of billions.
type Key uint64

// Buckets are token buckets by key. At most about a given number of them is
// remembered; of more, those not asked for longest count as full again. They are
// safe for concurrent use.
type Buckets struct {
	step  int64 // nanoseconds a request
	burst int64 // nanoseconds a full bucket holds
	most  int   // keys in one generation of a shard
	seed  maphash.Seed

	shards [shards]shard
}

// shard has two generations of keys: a key that is asked for moves to the young
// one, and when that is full the old one is forgotten.
type shard struct {
	mu         sync.Mutex
	young, old map[Key]int64 // the instant a bucket is full again, in Unix nanoseconds
}

// New returns buckets of a rate, of which about keys are remembered. A rate that
// cannot be meant is ErrInvalid.
func New(r Rate, keys int) (*Buckets, error) {
	if r.PerSecond < 0 || r.PerSecond > 1e6 || r.PerSecond > 0 && (r.Burst < 1 || r.PerSecond < 1e-3) || keys < 1 {
		return nil, fmt.Errorf("%w: a rate of %g requests a second and %d at once", melodyud.ErrInvalid, r.PerSecond, r.Burst)
	}
	b := &Buckets{most: max(1, keys/shards/2), seed: maphash.MakeSeed()}
	if r.PerSecond > 0 {
		b.step = int64(1e9 / r.PerSecond)
		b.burst = b.step * int64(r.Burst)
	}
	for i := range b.shards {
		b.shards[i].young = map[Key]int64{}
	}
	return b, nil
}

// Name returns the key of a name.
func (b *Buckets) Name(name string) Key { return Key(maphash.String(b.seed, name)) }

// Network returns the key of who is behind an address, as far as one can tell: an
// IPv4 address itself, of IPv6 the 64 bits that one household or machine has.
// Unknown addresses are all alike.
func (b *Buckets) Network(a netip.Addr) Key {
	n := 8
	if a.Is4() || a.Is4In6() {
		n = 16
	}
	raw := a.As16()
	return Key(maphash.Bytes(b.seed, raw[:n]))
}

// Take takes a token for a request at now. It returns 0, or how long until there is
// one; then nothing is taken.
func (b *Buckets) Take(key Key, now time.Time) (wait time.Duration) {
	if b.step == 0 {
		return 0
	}
	at := now.UnixNano()
	s := &b.shards[key%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	full, known := s.young[key]
	if !known {
		full = s.old[key]
	}
	full = max(full, at)
	if wait := full + b.step - b.burst - at; wait > 0 {
		return time.Duration(wait)
	}
	s.keep(key, full+b.step, b.most)
	return 0
}

func (s *shard) keep(key Key, full int64, most int) {
	if _, known := s.young[key]; !known && len(s.young) >= most {
		s.young, s.old = make(map[Key]int64, most/4), s.young
	}
	s.young[key] = full
}

// Keys is how many buckets are remembered now.
func (b *Buckets) Keys() int {
	n := 0
	for i := range b.shards {
		s := &b.shards[i]
		s.mu.Lock()
		n += len(s.young) + len(s.old)
		s.mu.Unlock()
	}
	return n
}
