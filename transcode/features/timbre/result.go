package timbre

import (
	"math"

	melodyud "github.com/melodyud/melodyud"
)

// shortest is how many sounding frames say something about a track: 93 ms.
const shortest = 4

// Why there is nothing to say.
const (
	ReasonSilent   = "silent"
	ReasonTooShort = "too_short"
)

// Result is what was found of a track.
type Result struct {
	Timbre     melodyud.Timbre
	Statistics Statistics

	// Cepstra are means over stretches of Period seconds, silence included: element
	// i is about the time from i*Period on. There are at most 16,384: for tracks
	// over 25 minutes Period grows.
	Cepstra [][Cepstra]float32
	Period  float64
}

// Statistics are what embeddings and scores are made of, over the frames that
// are not silent. Levels are in dB of a sine of amplitude 1. All are 0 where
// Frames is.
type Statistics struct {
	Frames   int     // that are not silent, 23 ms apart
	Sounding float64 // share of such frames, 0..1

	Level, LevelStd [Bands]float64   // of the mel bands, dB
	MFCC, MFCCStd   [Cepstra]float64 // dB
	MFCCDelta       [Cepstra]float64 // mean size of the change to the next frame, dB
	Covariance      [Cepstra][Cepstra]float64

	Centroid, CentroidStd float64 // Hz
	Rolloff, RolloffStd   float64 // Hz
	Flatness, FlatnessStd float64 // 0..1
	Flux, FluxStd         float64 // 0..1.41
	ZCR, ZCRStd           float64 // crossings a sample; the deviation is between frames
	Contrast, ContrastStd [Contrasts]float64

	// Swing is how much the level of each group of four mel bands rises and falls,
	// as a deviation in dB, by octaves of swings a second from 0.5 to 16 Hz.
	Swing [Groups][Swings]float64
	// Faint is the share of frames with less than half the amplitude of the second
	// that they end: 0..1.
	Faint float64
}

// Result returns what was found. Nothing may be written after it.
func (m *Meter) Result() Result {
	m.swing.finish()
	r := Result{Cepstra: m.course.means(), Period: float64(m.course.per) / second, Statistics: m.statistics()}
	switch s := &r.Statistics; {
	case m.sounding == 0 || m.crossings.hops > 0 && m.crossings.rates.n == 0:
		r.Timbre.Reason = ReasonSilent
	case m.sounding < shortest:
		r.Timbre.Reason = ReasonTooShort
	default:
		r.Timbre = s.timbre()
	}
	if r.Timbre.Reason != "" {
		r.Statistics = Statistics{}
	}
	return r
}

func (m *Meter) statistics() Statistics {
	s := Statistics{Frames: m.sounding, Sounding: float64(m.sounding) / float64(max(1, m.looked))}
	pairs(s.Level[:], s.LevelStd[:], m.levels[:])
	pairs(s.MFCC[:], s.MFCCStd[:], m.coeffs[:])
	pairs(s.Contrast[:], s.ContrastStd[:], m.shape.contrast[:])
	for c := range s.MFCCDelta {
		s.MFCCDelta[c] = m.deltas[c].mean()
		for d := range c + 1 {
			v := m.covariance[c][d]/float64(max(1, m.sounding)) - float64(s.MFCC[c]*s.MFCC[d])
			s.Covariance[c][d], s.Covariance[d][c] = v, v
		}
	}
	s.Centroid, s.CentroidStd = m.shape.centroid.mean(), m.shape.centroid.deviation()
	s.Rolloff, s.RolloffStd = m.shape.rolloff.mean(), m.shape.rolloff.deviation()
	s.Flatness, s.FlatnessStd = m.shape.flatness.mean(), m.shape.flatness.deviation()
	s.Flux, s.FluxStd = m.shape.flux.mean(), m.shape.flux.deviation()
	s.ZCR, s.ZCRStd = m.crossings.rates.mean(), m.crossings.rates.deviation()
	s.Faint = float64(m.crossings.faint) / float64(max(1, m.crossings.loud))
	for g := range s.Swing {
		for o := range s.Swing[g] {
			s.Swing[g][o] = m.swing.found[g][o].mean()
		}
	}
	return s
}

func pairs(means, deviations []float64, from []moments) {
	for i := range from {
		means[i], deviations[i] = from[i].mean(), from[i].deviation()
	}
}

func (s *Statistics) timbre() melodyud.Timbre {
	return melodyud.Timbre{
		MFCCMean:  rounded(s.MFCC[:]),
		MFCCStd:   rounded(s.MFCCStd[:]),
		Centroid:  to(10, s.Centroid),
		Rolloff85: to(10, s.Rolloff),
		Flatness:  to(1e6, s.Flatness),
		Contrast:  rounded(s.Contrast[:]),
		ZCR:       to(1e6, s.ZCR),
		Flux:      to(1e6, s.Flux),
	}
}

func rounded(x []float64) []float64 {
	r := make([]float64, len(x))
	for i, v := range x {
		r[i] = *to(1e4, v)
	}
	return r
}

// to rounds to parts of one.
func to(parts, v float64) *float64 {
	v = math.Round(v*parts) / parts
	return &v
}
