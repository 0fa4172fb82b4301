// Package timbre measures the colour of a track's sound: cepstra, the shape of
// the spectrum and how both move. It works frame by frame in bounded memory, and
// the same input gives the same numbers on every machine.
package timbre

import (
	"math"

	"github.com/melodyud/melodyud/transcode/features/spectrum"
)

// What is measured of each frame.
const (
	Cepstra   = 20 // coefficients, the first of which is the level
	Bands     = 40 // of the mel scale, from lowBand to half of spectrum.RateR
	Contrasts = 6  // octaves: 200, 400 ... 6,400 Hz, the last one up to 11,025 Hz

	bins    = spectrum.SizeR/2 + 1
	lowBand = 30.0 // Hz
	binHz   = float64(spectrum.RateR) / spectrum.SizeR

	// Every second frame is looked at: 43 a second, half overlapping.
	every    = 2
	FrameHop = every * spectrum.HopR // samples at spectrum.RateR between two frames that count

	// A frame below the gate is silence and counts for nothing. A band below the
	// floor is as quiet as the floor, and so is one that is masked by the loudest of
	// its frame. A sine of amplitude 1 has the power 1.
	gate   = 1e-7  // -70 dB
	floor  = 1e-10 // -100 dB
	masked = 60    // dB below the loudest band
	loud   = 1e12  // no sound has so much: such frames are not sound
)

// Meter measures one track, on one goroutine. The zero value is of no use.
type Meter struct {
	mel    *spectrum.Mel
	cosine [Bands][Cepstra]float32

	frames   int // given, every one
	sounding int // looked at and above the gate
	looked   int

	bands   [Bands]float32 // dB, of the frame at hand
	cepstra [Cepstra]float32
	before  [Cepstra]float32
	linked  bool // the frame before this one was sounding too

	levels     [Bands]moments
	coeffs     [Cepstra]moments
	deltas     [Cepstra]moments
	covariance [Cepstra][Cepstra]float64 // sums of products, lower triangle

	shape     *shape
	swing     *swing
	crossings crossings
	course    course
}

// New returns a Meter of a track of which nothing has been heard yet.
func New() *Meter {
	m := &Meter{
		mel:   spectrum.NewMel(spectrum.RateR, spectrum.SizeR, Bands, lowBand, spectrum.RateR/2),
		shape: newShape(),
		swing: newSwing(),
	}
	for b := range m.cosine {
		for c := range m.cosine[b] {
			scale := math.Sqrt(2.0 / Bands)
			if c == 0 {
				scale = math.Sqrt(1.0 / Bands)
			}
			m.cosine[b][c] = float32(scale * math.Cos(math.Pi*float64(c)*(float64(b)+0.5)/Bands))
		}
	}
	return m
}

// Frame takes the next power spectrum of the STFT of spectrum.SizeR and
// spectrum.HopR: 513 bins.
func (m *Meter) Frame(power []float32) {
	m.frames++
	if m.frames%every != 1 {
		return
	}
	m.looked++
	power = power[:bins]
	m.mel.Bands(m.bands[:], power)
	total := float32(0)
	for _, p := range power {
		total += p
	}
	m.measureBands()
	m.swing.frame(&m.bands)
	m.course.add(&m.cepstra)
	if !(total > gate && total < loud) {
		m.linked = false
		m.shape.skip()
		return
	}
	m.count()
	m.shape.frame(power, total)
}

// Samples takes the next sound that the spectra are made of, at spectrum.RateR.
func (m *Meter) Samples(mono []float32) { m.crossings.write(mono) }

// measureBands turns the bands' sums into decibels and those into cepstra.
func (m *Meter) measureBands() {
	const decibels = 10 / math.Ln10
	loudest := float32(-1000)
	for b, v := range &m.bands {
		if !(v > floor) {
			v = floor
		}
		m.bands[b] = decibels * spectrum.Log(min(v, loud))
		loudest = max(loudest, m.bands[b])
	}
	m.cepstra = [Cepstra]float32{}
	for b, v := range &m.bands {
		v = max(v, loudest-masked)
		for c, w := range &m.cosine[b] {
			m.cepstra[c] += float32(v * w)
		}
	}
}

// count adds the frame at hand to what is known of the track.
func (m *Meter) count() {
	m.sounding++
	for b, v := range &m.bands {
		m.levels[b].add(float64(v))
	}
	for c, v := range &m.cepstra {
		m.coeffs[c].add(float64(v))
		row := &m.covariance[c]
		for d := range c + 1 {
			row[d] += float64(v * m.cepstra[d])
		}
		if m.linked {
			m.deltas[c].add(math.Abs(float64(v - m.before[c])))
		}
	}
	m.before, m.linked = m.cepstra, true
}

// moments is what is kept of a number that changes from frame to frame.
type moments struct {
	n          int
	sum, power float64
}

func (m *moments) add(v float64) {
	m.n++
	m.sum += v
	m.power += float64(v * v)
}

func (m *moments) mean() float64 {
	if m.n == 0 {
		return 0
	}
	return m.sum / float64(m.n)
}

// deviation is the standard deviation over all frames (not an estimate for more).
func (m *moments) deviation() float64 {
	if m.n == 0 {
		return 0
	}
	mean := m.mean()
	return math.Sqrt(max(0, m.power/float64(m.n)-float64(mean*mean)))
}
