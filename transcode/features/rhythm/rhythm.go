// Package rhythm finds a track's pulse in its power spectra: tempo and the octave
// it is meant in, beats, bars, tatums and onsets.
package rhythm

import (
	"math"
	"slices"

	"github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/features/spectrum"
)

// FrameRate is how many frames a Tracker expects a second: those of an STFT of
// spectrum.SizeR and spectrum.HopR at spectrum.RateR.
const FrameRate = float64(spectrum.RateR) / spectrum.HopR

// Result is what a Tracker found.
type Result struct {
	melodyud.Rhythm
	Tatums []float64 // seconds, ascending: the beats and what divides them evenly
	Onsets []Onset   // ascending
}

// Onset is where a sound begins.
type Onset struct {
	Time     float64 // seconds
	Strength float64 // 0..1, the track's strongest 1
}

// Reasons for having no pulse.
const (
	reasonSilent     = "silent"
	reasonTooShort   = "too_short"
	reasonArrhythmic = "arrhythmic"
)

// Shortest sound that is given a tempo, in seconds.
const shortest = 2.5

// longest is how many frames are kept: an hour's. What follows has no beats.
const longest = 3600 * spectrum.RateR / spectrum.HopR

// Tracker collects the spectra of one track's first hour. It keeps about 6 kB a
// second and is for one goroutine.
type Tracker struct {
	frames  int
	onsets  detector
	harmony collector
	fluxes  [bandCount][]float32
}

// New returns a Tracker.
func New() *Tracker {
	return &Tracker{onsets: newDetector(), harmony: newCollector()}
}

// Frame takes the next power spectrum, of spectrum.SizeR/2+1 bins, as the STFT of
// package spectrum makes them.
func (t *Tracker) Frame(power []float32) {
	if t.frames++; t.frames > longest {
		return
	}
	flux, ok := t.onsets.frame(power)
	if !ok {
		power = nil
	}
	for b, v := range flux {
		t.fluxes[b] = append(t.fluxes[b], v)
	}
	t.harmony.frame(power)
}

// Result reports on all frames so far.
func (t *Tracker) Result() Result {
	strength := t.strength()
	seconds := float64(len(strength)) / FrameRate
	switch {
	case !t.onsets.heard:
		return because(reasonSilent)
	case seconds < shortest:
		return because(reasonTooShort)
	case !moves(strength):
		return because(reasonArrhythmic)
	}
	r := Result{Onsets: pick(strength)}
	rate := float64(len(r.Onsets)) / seconds
	r.OnsetRate = number(rate)
	found, ok := t.findTempo(strength, rate)
	if !ok {
		r.Reason = reasonArrhythmic
		return r
	}
	t.fill(&r, strength, found)
	return r
}

// because is the result of a track that has no pulse.
func because(reason string) Result {
	return Result{Rhythm: melodyud.Rhythm{Reason: reason}}
}

// moves reports whether more begins in a track than in a chord that stands.
func moves(strength []float32) bool {
	sorted := slices.Sorted(slices.Values(strength))
	return sorted[len(sorted)*98/100] >= leastRise
}

// fill sets all that hangs on the tempo.
func (t *Tracker) fill(r *Result, strength []float32, found tempo) {
	r.Tempo, r.TempoAlt = number(found.bpm), number(found.alt)
	r.TempoConfidence = number(found.confidence)
	pulse := t.weighted(bassShare)
	beats := track(pulse, 60*FrameRate/found.bpm)
	r.Beats = beatTimes(pulse, beats)
	r.TempoStability = number(stability(r.Beats))
	r.BeatStrength = number(beatStrength(strength, beats))
	bars := t.findBars(beats)
	r.Downbeats = bars.downbeats
	r.Meter, r.MeterConfidence = &bars.meter, number(bars.confidence)
	r.Tatums = tatums(r.Beats, division(strength, beats))
}

// number rounds to five digits after the point, which keeps documents short and
// hides what differs in a float's last bit.
func number(x float64) *float64 {
	x = math.Round(x*1e5) / 1e5
	return &x
}
