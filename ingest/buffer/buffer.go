// Package buffer lends the memory in which an upload's part is collected. Small
// requests get small memory.
package buffer

import (
	"io"
	"sync"
)

// Pool lends buffers for parts of one size. Safe for concurrent use.
type Pool struct {
	size int
	pool sync.Pool
}

const small = 64 << 10

// NewPool returns a pool for parts of size bytes.
func NewPool(size int) *Pool {
	return &Pool{size: size, pool: sync.Pool{New: func() any { b := make([]byte, size); return &b }}}
}

// Buffer collects one part.
type Buffer struct {
	from *Pool
	full *[]byte // pooled memory, nil while small
	mem  []byte
	n    int
}

// Lend returns an empty buffer for a body of hint bytes (-1: not known). Release it
// after use.
func (p *Pool) Lend(hint int64) *Buffer {
	b := &Buffer{from: p}
	if hint >= 0 && hint < small {
		b.mem = make([]byte, min(int(hint)+1, p.size)) // one more, to see the end
	}
	return b
}

// grow makes room for a whole part.
func (b *Buffer) grow() {
	if b.full == nil {
		b.full = b.from.pool.Get().(*[]byte)
		copy(*b.full, b.mem[:b.n])
		b.mem = *b.full
	}
}

// Release gives the memory back.
func (b *Buffer) Release() {
	if b.full != nil {
		b.from.pool.Put(b.full)
		b.full, b.mem = nil, nil
	}
}

// Bytes is what the buffer holds.
func (b *Buffer) Bytes() []byte { return b.mem[:b.n] }

// Len is how many bytes the buffer holds.
func (b *Buffer) Len() int { return b.n }

// Reset empties the buffer.
func (b *Buffer) Reset() { b.n = 0 }

// Fill reads until limit bytes or a part are held, or r ends or fails.
func (b *Buffer) Fill(r io.Reader, limit int64) error {
	want := int(min(limit, int64(b.from.size)))
	for b.n < want {
		if b.n == len(b.mem) {
			b.grow()
		}
		n, err := r.Read(b.mem[b.n:min(want, len(b.mem))])
		b.n += n
		if err != nil {
			return err
		}
	}
	return nil
}

// Prepend makes room for n bytes before what is held and returns that room. The
// sum must not exceed a part.
func (b *Buffer) Prepend(n int) []byte {
	b.grow()
	copy(b.mem[n:n+b.n], b.mem[:b.n])
	b.n += n
	return b.mem[:n]
}
