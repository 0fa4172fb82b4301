package aac

import "math"

// Temporal noise shaping predicts a line from the lines below it, so that the
// quantisation noise follows the envelope of the sound within the frame
// (ISO/IEC 14496-3 §4.6.9).
const (
	tnsOrder    = 8 // of long windows; LC allows 12
	tnsFromHz   = 1300
	tnsCoefBits = 4
)

// tnsTop is the highest band that LC may filter in long windows (table 4.139).
var tnsTop = map[int]int{
	96000: 31, 88200: 31, 64000: 34, 48000: 40, 44100: 42, 32000: 51,
	24000: 46, 22050: 46, 16000: 42, 12000: 42, 11025: 42, 8000: 39,
}

// tns is a temporal-noise-shaping filter over the lines of a channel.
type tns struct {
	order int
	from  int // first band
	coefs [tnsOrder]int8
	gain  float32 // how much the decoder's filter raises noise energy
}

// shapeNoise filters the lines of s where that gains, and notes the filter.
func (a *Analyzer) shapeNoise(s *spectrum, edges []int16) {
	s.tns = tns{}
	from, to := a.tnsBands[0], a.tnsBands[1]
	r, ok := s.correlate(edges, from, to)
	if !ok {
		return
	}
	k, gain := reflections(r)
	if gain < tune.v[5] {
		return
	}
	s.tns.from = from
	s.tns.gain = 1
	var parcor [tnsOrder]float64
	for i, v := range k {
		scale := (8 - 0.5) / (math.Pi / 2)
		if v < 0 {
			scale = (8 + 0.5) / (math.Pi / 2)
		}
		q := math.Round(math.Asin(v) * scale)
		s.tns.coefs[i] = int8(q)
		parcor[i] = math.Sin(q / scale)
		s.tns.gain /= float32(1 - parcor[i]*parcor[i])
		if q != 0 {
			s.tns.order = i + 1
		}
	}
	if s.tns.order > 0 {
		s.filter(parcor[:s.tns.order], int(edges[from]), int(edges[to]))
	}
}

// correlate returns the autocorrelation of the lines of bands from..to, each band
// brought to one level.
func (s *spectrum) correlate(edges []int16, from, to int) (r [tnsOrder + 1]float64, ok bool) {
	var flat [FrameSize]float64
	n := 0
	for b := from; b < to; b++ {
		if s.energy[b] <= 0 {
			return r, false
		}
		level := math.Sqrt(float64(edges[b+1]-edges[b]) / float64(s.energy[b]))
		for _, v := range s.lines[edges[b]:edges[b+1]] {
			flat[n] = float64(v) * level
			if tune.v[7] > 0 {
				flat[n] = math.Copysign(math.Pow(math.Abs(flat[n]), tune.v[7]), flat[n])
			}
			n++
		}
	}
	for lag := range r {
		sum := 0.0
		for i := lag; i < n; i++ {
			sum += float64(flat[i] * flat[i-lag])
		}
		r[lag] = sum
	}
	return r, r[0] > 0
}

// reflections returns the reflection coefficients of r (Levinson and Durbin) and
// the prediction gain.
func reflections(r [tnsOrder + 1]float64) (k [tnsOrder]float64, gain float64) {
	var a, b [tnsOrder + 1]float64
	e := r[0] * (1 + 1e-9)
	for m := 1; m <= tnsOrder; m++ {
		sum := r[m]
		for i := 1; i < m; i++ {
			sum += float64(a[i] * r[m-i])
		}
		v := -sum / e
		k[m-1] = v
		b = a
		for i := 1; i < m; i++ {
			a[i] = b[i] + float64(v*b[m-i])
		}
		a[m] = v
		e *= 1 - float64(v*v)
	}
	return k, r[0] / e
}

// filter replaces the lines from..to by their prediction errors.
func (s *spectrum) filter(parcor []float64, from, to int) {
	var a, b [tnsOrder + 1]float64
	for m, v := range parcor {
		b = a
		for i := 1; i <= m; i++ {
			a[i] = b[i] + float64(v*b[m+1-i])
		}
		a[m+1] = v
	}
	for i := to - 1; i >= from; i-- {
		sum := float64(s.lines[i])
		for j := 1; j <= min(len(parcor), i-from); j++ {
			sum += float64(a[j] * float64(s.lines[i-j]))
		}
		s.lines[i] = float32(sum)
	}
}
