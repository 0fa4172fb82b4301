package encode

import (
	"fmt"

	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/transcode/aac"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// AACPriming is how many samples a decoder gives before the first real one, for
// every AAC encoder of this package (GAP-1).
const AACPriming = aac.Priming

// Analysis is the part of AAC encoding that all bit rates of a sound share. It is
// for one goroutine.
type Analysis struct {
	analyzer *aac.Analyzer
	samples  int64
	piece    [][]float32
}

// NewAnalysis returns the Analysis of a sound of s's SampleRate, 44,100 or 48,000
// Hz, and Channels, 1 or 2.
func NewAnalysis(s media.Stream) (*Analysis, error) {
	analyzer, err := aac.NewAnalyzer(aac.Config{SampleRate: s.SampleRate, Channels: s.Channels})
	if err != nil {
		return nil, fmt.Errorf("open aac analysis: %w", err)
	}
	return &Analysis{analyzer: analyzer, piece: make([][]float32, s.Channels)}, nil
}

// Write takes the next samples and calls turn whenever Next may have a frame.
func (a *Analysis) Write(b pcm.Block, turn func() error) error {
	a.samples += int64(b.Len())
	for from, n := 0, b.Len(); from < n; from += aac.FrameSize {
		for c := range a.piece {
			a.piece[c] = b.Samples[c][from:min(n, from+aac.FrameSize)]
		}
		a.analyzer.Write(a.piece)
		if err := turn(); err != nil {
			return err
		}
	}
	return nil
}

// Close says that no samples follow; Next gives what is left.
func (a *Analysis) Close() { a.analyzer.Close() }

// Next fills f and reports whether there was enough sound for it.
func (a *Analysis) Next(f *aac.Frame) bool { return a.analyzer.Next(f) }

// Samples returns how many have been written.
func (a *Analysis) Samples() int64 { return a.samples }

// AAC codes one rendition of an Analysis as AAC-LC.
type AAC struct {
	coder  *aac.Coder
	config []byte
	units  unitWriter
	out    []byte
}

// NewAAC returns the AAC of s, which needs SampleRate, Channels and Bitrate, to
// sink. A Bitrate that the format cannot hold becomes the highest it can.
func NewAAC(s media.Stream, sink media.Sink) (*AAC, error) {
	cfg := aac.Config{SampleRate: s.SampleRate, Channels: s.Channels}
	coder, err := aac.NewCoder(cfg, min(s.Bitrate, cfg.MaxBitrate()))
	if err != nil {
		return nil, fmt.Errorf("open aac encoder: %w", err)
	}
	return &AAC{coder: coder, config: cfg.AudioSpecificConfig(), units: unitWriter{sink: sink}}, nil
}

// Code writes the access unit of f.
func (a *AAC) Code(f *aac.Frame) error {
	a.out = a.coder.Code(a.out[:0], f)
	return a.units.write(a.out)
}

// Close returns what the sink's Finish needs, samples being the Analysis'.
func (a *AAC) Close(samples int64) (media.Ending, error) {
	return a.units.end(samples, a.config)
}

// unitWriter writes AAC access units and counts them.
type unitWriter struct {
	sink  media.Sink
	units int64
}

func (u *unitWriter) write(data []byte) error {
	u.units++
	return u.sink.WritePacket(media.Packet{Data: data, Samples: media.AACFrame})
}

// end checks that the units hold the priming and every sample.
func (u *unitWriter) end(samples int64, config []byte) (media.Ending, error) {
	if want := unitsFor(samples); u.units != want {
		return media.Ending{}, fmt.Errorf("aac encoder gave %d access units for %d samples, want %d", u.units, samples, want)
	}
	return media.Ending{Samples: samples, Config: config}, nil
}

// unitsFor returns how many access units cover the priming and n samples.
func unitsFor(n int64) int64 {
	return (AACPriming + n + media.AACFrame - 1) / media.AACFrame
}
