package transcode

import (
	"context"
	"os"

	"github.com/melodyud/melodyud/transcode/decode"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// Source is what a test may put in place of a decoder.
type Source interface {
	pcm.Source
	Facts() decode.Facts
	Close() error
}

// WithSource returns a copy of e that hears what open returns.
func (e *Engine) WithSource(open func(context.Context) (Source, error)) *Engine {
	c := *e
	c.open = func(ctx context.Context, _ *os.File) (source, error) { return open(ctx) }
	return &c
}
