// Package embedding places tracks in a space where those that sound alike are
// near: "hand-v1", made by hand from statistics of timbre and its swings. It is a
// pure function of them, the same bytes on every machine, and hardly depends on
// how loud a track is.
package embedding

import (
	_ "embed"
	"encoding/binary"
	"math"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/features/spectrum"
	"github.com/melodyud/melodyud/transcode/features/timbre"
)

const (
	// Model names the space. Vectors of different models must never be compared.
	Model = "hand-v1"
	// Licence of the model: ours.
	Licence = "Apache-2.0"
	// Dimensions of its vectors.
	Dimensions = 64

	clip     = 3  // deviations from the mean beyond which no number goes
	shortest = 43 // frames: a second
)

// Why there is no vector.
const reasonTooShort = "too_short"

// Of returns a track's place in the space, a vector of length 1. It is nil, with
// the Reason, for silence and for less than a second of sound.
//
// 125 statistics are standardised, bounded and projected on the 64 directions in
// which the music that they were learned from differs most.
func Of(r timbre.Result) melodyud.Embedding {
	e := melodyud.Embedding{Model: Model, Licence: Licence, Reason: r.Timbre.Reason}
	switch {
	case e.Reason != "":
	case r.Statistics.Frames < shortest:
		e.Reason = reasonTooShort
	default:
		e.Vector = project(Describe(&r.Statistics))
	}
	return e
}

// learned is what learn found, little-endian float32: for each statistic its mean
// and the factor that standardises it, then the directions, each of so many.
//
//go:embed hand-v1.f32
var learned []byte

func constant(i int) float64 {
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(learned[4*i:])))
}

func project(x []float64) []float32 {
	z := make([]float64, len(x))
	for i, v := range x {
		z[i] = Standard(v, constant(2*i), constant(2*i+1), weights[i])
	}
	y, length := make([]float64, Dimensions), 0.0
	for d := range y {
		for i, v := range z {
			y[d] += float64(v * constant((2+d)*len(z)+i))
		}
		length += float64(y[d] * y[d])
	}
	return unit(y, math.Sqrt(length))
}

// Standard returns how many deviations v is from the mean, bounded, times the
// weight of its group. scale is one over the deviation.
func Standard(v, mean, scale, weight float64) float64 {
	return min(max((v-mean)*scale, -clip), clip) * weight
}

func unit(y []float64, length float64) []float32 {
	v := make([]float32, len(y))
	for i := range y {
		if length > 0 {
			v[i] = float32(y[i] / length)
		} else {
			v[i] = float32(1 / math.Sqrt(Dimensions)) // the exact middle of the space has no direction
		}
	}
	return v
}

// sizes of the groups of statistics, in the order of Describe.
var sizes = [...]int{19, 19, 1, 13, 9, timbre.Contrasts, timbre.Contrasts, timbre.Groups * timbre.Swings, 2}

// weights holds the weight of each statistic: large groups weigh more than small
// ones, but not in proportion to their size.
var weights = groupWeights()

func groupWeights() (w []float64) {
	for _, n := range sizes {
		for range n {
			w = append(w, 1/math.Sqrt(math.Sqrt(float64(n))))
		}
	}
	return w
}

// Weights returns the weight of each statistic of Describe.
func Weights() []float64 { return append([]float64(nil), weights...) }

// Describe returns the 125 statistics that the space is made of: in decibels, or
// logarithms of what is a ratio.
func Describe(s *timbre.Statistics) []float64 {
	x := append([]float64(nil), s.MFCC[1:]...)
	x = logs(x, 0.5, s.MFCCStd[1:]...)
	x = logs(x, 0.5, s.MFCCStd[0])
	x = logs(x, 0.1, s.MFCCDelta[:13]...)
	x = logs(x, 0, s.Centroid, s.Rolloff)
	x = logs(x, 1e-4, s.Flatness)
	x = logs(x, 1e-3, s.Flux)
	x = logs(x, 0.005, s.ZCR)
	x = logs(x, 10, s.CentroidStd)
	x = logs(x, 1e-4, s.FlatnessStd)
	x = logs(x, 0.01, s.FluxStd)
	x = logs(x, 0.005, s.ZCRStd)
	x = append(x, s.Contrast[:]...)
	x = append(x, s.ContrastStd[:]...)
	for g := range s.Swing {
		x = logs(x, 0.3, s.Swing[g][:]...)
	}
	return append(x, s.Faint, s.Sounding)
}

// logs appends the logarithms of values, none of which counts as much less than
// least.
func logs(x []float64, least float64, values ...float64) []float64 {
	for _, v := range values {
		x = append(x, float64(spectrum.Log(float32(v+least))))
	}
	return x
}
