package encode

import (
	"fmt"

	aac "github.com/tphakala/go-aac"

	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// Coder selects how the in-process AAC encoder searches its quantisers.
type Coder string

// The coders. Figures are in Benchmark… of this package.
const (
	CoderNMR     Coder = "nmr"     // noise-to-mask trellis: the best sound for its bits
	CoderTwoLoop Coder = "twoloop" // two nested searches: slow on tonal music
	CoderFast    Coder = "fast"    // the quickest
)

var coders = map[Coder]aac.Coder{CoderNMR: aac.CoderNMR, CoderTwoLoop: aac.CoderTwoLoop, CoderFast: aac.CoderFast}

// bandwidth returns the highest frequency (Hz) worth coding at a rate of bits per
// channel, or 0 to leave it to the encoder. Below 56 kbit/s the NMR coder's own
// choice (14 kHz at 32, 17 kHz at 48 kbit/s) starves the middle: narrower coding
// gains a third of a grade by PEAQ at 32 and a little at 48.
func bandwidth(coder Coder, perChannel int) int {
	if coder != CoderNMR || perChannel < 32_000 || perChannel >= 56_000 {
		return 0
	}
	return 11_000 + (perChannel-32_000)*3/16
}

// AACPriming is how many samples a decoder gives before the first real one, for
// every AAC encoder of this package (GAP-1).
const AACPriming = aac.EncoderDelay

// AAC codes AAC-LC in process. Samples beyond full scale are clipped to it.
type AAC struct {
	enc     *aac.Encoder
	units   unitWriter
	frame   [][]float32
	filled  int
	samples int64
	out     []byte
}

// NewAAC returns an Encoder of s, which needs SampleRate (44,100 or 48,000),
// Channels (1 or 2) and Bitrate, to sink.
func NewAAC(s media.Stream, coder Coder, sink media.Sink) (*AAC, error) {
	c, ok := coders[coder]
	if !ok {
		return nil, fmt.Errorf("aac coder %q: want nmr, twoloop or fast", coder)
	}
	enc, err := aac.NewEncoder(aac.EncoderConfig{
		SampleRate: s.SampleRate, Channels: s.Channels, Bitrate: s.Bitrate, Coder: c,
		Cutoff: bandwidth(coder, s.Bitrate/max(s.Channels, 1)),
	})
	if err != nil {
		return nil, fmt.Errorf("open aac encoder: %w", err)
	}
	a := &AAC{enc: enc, units: unitWriter{sink: sink}}
	for range s.Channels {
		a.frame = append(a.frame, make([]float32, media.AACFrame))
	}
	return a, nil
}

// Encode implements Encoder.
func (a *AAC) Encode(b pcm.Block) error {
	for from, n := 0, b.Len(); from < n; {
		take := min(n-from, media.AACFrame-a.filled)
		for c := range a.frame {
			clip(a.frame[c][a.filled:a.filled+take], b.Samples[c][from:])
		}
		from += take
		a.samples += int64(take)
		if a.filled += take; a.filled == media.AACFrame {
			if err := a.push(a.frame); err != nil {
				return err
			}
			a.filled = 0
		}
	}
	return nil
}

// clip copies samples, bounded to full scale.
func clip(dst, src []float32) {
	for i, v := range src[:len(dst)] {
		dst[i] = min(max(v, -1), 1)
	}
}

// push codes one frame, or drains the encoder when frame is nil.
func (a *AAC) push(frame [][]float32) error {
	out, err := a.enc.EncodeFrame(a.out[:0], frame)
	if err != nil {
		return fmt.Errorf("encode aac frame: %w", err)
	}
	a.out = out
	if len(out) == 0 {
		return nil
	}
	return a.units.write(out)
}

// Close implements Encoder.
func (a *AAC) Close() (media.Ending, error) {
	if a.filled > 0 {
		for c := range a.frame {
			clear(a.frame[c][a.filled:])
		}
		if err := a.push(a.frame); err != nil {
			return media.Ending{}, err
		}
	}
	for !a.enc.Drained() {
		if err := a.push(nil); err != nil {
			return media.Ending{}, err
		}
	}
	return a.units.end(a.samples, a.enc.AudioSpecificConfig())
}

// Abort implements Encoder.
func (a *AAC) Abort() {}

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
