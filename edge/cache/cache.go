// Package cache keeps blocks of track files in memory, close to the listeners.
//
// Objects never change under a name, so nothing is ever invalidated. A block is
// filled once whatever the crowd that waits for it, and the fill belongs to no
// caller: a listener who hangs up fails nobody else (EDGE-8).
package cache

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/prometheus/client_golang/prometheus"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// origin is what the cache reads from.
type origin interface {
	Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, objectstore.Info, error)
}

// Config of a Cache.
type Config struct {
	Origin origin
	// Bytes is the most memory the blocks may take; default 256 MiB.
	Bytes int64
	// Block is the size of one block in bytes; default 256 KiB: an AAC segment is
	// one or two reads, a lossless one a few.
	Block int64
	// FillTimeout bounds one read from the origin; default 10 s.
	FillTimeout time.Duration
	Metrics     prometheus.Registerer // nil: not measured
}

// Cache is safe for concurrent use.
type Cache struct {
	config Config
	blocks *otter.Cache[block, []byte]
	hits   prometheus.Counter
	fills  prometheus.Counter
	fails  prometheus.Counter
}

type block struct {
	key   string
	index int64
}

const (
	defaultBytes = 256 << 20
	defaultBlock = 256 << 10
	defaultFill  = 10 * time.Second
	overhead     = 128 // bytes of bookkeeping counted for each block
)

// New returns an empty cache.
func New(c Config) (*Cache, error) {
	if c.Origin == nil {
		return nil, fmt.Errorf("%w: cache needs an origin", melodyud.ErrInvalid)
	}
	if c.Bytes == 0 {
		c.Bytes = defaultBytes
	}
	if c.Block == 0 {
		c.Block = defaultBlock
	}
	if c.FillTimeout == 0 {
		c.FillTimeout = defaultFill
	}
	blocks, err := otter.New(&otter.Options[block, []byte]{
		MaximumWeight: uint64(c.Bytes),
		Weigher:       func(k block, v []byte) uint32 { return uint32(len(v) + len(k.key) + overhead) },
	})
	if err != nil {
		return nil, fmt.Errorf("cache of %d bytes: %w", c.Bytes, err)
	}
	k := &Cache{
		config: c, blocks: blocks,
		hits:  counter("melodyud_edge_cache_hits_total", "Blocks served from memory."),
		fills: counter("melodyud_edge_cache_fills_total", "Blocks read from the object store."),
		fails: counter("melodyud_edge_cache_fill_failures_total", "Blocks the object store did not give."),
	}
	if c.Metrics != nil {
		c.Metrics.MustRegister(k.hits, k.fills, k.fails)
	}
	return k, nil
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

// Close stops the cache's own goroutines. Readers in hand may go on.
func (c *Cache) Close() { c.blocks.StopAllGoroutines() }

// Bytes returns how much memory the blocks take.
func (c *Cache) Bytes() int64 {
	c.blocks.CleanUp()
	return int64(c.blocks.WeightedSize())
}

// Has reports whether the byte at offset of an object is in memory.
func (c *Cache) Has(key string, offset int64) bool {
	_, ok := c.blocks.GetIfPresent(block{key, offset / c.config.Block})
	return ok
}

// Reader returns a reader of length bytes of an object from offset. size is the
// whole object's. Blocks are filled when first read.
func (c *Cache) Reader(ctx context.Context, key string, size, offset, length int64) *Reader {
	return &Reader{ctx: ctx, cache: c, key: key, size: size, base: offset, length: length}
}

// fetch returns a block, from memory or from the origin. The bytes are shared
// and must not be written to.
func (c *Cache) fetch(ctx context.Context, b block, size int64) ([]byte, error) {
	if data, ok := c.blocks.GetIfPresent(b); ok {
		c.hits.Inc()
		return data, nil
	}
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() { // outlives a caller who hangs up by at most FillTimeout
		data, err := c.blocks.Get(context.WithoutCancel(ctx), b, otter.LoaderFunc[block, []byte](
			func(ctx context.Context, b block) ([]byte, error) { return c.fill(ctx, b, size) }))
		done <- result{data, err}
	}()
	select {
	case r := <-done:
		return r.data, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *Cache) fill(ctx context.Context, b block, size int64) ([]byte, error) {
	c.fills.Inc()
	data, err := c.read(ctx, b, size)
	if err != nil {
		c.fails.Inc()
	}
	return data, err
}

func (c *Cache) read(ctx context.Context, b block, size int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.FillTimeout)
	defer cancel()
	start := b.index * c.config.Block
	if start >= size {
		return nil, fmt.Errorf("block %d of object %s, which has %d bytes", b.index, b.key, size)
	}
	data := make([]byte, min(c.config.Block, size-start))
	r, info, err := c.config.Origin.Open(ctx, b.key, start, int64(len(data)))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if info.Size != size {
		return nil, fmt.Errorf("object %s has %d bytes, manifest says %d", b.key, info.Size, size)
	}
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, fmt.Errorf("%w: read block %d of %s: %v", melodyud.ErrUnavailable, b.index, b.key, err)
	}
	return data, nil
}

// Reader reads a stretch of an object through the cache.
type Reader struct {
	ctx          context.Context // of the one request this reader serves
	cache        *Cache
	key          string
	size         int64 // of the object
	base, length int64 // the stretch
	at           int64 // position in the stretch
}

// Read reads from the block at the current position.
func (r *Reader) Read(p []byte) (int, error) {
	chunk, err := r.next()
	if err != nil {
		return 0, err
	}
	n := copy(p, chunk)
	r.at += int64(n)
	return n, nil
}

// CopyN writes the next n bytes, or what there is, block by block and without a
// copy between.
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

// next returns what is left of the current block, or io.EOF.
func (r *Reader) next() ([]byte, error) {
	if r.at >= r.length {
		return nil, io.EOF
	}
	pos := r.base + r.at
	index := pos / r.cache.config.Block
	data, err := r.cache.fetch(r.ctx, block{r.key, index}, r.size)
	if err != nil {
		return nil, err
	}
	data = data[pos-index*r.cache.config.Block:]
	return data[:min(int64(len(data)), r.length-r.at)], nil
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
