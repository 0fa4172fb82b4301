// Package pcmtest checks implementations of pcm.Source and makes sound for
// tests.
package pcmtest

import (
	"errors"
	"io"
	"math"
	"testing"

	"github.com/melodyud/melodyud/transcode/pcm"
)

// Check reads src to its end, holds it to the contract of pcm.Source and
// returns all its samples.
func Check(t testing.TB, src pcm.Source) [][]float32 {
	t.Helper()
	f := src.Format()
	if f.Rate <= 0 || f.Channels < 1 || f.Channels > 8 || f.BitDepth != 0 && (f.BitDepth < 8 || f.BitDepth > 24) {
		t.Fatalf("format %+v is outside the contract", f)
	}
	all := make([][]float32, f.Channels)
	for {
		b, err := src.Read()
		if err != nil {
			checkEnd(t, src, b, err)
			return all
		}
		checkBlock(t, f, b)
		for c := range all {
			all[c] = append(all[c], b.Samples[c]...)
		}
	}
}

func checkBlock(t testing.TB, f pcm.Format, b pcm.Block) {
	t.Helper()
	if n := b.Len(); n < 1 || n > pcm.MaxBlock {
		t.Fatalf("block of %d samples: want 1 to %d", n, pcm.MaxBlock)
	}
	if len(b.Samples) != f.Channels {
		t.Fatalf("block of %d channels, format says %d", len(b.Samples), f.Channels)
	}
	for c, s := range b.Samples {
		if len(s) != b.Len() {
			t.Fatalf("channel %d has %d samples, channel 0 has %d", c, len(s), b.Len())
		}
		if f.BitDepth != 0 {
			checkDepth(t, f.BitDepth, s)
		}
	}
}

func checkDepth(t testing.TB, depth int, samples []float32) {
	t.Helper()
	scale := math.Ldexp(1, depth-1)
	for _, v := range samples {
		i := float64(v) * scale
		if i != math.Trunc(i) || i < -scale || i >= scale {
			t.Fatalf("sample %v is no integer of %d bits", v, depth)
		}
	}
}

func checkEnd(t testing.TB, src pcm.Source, b pcm.Block, err error) {
	t.Helper()
	if !errors.Is(err, io.EOF) {
		t.Fatalf("read: %v", err)
	}
	again, err2 := src.Read()
	if b.Len() != 0 || again.Len() != 0 {
		t.Fatal("samples came together with io.EOF")
	}
	if !errors.Is(err2, io.EOF) {
		t.Fatalf("after io.EOF, Read returned %v", err2)
	}
}

// FromSamples returns a Source of the given planar samples in blocks of the
// given length.
func FromSamples(f pcm.Format, samples [][]float32, block int) pcm.Source {
	return &slices{format: f, rest: pcm.Block{Samples: samples}, block: block}
}

type slices struct {
	format pcm.Format
	rest   pcm.Block
	block  int
}

func (s *slices) Format() pcm.Format { return s.format }

func (s *slices) Read() (pcm.Block, error) {
	if s.rest.Len() == 0 {
		return pcm.Block{}, io.EOF
	}
	var b pcm.Block
	b, s.rest = s.rest.Cut(s.block)
	return b, nil
}

// Sine returns n samples of a tone: amplitude 1 is full scale, phase in radians.
func Sine(rate int, hz, amplitude, phase float64, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(amplitude * math.Sin(2*math.Pi*hz*float64(i)/float64(rate)+phase))
	}
	return out
}

// Quantise rounds samples to integers of a depth, in place, as a source of that
// depth would hold them.
func Quantise(samples []float32, depth int) []float32 {
	scale := math.Ldexp(1, depth-1)
	for i, v := range samples {
		q := math.Round(float64(v) * scale)
		samples[i] = float32(min(max(q, -scale), scale-1) / scale)
	}
	return samples
}
