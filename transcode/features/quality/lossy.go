package quality

import (
	"slices"

	"github.com/tphakala/simd/f32"

	"github.com/melodyud/melodyud/transcode/pcm"
)

// How often, and how much, a track is looked at for frames of lossy coders. A few
// looks tell: the work must not grow with the track.
const (
	lookFirst      = 1    // second of the track
	lookEvery      = 6    // seconds
	mostLooks      = 20   // of a track
	transformEvery = 3    // looks of MP3 for one of each other coder
	certain        = 6.0  // standard deviations; lossless sound stays below 5.5
	faint          = 1e-6 // mean square of a look that tells nothing
)

// lossy looks for traces of lossy coding in the sound of a lossless file.
type lossy struct {
	rate  int64
	at    int64        // samples taken
	held  [2][]float32 // the mean of the channels, and the first: coders code either
	looks int

	mp3        []*hybrid
	transforms []*transform
}

const heldSamples = max(hybridLook, transformLook)

// newLossy returns nil where coders do not work: at other rates their frames are gone.
func newLossy(f pcm.Format) *lossy {
	if f.Rate < 32_000 || f.Rate > 48_000 {
		return nil
	}
	return &lossy{
		rate: int64(f.Rate),
		mp3:  []*hybrid{newHybrid(5, 9), newHybrid(13, 16), newHybrid(22, 26)},
		transforms: []*transform{
			newTransform(newKBDWindow(), 300, 31, 20),
			newTransform(vorbisWindow, 300, 31, 20),
		},
	}
}

// write takes the next samples: the mean of all channels, and the first of them.
func (l *lossy) write(mean, first []float32) {
	for len(mean) > 0 && l.looks < mostLooks {
		skip := l.next() - l.at // to where the next look begins
		switch {
		case skip >= int64(len(mean)):
			l.at += int64(len(mean))
			return
		case skip > 0:
			mean, first = mean[skip:], first[skip:]
			l.at += skip
		}
		n := min(len(mean), heldSamples-len(l.held[0]))
		l.held[0], l.held[1] = append(l.held[0], mean[:n]...), append(l.held[1], first[:n]...)
		mean, first = mean[n:], first[n:]
		l.at += int64(n)
		if len(l.held[0]) == heldSamples {
			l.look()
		}
	}
}

// next is where the sound is wanted from: now, in the middle of a look.
func (l *lossy) next() int64 {
	if len(l.held[0]) > 0 {
		return l.at
	}
	return max(l.at, int64(lookFirst+lookEvery*l.looks)*l.rate)
}

func (l *lossy) look() {
	x, from := l.held[l.looks%2], l.at-heldSamples
	if f32.DotProduct(x, x) > faint*heldSamples {
		for _, c := range l.mp3 {
			c.look(x[:hybridLook], from)
		}
		if l.looks%transformEvery == 0 {
			for _, c := range l.transforms {
				c.look(x[:transformLook], from)
			}
		}
	}
	l.looks++
	if l.found() > 2*certain {
		l.looks = mostLooks
	}
	l.held[0], l.held[1] = l.held[0][:0], l.held[1][:0]
}

// found returns the clearest trace, in standard deviations.
func (l *lossy) found() float64 {
	var grids []*grid
	for _, c := range l.mp3 {
		grids = append(grids, &c.grid)
	}
	traces := []float64{deepest(grids...)}
	for _, c := range l.transforms {
		traces = append(traces, deepest(&c.grid))
	}
	return slices.Max(traces)
}
