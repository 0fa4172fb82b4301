// Package structure divides a track into sections that sound alike and into
// segments between onsets. Both are pure functions of what other packages heard:
//
//	beats (or half seconds) -> cells: mean cepstra, level and chroma of each
//	cells -> novelty at each -> sections between its peaks
//
// Novelty is Foote's: how alike the cells on each side of a point are among
// themselves, less how alike they are across it.
package structure

import (
	"math"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/features/tonal"
)

// Cepstra is the number of cepstral coefficients of a frame. The first is the
// level.
const Cepstra = 20

// Input is what is known of a track. All times are in seconds. Anything may be
// missing: without beats, cells are half a second long; without chroma or cepstra
// the other decides alone.
type Input struct {
	Duration float64
	Beats    []float64 // ascending; nil: unknown
	Onsets   []Onset   // ascending

	Chroma     [][12]float32 // of stretches of ChromaStep, the first centred on 0
	ChromaStep float64
	Tonal      bool // the track has a key, so that its sections may have one

	Cepstra     [][Cepstra]float32 // of stretches of CepstraStep, the first beginning at 0; dB
	CepstraStep float64

	ShortTerm []float64 // mean weighted squares of 3 s, 100 ms apart, as pcm.Meter has them

	Power     []float32 // mean squares of stretches of PowerStep: Envelope's
	PowerStep float64
}

// Onset is where a sound begins.
type Onset struct {
	Time     float64
	Strength float64 // 0..1
}

// Reasons for having no sections.
const (
	reasonSilent   = "silent"
	reasonTooShort = "too_short"
)

// shortest and longest are how long a track may be to have sections, in seconds;
// silence is the mean square under which nothing sounds.
const (
	shortest = 3.0
	longest  = 1e6
	silence  = 1e-9
)

// Sections returns how the track is built: sections that follow each other without
// a gap from 0 to its end, 8 s long at least unless the track is shorter. A track
// that does not change is one section.
func Sections(in Input) melodyud.Structure {
	in.check()
	switch {
	case in.silent():
		return melodyud.Structure{Reason: reasonSilent}
	case in.Duration < shortest:
		return melodyud.Structure{Reason: reasonTooShort}
	}
	cells := in.cells()
	bounds := cells.bounds(in.Duration)
	var s melodyud.Structure
	for i, b := range bounds {
		end := in.Duration
		if i+1 < len(bounds) {
			end = bounds[i+1].at
		}
		s.Sections = append(s.Sections, in.section(b, end))
	}
	return s
}

// check drops what cannot be used.
func (in *Input) check() {
	if !(in.Duration > 0 && in.Duration <= longest) {
		in.Duration = 0
	}
	in.Beats = ascending(in.Beats, in.Duration)
	if !(in.ChromaStep > 0) {
		in.Chroma = nil
	}
	if !(in.CepstraStep > 0) {
		in.Cepstra = nil
	}
	if !(in.PowerStep > 0) {
		in.Power = nil
	}
}

// ascending returns the times that lie in order before the end, a hundredth of a
// second apart at least.
func ascending(times []float64, end float64) []float64 {
	const closest = 0.01
	last := -closest
	var kept []float64
	for _, t := range times {
		if t >= 0 && t >= last+closest && t <= end {
			kept = append(kept, t)
			last = t
		}
	}
	return kept
}

// audible is how long something must sound in a track of two seconds and more, in
// seconds; in shorter ones a quarter is enough.
const audible = 0.5

// silent reports whether nothing sounds, as far as is known.
func (in *Input) silent() bool {
	if in.Power != nil {
		sounding := 0.0
		for _, p := range in.Power {
			if p > silence {
				sounding += in.PowerStep
			}
		}
		return sounding < min(audible, in.Duration/4)
	}
	for i := range in.Chroma {
		if in.Chroma[i] != ([12]float32{}) {
			return false
		}
	}
	return len(in.Cepstra) == 0
}

func (in *Input) section(from bound, end float64) melodyud.Section {
	s := melodyud.Section{
		Start: from.at, Duration: end - from.at, Confidence: from.confidence,
		Loudness: in.loudness(from.at, end), Tempo: in.tempo(from.at, end),
	}
	if g, ok := tonal.KeyOf(in.pitches(from.at, end)); ok && in.Tonal {
		s.Key, s.Mode = &g.Key.Key, &g.Key.Mode
	}
	return s
}

// loudness returns the mean loudness between two times in LUFS: of the windows
// that lie between them, or of the one in the middle. It is nil for silence.
func (in *Input) loudness(start, end float64) *float64 {
	const (
		window, hop = 3.0, 0.1 // seconds
		offset      = -0.691   // BS.1770-4
		gate        = -70.0    // LUFS
	)
	if len(in.ShortTerm) == 0 {
		return nil
	}
	first, last := int(math.Ceil(start/hop)), int((end-window)/hop)
	if last < first {
		first = int((start + end - window) / 2 / hop)
		last = first
	}
	last = min(max(last, 0), len(in.ShortTerm)-1)
	first = min(max(first, 0), last)
	var sum float64
	for _, v := range in.ShortTerm[first : last+1] {
		sum += v
	}
	lufs := offset + 10*math.Log10(sum/float64(last+1-first))
	if !(lufs > gate) || math.IsInf(lufs, 0) {
		return nil
	}
	return &lufs
}

// tempo returns 60 over the median distance of the beats between two times, or nil
// for fewer than four.
func (in *Input) tempo(start, end float64) *float64 {
	var gaps []float64
	for i := 1; i < len(in.Beats); i++ {
		if gap := in.Beats[i] - in.Beats[i-1]; in.Beats[i-1] >= start && in.Beats[i] <= end && gap > 0 {
			gaps = append(gaps, gap)
		}
	}
	if len(gaps) < 3 {
		return nil
	}
	bpm := 60 / median(gaps)
	if !(bpm > 0) || math.IsInf(bpm, 0) {
		return nil
	}
	return &bpm
}

// pitches returns the mean chroma between two times, the largest 1, or zeros.
func (in *Input) pitches(start, end float64) (p [12]float64) {
	first, last := span(start+in.ChromaStep/2, end+in.ChromaStep/2, in.ChromaStep, len(in.Chroma))
	for _, c := range in.Chroma[first:last] {
		for k, v := range c {
			if v > 0 && v <= 1 {
				p[k] += float64(v)
			}
		}
	}
	var most float64
	for _, v := range p {
		most = max(most, v)
	}
	for k := range p {
		if most > 0 {
			p[k] /= most
		}
	}
	return p
}

// span returns which of n stretches of step seconds have their middle between two
// times: first..last-1, and at least the one that holds the middle of both if
// there is any.
func span(start, end, step float64, n int) (first, last int) {
	if n == 0 {
		return 0, 0
	}
	first, last = int(math.Ceil(start/step-0.5)), int(math.Ceil(end/step-0.5))
	if last <= first {
		first = int((start + end) / 2 / step)
		last = first + 1
	}
	first = min(max(first, 0), n-1)
	return first, min(max(last, first+1), n)
}
