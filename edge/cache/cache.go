// Package cache keeps blocks of track files close to the listeners: in memory, on
// disk and at the other edges, before the object store is asked.
//
// Objects never change under a name, so nothing is ever invalidated. A block is
// filled once whatever the crowd that waits for it; the fill belongs to no caller (a
// listener who hangs up fails nobody else, EDGE-8), and the whole crowd reads along
// while it goes on (EDGE-16). Reader.Status tells where the bytes came from (EDGE-11).
//
//	memory        W-TinyLFU: what many want stays, what one listener wanted goes
//	disk          S3-FIFO; once it is full only blocks wanted twice get in
//	peers         the edge that is responsible for a block, by rendezvous hashing
//	object store  asked once for a block, by that edge
package cache

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
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
	// Bytes is the most memory blocks may take, those on their way in or to the disk
	// with them; default 256 MiB.
	Bytes int64
	// Block is the size of one block in bytes; default 256 KiB: an AAC segment is
	// one or two reads, a lossless one a few.
	Block int64
	// FillTimeout bounds the filling of one block, and the wait for its turn; default
	// 10 s.
	FillTimeout time.Duration

	Disk  DiskConfig  // a directory for blocks; default none
	Peers PeersConfig // the other edges; default none

	Logger  *slog.Logger          // default: discards
	Metrics prometheus.Registerer // nil: not measured
	Now     func() time.Time      // default time.Now
}

// Cache is safe for concurrent use.
type Cache struct {
	config Config
	meters *meters
	blocks *otter.Cache[block, *entry]
	absent absent
	disk   *disk  // nil: none
	peers  *peers // nil: none
	warm   chan errand

	slots     chan struct{} // one for each block being filled from afar
	diskSlots chan struct{} // one for each block being read from the disk
	breaker   breaker
	mu        sync.Mutex
	flights   map[block]*fill // guarded by mu

	life    context.Context // of all fills
	stop    context.CancelFunc
	running sync.WaitGroup // the fills
}

type block struct {
	key   string
	index int64
}

// entry is a block in memory.
type entry struct {
	data    []byte       // never written to again
	size    int64        // of the object
	foreign bool         // of another edge, on whose disk it belongs
	counted atomic.Int64 // when a wish for it was last counted, unix seconds
}

const (
	defaultBytes = 256 << 20
	defaultBlock = 256 << 10
	defaultFill  = 10 * time.Second
	overhead     = 192 // bytes of bookkeeping counted for each block

	// A part of the memory is for blocks that are being filled, another for those on
	// their way to the disk.
	fillPart, writePart = 8, 16
	mostSlots           = 1024
)

// New returns a cache with nothing in memory. Its disk tier works while Run does.
func New(c Config) (*Cache, error) {
	if c.Origin == nil {
		return nil, fmt.Errorf("%w: cache needs an origin", melodyud.ErrInvalid)
	}
	c = c.withDefaults()
	k := &Cache{
		config: c, meters: newMeters(), flights: map[block]*fill{},
		slots: make(chan struct{}, min(max(c.Bytes/fillPart/c.Block, 1), mostSlots)),
		warm:  make(chan errand, warmQueue),
	}
	k.diskSlots = make(chan struct{}, (cap(k.slots)+3)/4)
	k.absent.now, k.breaker.now = c.Now, c.Now
	var err error
	if k.disk, err = newDisk(c, k.meters); err != nil {
		return nil, err
	}
	if k.peers, err = newPeers(c, k.meters); err != nil {
		return nil, err
	}
	k.blocks, err = otter.New(&otter.Options[block, *entry]{
		MaximumWeight: uint64(max(c.Bytes-int64(cap(k.slots)+cap(k.diskSlots))*c.Block-k.disk.pending(), c.Block)),
		Weigher:       func(b block, e *entry) uint32 { return uint32(len(e.data) + len(b.key) + overhead) },
	})
	if err != nil {
		return nil, fmt.Errorf("cache of %d bytes: %w", c.Bytes, err)
	}
	k.life, k.stop = context.WithCancel(context.Background())
	k.meters.register(c.Metrics, k)
	return k, nil
}

func (c Config) withDefaults() Config {
	if c.Bytes == 0 {
		c.Bytes = defaultBytes
	}
	if c.Block == 0 {
		c.Block = defaultBlock
	}
	if c.FillTimeout == 0 {
		c.FillTimeout = defaultFill
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Disk = c.Disk.withDefaults()
	return c
}

// Run keeps the disk tier and warms what Warm asked for, until ctx ends. Without it
// the cache serves all the same, from the other tiers.
func (c *Cache) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for range warmers {
		all.Go(func() { c.runErrands(ctx) })
	}
	if c.disk != nil {
		all.Go(func() { c.disk.run(ctx) })
	}
	<-ctx.Done()
	all.Wait()
	return nil
}

// Close ends fills in hand and the cache's own goroutines. Readers in hand may go on
// with what is in memory.
func (c *Cache) Close() {
	c.stop()
	c.running.Wait()
	c.peers.close()
	c.blocks.StopAllGoroutines()
}

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

// lookup returns a block that is in memory and counts the wish for it.
func (c *Cache) lookup(b block) (*entry, bool) {
	e, ok := c.blocks.GetIfPresent(b)
	if ok {
		c.count(b, e)
	}
	return e, ok
}

// count tells the disk tier that a block is wanted, at most once in a while: one
// listener asks for it several times in a row.
func (c *Cache) count(b block, e *entry) {
	if c.disk == nil || e.foreign {
		return
	}
	now, last := c.config.Now().Unix(), e.counted.Load()
	if now-last >= c.disk.apart && e.counted.CompareAndSwap(last, now) {
		c.disk.offer(b, e, now)
	}
}
