package cache

import (
	"context"
	"fmt"
	"io"

	melodyud "github.com/melodyud/melodyud"
)

// Reader reads a stretch of an object through the cache.
type Reader struct {
	ctx          context.Context // of the one request this reader serves
	cache        *Cache
	key          string
	size         int64 // of the object
	base, length int64 // the stretch
	at           int64 // position in the stretch
	local        bool  // for a peer: no other peer is asked

	index  int64  // of the block in hand
	data   []byte // of that block, as far as it is there; nil: none in hand
	fill   *fill  // it grows; nil: it is whole
	status Status // of the first block that was read
	known  bool   // status is
}

// Read reads from the block at the current position.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	chunk, err := r.next()
	if err != nil {
		return 0, err
	}
	n := copy(p, chunk)
	r.at += int64(n)
	return n, nil
}

// CopyN writes the next n bytes, or what there is, block by block and without a
// copy between. What is there of a block that is being filled is written at once.
func (r *Reader) CopyN(w io.Writer, n int64) (total int64, err error) {
	for total < n {
		chunk, err := r.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return total, err
		}
		wrote, err := w.Write(chunk[:min(int64(len(chunk)), n-total)])
		r.at += int64(wrote)
		total += int64(wrote)
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// Status tells how the first block that was read was had; before the first read it
// only tells whether that block is in memory.
func (r *Reader) Status() Status {
	if r.known || r.cache.Has(r.key, r.base) {
		return r.status
	}
	return Status{Tier: Origin}
}

// Seek moves within the stretch.
func (r *Reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.length
	}
	if offset < 0 {
		return 0, fmt.Errorf("%w: seek before the start", melodyud.ErrInvalid)
	}
	r.at = offset
	return offset, nil
}

// next returns what is there of the rest of the current block, or io.EOF.
func (r *Reader) next() ([]byte, error) {
	if r.at >= r.length {
		return nil, io.EOF
	}
	pos := r.base + r.at
	index := pos / r.cache.config.Block
	within := pos - index*r.cache.config.Block
	if r.data == nil || r.index != index {
		if err := r.take(index, within); err != nil {
			return nil, err
		}
	}
	if within >= int64(len(r.data)) {
		if err := r.grow(within); err != nil {
			return nil, err
		}
	}
	rest := r.data[within:]
	return rest[:min(int64(len(rest)), r.length-r.at)], nil
}

// take gets block index in hand, with more than within bytes of it.
func (r *Reader) take(index, within int64) error {
	b := block{r.key, index}
	r.data, r.fill, r.index = nil, nil, index
	if e, ok := r.cache.lookup(b); ok {
		r.data = e.data
		r.cache.meters.memory.Inc()
		r.learn(Status{Tier: Memory})
		return nil
	}
	return r.follow(b, within)
}

// follow reads along with the fill of a block.
func (r *Reader) follow(b block, within int64) error {
	began := r.cache.config.Now()
	f, led, err := r.cache.join(b, r.size, r.local)
	if err != nil {
		return err
	}
	r.ahead(b)
	r.data, err = f.await(r.ctx, within)
	r.cache.leave(f)
	if err != nil {
		r.data = nil
		return err
	}
	r.fill = f
	s := f.source()
	s.Collapsed, s.Waited = !led, r.cache.config.Now().Sub(began)
	r.learn(s)
	r.cache.meters.served(s)
	return nil
}

// ahead begins to fill the stretch's next block, so that a far origin is not waited
// for block by block.
func (r *Reader) ahead(b block) {
	b.index++
	if b.index*r.cache.config.Block < r.base+r.length && !r.local {
		r.cache.prefetch(b, r.size)
	}
}

// grow waits for more of the block in hand.
func (r *Reader) grow(within int64) error {
	if r.fill == nil {
		return fmt.Errorf("byte %d of block %d of object %s, which ends before", within, r.index, r.key)
	}
	data, err := r.fill.await(r.ctx, within)
	if err != nil {
		return err
	}
	r.data = data
	return nil
}

func (r *Reader) learn(s Status) {
	if !r.known {
		r.status, r.known = s, true
	}
}
