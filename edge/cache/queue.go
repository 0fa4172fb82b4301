package cache

// shelf knows what is on the disk and decides what leaves it (S3-FIFO): what was
// wanted once waits in a short queue and leaves first; what was wanted again moves to
// a long one, where each further wish, up to three, buys another round. Not safe for
// concurrent use.
type shelf struct {
	limit int64 // bytes
	used  int64
	known map[id]*item
	short fifo
	long  fifo
}

// item is a file of the disk tier.
type item struct {
	id     id
	bytes  int64 // it takes on the disk
	data   int32 // bytes of the block, as its name says
	wishes int8
	prized bool // in the long queue

	older, newer *item
}

const (
	shortPart  = 10 // of the limit is the short queue's share
	mostWishes = 3
)

func newShelf(limit int64) *shelf { return &shelf{limit: limit, known: map[id]*item{}} }

// fits reports whether n bytes fit without anything leaving.
func (s *shelf) fits(n int64) bool { return s.used+n <= s.limit }

// wish counts that an item was wanted.
func (i *item) wish() { i.wishes = min(i.wishes+1, mostWishes) }

// add puts an item in, prized ones into the long queue.
func (s *shelf) add(i *item) {
	if _, ok := s.known[i.id]; ok {
		return
	}
	s.known[i.id] = i
	s.used += i.bytes
	s.queue(i).push(i)
}

func (s *shelf) queue(i *item) *fifo {
	if i.prized {
		return &s.long
	}
	return &s.short
}

func (s *shelf) remove(i *item) {
	if s.known[i.id] != i {
		return
	}
	delete(s.known, i.id)
	s.used -= i.bytes
	s.queue(i).remove(i)
}

// evict takes items out until n bytes are free below the limit.
func (s *shelf) evict(n int64) []*item {
	var gone []*item
	for s.used > 0 && s.used+n > s.limit {
		gone = append(gone, s.pop())
	}
	return gone
}

// shed takes out items of n bytes or more, or all there are.
func (s *shelf) shed(n int64) []*item {
	var gone []*item
	for ; s.used > 0 && n > 0; n -= gone[len(gone)-1].bytes {
		gone = append(gone, s.pop())
	}
	return gone
}

// pop takes out one item; there must be one.
func (s *shelf) pop() *item {
	for {
		q := &s.long
		if s.short.bytes*shortPart > s.limit || s.long.oldest == nil {
			q = &s.short
		}
		i := q.oldest
		if i.wishes == 0 {
			s.remove(i)
			return i
		}
		q.remove(i)
		if i.prized {
			i.wishes--
		} else {
			i.prized, i.wishes = true, 0
		}
		s.long.push(i)
	}
}

// fifo is a queue of items.
type fifo struct {
	oldest, newest *item
	bytes          int64
}

func (q *fifo) push(i *item) {
	i.older, i.newer = q.newest, nil
	if q.newest != nil {
		q.newest.newer = i
	} else {
		q.oldest = i
	}
	q.newest = i
	q.bytes += i.bytes
}

func (q *fifo) remove(i *item) {
	if i.older != nil {
		i.older.newer = i.newer
	} else {
		q.oldest = i.newer
	}
	if i.newer != nil {
		i.newer.older = i.older
	} else {
		q.newest = i.older
	}
	i.older, i.newer = nil, nil
	q.bytes -= i.bytes
}

// ghosts remember, in little memory, which blocks were wanted when. A younger one
// takes the place of an older one without more ado. Not safe for concurrent use.
type ghosts []uint64 // 40 bits of the id and 24 of the time in seconds

const (
	leastGhosts = 1 << 10
	mostGhosts  = 1 << 22
	timeMask    = 1<<24 - 1
)

func newGhosts(n int64) ghosts { return make(ghosts, min(max(n, leastGhosts), mostGhosts)) }

// seen reports whether a block was wanted apart or more seconds before now, and
// remembers it else.
func (g ghosts) seen(b id, now, apart int64) bool {
	print := b.fingerprint()
	place := &g[print%uint64(len(g))]
	if *place>>24 == print>>24 {
		return (now-int64(*place&timeMask))&timeMask >= apart
	}
	*place = print&^timeMask | uint64(now)&timeMask
	return false
}
