package cache

import (
	"context"
)

const (
	warmers   = 2
	warmQueue = 256 // errands
	// mostWarm is how much of a stretch is warmed, in bytes: more than the first
	// seconds of a lossless track.
	mostWarm = 8 << 20
)

// errand is a block that somebody may want soon.
type errand struct {
	block block
	size  int64 // of the object
}

// Warm has length bytes of an object from offset brought into memory soon, if there
// is nothing better to do; size is the whole object's. It never waits: it reports
// false if some or all of it will not be done because the cache is busy or the
// stretch is longer than 8 MiB. It needs Run.
func (c *Cache) Warm(key string, size, offset, length int64) bool {
	end := min(offset+length, size)
	if offset < 0 || length < 0 || size < 0 || end < offset {
		return false
	}
	last := min(end, offset+mostWarm)
	for at := offset - offset%c.config.Block; at < last; at += c.config.Block {
		b := block{key, at / c.config.Block}
		if _, ok := c.blocks.GetIfPresent(b); ok {
			continue
		}
		select {
		case c.warm <- errand{b, size}:
		default:
			c.meters.warmDropped.Inc()
			return false
		}
	}
	return last == end
}

// runErrands fills what Warm asked for, one block at a time.
func (c *Cache) runErrands(ctx context.Context) {
	for {
		select {
		case e := <-c.warm:
			c.runErrand(ctx, e)
		case <-ctx.Done():
			return
		}
	}
}

func (c *Cache) runErrand(ctx context.Context, e errand) {
	if f := c.prefetch(e.block, e.size); f != nil {
		_, _ = f.await(ctx, f.length(c.config.Block)-1) // whoever wants it later is told what is wrong
	}
}

// prefetch begins to fill a block that nobody waits for yet, and returns its fill;
// nil if it is there or listeners need the places.
func (c *Cache) prefetch(b block, size int64) *fill {
	if len(c.slots) > cap(c.slots)/2 {
		c.meters.warmDropped.Inc()
		return nil
	}
	if _, ok := c.blocks.GetIfPresent(b); ok || b.index*c.config.Block >= size {
		return nil
	}
	f, _, err := c.join(b, size, false)
	if err != nil {
		return nil
	}
	return f
}
