package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

// fill is a block on its way in. Whoever wants the block reads along.
type fill struct {
	block   block
	size    int64 // of the object
	local   bool  // for a peer: no other peer is asked
	waiters int   // callers who want it, guarded by Cache.mu

	mu      sync.Mutex
	data    []byte // the block; nil until its turn
	ready   int64  // bytes of it that are there
	from    Status
	asking  bool // a peer is being asked and has not answered
	over    bool
	err     error
	changed chan struct{} // closed at the next change
}

const (
	// step is how many bytes are read before the waiters are told.
	step = 64 << 10
	// attempts at the origin for one block; the second goes on where the first broke
	// off.
	attempts = 2
	retryIn  = 50 * time.Millisecond
)

var (
	errBusy   = fmt.Errorf("%w: too many blocks are being filled", melodyud.ErrUnavailable)
	errNobody = errors.New("nobody waits for the block any more")
	errAsking = fmt.Errorf("%w: another edge is being asked for the block", melodyud.ErrUnavailable)
)

// join returns the fill of a block, which it begins if nobody has; led says that it
// did. A caller who stops waiting before the first byte must leave it.
func (c *Cache) join(b block, size int64, local bool) (f *fill, led bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flights[b]; f != nil {
		if local && f.isAsking() {
			return nil, false, errAsking // two edges that wait for each other
		}
		f.waiters++
		return f, false, nil
	}
	if c.life.Err() != nil {
		return nil, false, fmt.Errorf("%w: the cache is closed", melodyud.ErrUnavailable)
	}
	f = &fill{block: b, size: size, local: local, waiters: 1, changed: make(chan struct{})}
	c.flights[b] = f
	c.running.Go(func() { c.land(f, c.lead(f)) })
	return f, true, nil
}

func (c *Cache) leave(f *fill) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.waiters--
}

// filling is how many blocks are on their way in.
func (c *Cache) filling() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.flights)
}

// land ends a fill: a whole block goes into memory before the fill is forgotten, so
// that nobody finds neither.
func (c *Cache) land(f *fill, err error) {
	if err == nil {
		e := &entry{data: f.data, size: f.size, foreign: f.from.Tier == Peer && c.peers.member}
		c.blocks.Set(f.block, e)
		if f.from.Tier != Disk {
			c.count(f.block, e)
		}
	}
	c.mu.Lock()
	if c.flights[f.block] == f {
		delete(c.flights, f.block)
	}
	c.mu.Unlock()
	f.finish(err)
}

// lead fills f when its turn comes, on nobody's context.
func (c *Cache) lead(f *fill) error {
	ctx, cancel := context.WithTimeout(c.life, c.config.FillTimeout)
	defer cancel()
	if f.length(c.config.Block) <= 0 {
		return fmt.Errorf("block %d of object %s, which has %d bytes", f.block.index, f.block.key, f.size)
	}
	if e, ok := c.blocks.GetIfPresent(f.block); ok { // it landed between a caller's look and join
		f.adopt(e.data)
		return nil
	}
	if c.disk.has(f.block) && c.inTurn(ctx, c.diskSlots, f, func() error { return c.fromDisk(f) }) == nil {
		return nil
	}
	return c.inTurn(ctx, c.slots, f, func() error { return c.pour(ctx, f) })
}

// inTurn fills f when there is a place among the others. A store that hangs takes up
// no places of the disk's.
func (c *Cache) inTurn(ctx context.Context, places chan struct{}, f *fill, pour func() error) error {
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	case <-ctx.Done():
		return errBusy
	}
	if c.abandoned(f) {
		return errNobody
	}
	f.allocate(f.length(c.config.Block))
	return pour()
}

func (c *Cache) fromDisk(f *fill) error {
	if !c.disk.read(f) {
		return errCorrupt
	}
	return nil
}

// abandoned forgets a fill that nobody waits for before it has begun.
func (c *Cache) abandoned(f *fill) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.waiters > 0 {
		return false
	}
	if c.flights[f.block] == f {
		delete(c.flights, f.block)
	}
	return true
}

