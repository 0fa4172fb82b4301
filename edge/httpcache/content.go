package httpcache

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
)

// content is the bytes of one response, which may still be arriving. Any number of
// readers may follow it.
type content struct {
	mu      sync.Mutex
	data    []byte
	size    int64 // -1: known at the end
	done    bool
	err     error         // why there is no more than data
	rest    io.Reader     // the remainder of what outgrew the store, for its one reader
	changed chan struct{} // closed at the next change
}

func newContent(size int64) *content {
	return &content{size: size, changed: make(chan struct{})}
}

func wholeContent(data []byte) *content {
	return &content{data: data, size: int64(len(data)), done: true}
}

// add appends a copy of p.
func (c *content) add(p []byte) { c.change(func() { c.data = append(c.data, p...) }) }

// finish ends c: with its whole size if err is nil.
func (c *content) finish(err error) {
	c.change(func() {
		c.done, c.err = true, err
		if err == nil {
			c.size = int64(len(c.data))
		}
	})
}

// handOver ends c with a remainder that its first reader reads by itself.
func (c *content) handOver(rest io.Reader) { c.change(func() { c.done, c.rest = true, rest }) }

func (c *content) change(apply func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	apply()
	close(c.changed)
	c.changed = make(chan struct{})
}

// view is what c has at one moment.
type view struct {
	data    []byte
	size    int64
	done    bool
	err     error
	rest    io.Reader
	changed <-chan struct{}
}

func (c *content) look() view {
	c.mu.Lock()
	defer c.mu.Unlock()
	return view{c.data, c.size, c.done, c.err, c.rest, c.changed}
}

// length is the size, or -1 while it is not known.
func (c *content) length() int64 { return c.look().size }

// whole reports whether all bytes are here.
func (c *content) whole() bool {
	v := c.look()
	return v.done && v.err == nil && v.rest == nil
}

// wait comes back when no more arrives.
func (c *content) wait(ctx context.Context) error {
	for {
		v := c.look()
		if v.done {
			return v.err
		}
		if err := pause(ctx, v.changed); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, until <-chan struct{}) error {
	select {
	case <-until:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *content) reader() io.Reader { return bytes.NewReader(c.look().data) }

var errCut = errors.New("the response was cut short")

// copyTo writes the bytes from one offset to another, -1 for the end, as they
// arrive.
func (c *content) copyTo(ctx context.Context, w paced, from, to int64) error {
	for to < 0 || from < to {
		v := c.look()
		if have := int64(len(v.data)); from < have {
			end := have
			if to >= 0 {
				end = min(have, to)
			}
			n, err := w.Write(v.data[from:end])
			if err != nil {
				return err
			}
			from += int64(n)
			continue
		}
		switch {
		case v.rest != nil:
			_, err := io.Copy(flushing{w}, v.rest)
			return err
		case v.err != nil:
			return v.err
		case v.done && to >= 0:
			return errCut
		case v.done:
			return nil
		}
		w.flush()
		if err := pause(ctx, v.changed); err != nil {
			return err
		}
	}
	return nil
}

// flushing sends what is written at once: a slow origin's bytes do not wait for more.
type flushing struct{ paced }

// Write implements io.Writer.
func (f flushing) Write(p []byte) (int, error) {
	n, err := f.paced.Write(p)
	f.flush()
	return n, err
}
