package ingest

import (
	"io"
	"sync"
)

// buffers lends part-sized memory. Small requests get small memory.
type buffers struct {
	size int
	pool sync.Pool
}

const smallBuffer = 64 << 10

func newBuffers(size int) *buffers {
	return &buffers{size: size, pool: sync.Pool{New: func() any { b := make([]byte, size); return &b }}}
}

// buffer collects one part.
type buffer struct {
	from *buffers
	full *[]byte // pooled memory, nil while small
	mem  []byte
	n    int
}

// lend returns an empty buffer for a body of hint bytes (-1: not known).
func (b *buffers) lend(hint int64) *buffer {
	l := &buffer{from: b}
	if hint >= 0 && hint < smallBuffer {
		l.mem = make([]byte, min(int(hint)+1, b.size)) // one more, to see the end
	}
	return l
}

// grow makes room for a whole part.
func (l *buffer) grow() {
	if l.full == nil {
		l.full = l.from.pool.Get().(*[]byte)
		copy(*l.full, l.mem[:l.n])
		l.mem = *l.full
	}
}

func (l *buffer) release() {
	if l.full != nil {
		l.from.pool.Put(l.full)
		l.full, l.mem = nil, nil
	}
}

func (l *buffer) bytes() []byte { return l.mem[:l.n] }

// fill reads until limit bytes are held, or r ends or fails.
func (l *buffer) fill(r io.Reader, limit int64) error {
	want := int(min(limit, int64(l.from.size)))
	for l.n < want {
		if l.n == len(l.mem) {
			l.grow()
		}
		n, err := r.Read(l.mem[l.n:min(want, len(l.mem))])
		l.n += n
		if err != nil {
			return err
		}
	}
	return nil
}

// prepend makes room for n bytes before what is held and returns that room. The
// sum must not exceed a part.
func (l *buffer) prepend(n int) []byte {
	l.grow()
	copy(l.mem[n:n+l.n], l.mem[:l.n])
	l.n += n
	return l.mem[:n]
}