// pour asks a peer and the origin in turn. What one of them broke off the other goes on
// with.
func (c *Cache) pour(ctx context.Context, f *fill) error {
	if !f.local && c.peers.read(ctx, f, c.config.Block) {
		return nil
	}
	if c.absent.has(f.block.key) {
		return fmt.Errorf("%w: object %s", melodyud.ErrNotFound, f.block.key)
	}
	err := c.fetch(ctx, f)
	for n := 1; n < attempts && worthAnother(err) && ctx.Err() == nil; n++ {
		wait(ctx, retryIn)
		err = c.fetch(ctx, f)
	}
	if errors.Is(err, melodyud.ErrNotFound) {
		c.absent.add(f.block.key)
	}
	if err != nil {
		c.meters.failures.Inc()
	}
	return err
}

func worthAnother(err error) bool {
	return errors.Is(err, melodyud.ErrUnavailable) && !errors.Is(err, errStoreAway)
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// fetch reads what f lacks from the origin, if that is not away.
func (c *Cache) fetch(ctx context.Context, f *fill) error {
	if !c.breaker.closed() {
		return errStoreAway
	}
	c.meters.fills.Inc()
	err := c.open(ctx, f)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", melodyud.ErrUnavailable, err) // it took too long, or the cache closes
	}
	c.breaker.told(err)
	return err
}

func (c *Cache) open(ctx context.Context, f *fill) error {
	b := f.block
	r, info, err := c.config.Origin.Open(ctx, b.key, b.index*c.config.Block+f.ready, int64(len(f.data))-f.ready)
	if err != nil {
		return err
	}
	defer r.Close()
	if info.Size != f.size {
		return fmt.Errorf("object %s has %d bytes, manifest says %d", b.key, info.Size, f.size)
	}
	if err := f.copy(r, Status{Tier: Origin}); err != nil {
		return fmt.Errorf("%w: read block %d of %s: %v", melodyud.ErrUnavailable, b.index, b.key, err)
	}
	return nil
}

func (f *fill) allocate(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.data == nil {
		f.data = make([]byte, n)
	}
}

// adopt fills f with what is in memory.
func (f *fill) adopt(data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.data, f.ready, f.from = data, int64(len(data)), Status{Tier: Memory}
	f.tell()
}

// copy reads what f lacks from r. Only its leader calls it.
func (f *fill) copy(r io.Reader, from Status) error {
	for at := f.ready; at < int64(len(f.data)); at = f.ready {
		n, err := r.Read(f.data[at:min(at+step, int64(len(f.data)))])
		f.advance(int64(n), from)
		switch {
		case f.ready == int64(len(f.data)):
			return nil
		case err == io.EOF:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
	}
	return nil
}

func (f *fill) advance(n int64, from Status) {
	if n == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ready == 0 {
		f.from = from
	}
	f.ready += n
	f.tell()
}

func (f *fill) finish(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over, f.err = true, err
	f.tell()
}

// tell wakes all waiters. The caller holds mu.
func (f *fill) tell() {
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fill) isAsking() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asking && f.ready == 0
}

func (f *fill) setAsking(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asking = on
}

// source tells where the first byte came from.
func (f *fill) source() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.from
}

// await returns the bytes of the block that are there, once they are more than have.
func (f *fill) await(ctx context.Context, have int64) ([]byte, error) {
	for {
		f.mu.Lock()
		ready, over, err, changed := f.data[:f.ready], f.over, f.err, f.changed
		f.mu.Unlock()
		switch {
		case int64(len(ready)) > have:
			return ready, nil
		case over && err != nil:
			return nil, err
		case over:
			return nil, fmt.Errorf("byte %d of block %d of object %s, which has %d bytes", have, f.block.index, f.block.key, f.size)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// length is how many bytes the block has, of blocks of so many bytes.
func (f *fill) length(blockSize int64) int64 {
	return min(blockSize, f.size-f.block.index*blockSize)
}
