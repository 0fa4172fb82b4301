// Package fingerprint makes Chromaprint fingerprints (algorithm 2, the default of
// fpcalc and the one AcoustID knows) while a track is decoded: item for item what
// fpcalc makes of the same samples.
//
// Sound is folded to mono, brought to 11,025 Hz in 16 bits, cut into frames of
// 4,096 samples every 1,365, and each frame's power is gathered into the twelve
// pitch classes. Sixteen filters look at the picture this gives over 16 frames and
// answer with two bits each: one item of 32 bits every 0.1238 s.
package fingerprint

import (
	"fmt"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// ItemSeconds is the distance of two items in time.
const ItemSeconds = float64(hop) / Rate

// Why there is no fingerprint.
const (
	TooShort = "too_short" // less than one item: 2.72 s
	Silent   = "silent"    // nothing above about -80 dBFS
)

// firstItems are those of the first 120 s, which is what fpcalc and AcoustID take.
const firstItems = (120*Rate-size)/hop + 1 - (smoothing - 1) - (width - 1)

// Printer makes the fingerprint of one track. It is for one goroutine.
type Printer struct {
	mono  *mono
	rate  *rate
	frame *framer
	print *picture
}

// Result is a finished fingerprint.
type Result struct {
	Fingerprint melodyud.Fingerprint
	Items       []uint32 // of the whole track; nil where Fingerprint.Reason says why
}

// New returns the Printer of a track. Formats without a rate or channels are
// ErrInvalid.
func New(f pcm.Format) (*Printer, error) {
	if f.Rate <= 0 || f.Channels < 1 || f.Channels > 8 {
		return nil, fmt.Errorf("%w: fingerprint of %d channels at %d Hz", melodyud.ErrInvalid, f.Channels, f.Rate)
	}
	p := &Printer{mono: newMono(f), rate: newRate(f.Rate), print: newPicture()}
	p.frame = newFramer(p.print.add)
	return p, nil
}

// Write takes the next samples.
func (p *Printer) Write(b pcm.Block) {
	p.frame.write(p.rate.write(p.mono.fold(b)))
}

// Result ends the track. Nothing may be written after it.
func (p *Printer) Result() Result {
	p.frame.write(p.rate.close())
	items := p.print.items
	switch {
	case len(items) == 0:
		return Result{Fingerprint: melodyud.Fingerprint{Reason: TooShort}}
	case !p.print.heard:
		return Result{Fingerprint: melodyud.Fingerprint{Reason: Silent}}
	}
	return Result{
		Fingerprint: melodyud.Fingerprint{
			Chromaprint: Encode(items[:min(len(items), firstItems)]), SimHash: SimHash(items),
		},
		Items: items,
	}
}

// SimHash returns 32 bits of which similar prints have most in common: each is what
// most of the items have there.
func SimHash(items []uint32) uint32 {
	var votes [32]int
	for _, item := range items {
		for bit := range votes {
			votes[bit] += int(item>>bit&1)*2 - 1
		}
	}
	var hash uint32
	for bit, n := range votes {
		if n > 0 {
			hash |= 1 << bit
		}
	}
	return hash
}
