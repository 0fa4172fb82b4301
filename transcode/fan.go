package transcode

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/melodyud/melodyud/transcode/pcm"
)

// chunkLen is the most samples per channel that travel at once, depth how many
// chunks may wait for one consumer. Together they bound a render's memory.
const (
	chunkLen = 1 << 13
	depth    = 3
)

// fan copies blocks once and hands each copy to several consumers.
type fan struct {
	lines []chan *chunk
	free  sync.Pool
}

// chunk is a block with several readers; the last one returns it to its fan.
type chunk struct {
	block   pcm.Block
	backing [][]float32
	readers atomic.Int32
	home    *fan
}

func (c *chunk) release() {
	if c.readers.Add(-1) == 0 {
		c.home.free.Put(c)
	}
}

// line adds a consumer. All lines are made before the first send.
func (f *fan) line() <-chan *chunk {
	ch := make(chan *chunk, depth)
	f.lines = append(f.lines, ch)
	return ch
}

// send hands b to every line and waits for room; b may be reused afterwards.
func (f *fan) send(ctx context.Context, b pcm.Block) error {
	for b.Len() > 0 {
		var head pcm.Block
		head, b = b.Cut(chunkLen)
		if err := f.sendChunk(ctx, head); err != nil {
			return err
		}
	}
	return nil
}

func (f *fan) sendChunk(ctx context.Context, b pcm.Block) error {
	c := f.copy(b)
	c.readers.Store(int32(len(f.lines)))
	for _, line := range f.lines {
		select {
		case line <- c:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (f *fan) copy(b pcm.Block) *chunk {
	c, ok := f.free.Get().(*chunk)
	if !ok {
		c = &chunk{home: f, block: pcm.Block{Samples: make([][]float32, len(b.Samples))}}
		for range b.Samples {
			c.backing = append(c.backing, make([]float32, chunkLen))
		}
	}
	for i, s := range b.Samples {
		c.block.Samples[i] = c.backing[i][:copy(c.backing[i], s)]
	}
	return c
}

// close tells every consumer that nothing follows.
func (f *fan) close() {
	for _, line := range f.lines {
		close(line)
	}
}

// relay sends what change makes of each block of line, then what flush has left,
// if there is a flush, and closes f.
func (f *fan) relay(ctx context.Context, line <-chan *chunk, change func(pcm.Block) pcm.Block, flush func() pcm.Block) error {
	err := drain(ctx, line, func(b pcm.Block) error { return f.send(ctx, change(b)) })
	if err == nil && flush != nil {
		err = f.send(ctx, flush())
	}
	if err == nil {
		f.close()
	}
	return err
}

// drain calls do with each block until the line is closed.
func drain(ctx context.Context, line <-chan *chunk, do func(pcm.Block) error) error {
	for {
		select {
		case c, open := <-line:
			if !open {
				return nil
			}
			err := do(c.block)
			c.release()
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
