package cat

import (
	"container/heap"
	"sync"
	"time"
)

// once remembers which tokens were used, until they expire, and not more than most.
type once struct {
	most int

	mu   sync.Mutex
	seen map[string]bool
	ends endings // of the same tokens, the next one first
}

func newOnce(most int) *once { return &once{most: most, seen: map[string]bool{}} }

// first reports whether id was not used before, and whether there is room to
// remember that it is now.
func (o *once) first(id string, end, now time.Time) (fresh, room bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.ends) > 0 && now.After(o.ends[0].at) {
		delete(o.seen, heap.Pop(&o.ends).(ending).id)
	}
	if o.seen[id] {
		return false, true
	}
	if len(o.seen) >= o.most {
		return true, false
	}
	o.seen[id] = true
	heap.Push(&o.ends, ending{id, end})
	return true, true
}

// ending is when a token need not be remembered any more.
type ending struct {
	id string
	at time.Time
}

// endings is a heap, the earliest first.
type endings []ending

func (e endings) Len() int           { return len(e) }
func (e endings) Less(i, j int) bool { return e[i].at.Before(e[j].at) }
func (e endings) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *endings) Push(x any)        { *e = append(*e, x.(ending)) }
func (e *endings) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}
