package structure

import (
	"math"

	melodyud "github.com/melodyud/melodyud"
)

// What segments may be like.
const (
	briefest     = 0.08    // seconds; onsets that follow closer belong to the segment before
	mostSegments = 1 << 15 // of a track
	quietest     = -100.0  // dB
	timbres      = 12
)

// Segments returns the track from onset to onset, without gaps from 0 to its end.
// Levels are in dB of a mean square of 1 and -100 at least, pitches the mean
// chroma, timbre the first 12 mean cepstra. It is nil for silence.
func Segments(in Input) []melodyud.Segment {
	in.check()
	if in.Duration == 0 || in.silent() {
		return nil
	}
	starts := in.starts()
	segments := make([]melodyud.Segment, len(starts))
	for i, s := range starts {
		end := in.Duration
		if i+1 < len(starts) {
			end = starts[i+1].Time
		}
		segments[i] = in.segment(s, end)
	}
	return segments
}

// starts returns where segments begin, and how surely.
func (in *Input) starts() []Onset {
	all := []Onset{{Time: 0, Strength: 1}}
	for _, o := range in.Onsets {
		switch last := &all[len(all)-1]; {
		case !(o.Time < in.Duration-briefest) || len(all) == mostSegments:
			return all
		case !(o.Time >= last.Time+briefest):
			last.Strength = max(last.Strength, o.Strength)
		default:
			all = append(all, o)
		}
	}
	return all
}

func (in *Input) segment(from Onset, end float64) melodyud.Segment {
	s := melodyud.Segment{
		Start: from.Time, Duration: end - from.Time, Confidence: share(from.Strength),
		Pitches: make([]float64, 12), Timbre: make([]float64, timbres),
	}
	in.level(&s, end)
	p := in.pitches(from.Time, end)
	copy(s.Pitches, p[:])
	first, last := span(from.Time, end, in.CepstraStep, len(in.Cepstra))
	for _, c := range in.Cepstra[first:last] {
		for k := range s.Timbre {
			s.Timbre[k] += float64(bounded(c[k])) / float64(last-first)
		}
	}
	return s
}

// level fills in how loud a segment is at its start, at its loudest and at its end.
func (in *Input) level(s *melodyud.Segment, end float64) {
	s.LoudnessStart, s.LoudnessMax, s.LoudnessEnd = quietest, quietest, quietest
	first, last := span(s.Start, end, in.PowerStep, len(in.Power))
	if first == last {
		return
	}
	loudest := first
	for i := first; i < last; i++ {
		if in.Power[i] > in.Power[loudest] {
			loudest = i
		}
	}
	s.LoudnessStart, s.LoudnessMax = decibels(in.Power[first]), decibels(in.Power[loudest])
	s.LoudnessEnd = decibels(in.Power[last-1])
	middle := (float64(loudest) + 0.5) * in.PowerStep
	s.LoudnessMaxTime = min(max(middle-s.Start, 0), s.Duration)
}

// share brings x into 0..1, and what is no number to 0.
func share(x float64) float64 {
	if !(x > 0) {
		return 0
	}
	return min(x, 1)
}

func decibels(power float32) float64 {
	db := 10 * math.Log10(float64(power))
	if !(db > quietest) {
		return quietest
	}
	return min(db, -quietest)
}
