package format

import (
	"io"

	"github.com/melodyud/melodyud/transcode/pcm"
)

// Planes is the sample buffer a decoder hands out again and again.
type Planes struct {
	all, view [][]float32
}

// NewPlanes returns the buffer for a number of channels.
func NewPlanes(channels int) *Planes {
	return &Planes{all: make([][]float32, channels), view: make([][]float32, channels)}
}

// First returns a block of n samples per channel with what they held before.
func (p *Planes) First(n int) pcm.Block {
	for c := range p.all {
		if cap(p.all[c]) < n {
			p.all[c] = make([]float32, max(n, BlockLen))
		}
		p.view[c] = p.all[c][:n]
	}
	return pcm.Block{Samples: p.view}
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
