package transcode

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/melodyud/melodyud/transcode/pcm"
)

// chunkLen is the most samples per channel that travel at once; chunksWaiting and
// framesWaiting are how many chunks and analysed frames may wait for one consumer.
// Together they bound a render's memory.
const (
	chunkLen      = 1 << 13
	chunksWaiting = 3
	framesWaiting = 16
)

// fan hands the same items to several consumers, who only read them.
type fan[T any] struct {
	waiting int
	lines   []chan *shared[T]
	free    sync.Pool
}

// shared is an item with several readers; the last one returns it to its fan.
type shared[T any] struct {
	item    T
	readers atomic.Int32
	home    *fan[T]
}

func (s *shared[T]) release() {
	if s.readers.Add(-1) == 0 {
		s.home.free.Put(s)
	}
}

// line adds a consumer. All lines are made before the first item is handed out.
func (f *fan[T]) line() <-chan *shared[T] {
	ch := make(chan *shared[T], f.waiting)
	f.lines = append(f.lines, ch)
	return ch
}

// blank returns an item to fill; it may hold what it held before.
func (f *fan[T]) blank() *shared[T] {
	if s, ok := f.free.Get().(*shared[T]); ok {
		return s
	}
	return &shared[T]{home: f}
}

// hand gives s to every line and waits for room.
func (f *fan[T]) hand(ctx context.Context, s *shared[T]) error {
	s.readers.Store(int32(len(f.lines)))
	for _, line := range f.lines {
		select {
		case line <- s:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// close tells every consumer that nothing follows.
func (f *fan[T]) close() {
	for _, line := range f.lines {
		close(line)
	}
}

// drain calls do with each item until the line is closed.
func drain[T any](ctx context.Context, line <-chan *shared[T], do func(*T) error) error {
	for {
		select {
		case s, open := <-line:
			if !open {
				return nil
			}
			err := do(&s.item)
			s.release()
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// chunk is a copy of a block.
type chunk struct {
	block   pcm.Block
	backing [][]float32
}

func (c *chunk) fill(b pcm.Block) {
	if c.backing == nil {
		c.block.Samples = make([][]float32, len(b.Samples))
		for range b.Samples {
			c.backing = append(c.backing, make([]float32, chunkLen))
		}
	}
	for i, s := range b.Samples {
		c.block.Samples[i] = c.backing[i][:copy(c.backing[i], s)]
	}
}

func newSoundFan() *fan[chunk] { return &fan[chunk]{waiting: chunksWaiting} }

// send hands b to every line of f; b may be reused afterwards.
func send(ctx context.Context, f *fan[chunk], b pcm.Block) error {
	for b.Len() > 0 {
		var head pcm.Block
		head, b = b.Cut(chunkLen)
		c := f.blank()
		c.item.fill(head)
		if err := f.hand(ctx, c); err != nil {
			return err
		}
	}
	return nil
}
