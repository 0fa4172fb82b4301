package plot

import (
	"math"

	"github.com/melodyud/melodyud/transcode/features/spectrum"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// The picture's resolution: columns halve whenever they are full, so that its size
// is bounded without knowing the track's length.
const (
	bands      = 128
	mostColumn = 4096
	lowest     = 30.0
	highest    = 11025.0
)

// Spectrogram collects how a track's sound is spread over frequencies and time.
// It is for one track and one goroutine.
type Spectrogram struct {
	front   *spectrum.Front
	stft    *spectrum.STFT
	spans   [bands]span
	per     int // frames of a column
	filled  int // frames in the last column
	columns [][bands]float32
}

// span is a band in bins of the spectrum. One that is narrower than a bin is read
// between two.
type span struct{ from, to float64 }

func (s span) read(power []float32) float32 {
	first, last := int(math.Ceil(s.from)), min(int(s.to), len(power)-1)
	if last <= first {
		middle := min((s.from+s.to)/2, float64(len(power)-2))
		i := int(middle)
		share := float32(middle - float64(i))
		return power[i]*(1-share) + power[i+1]*share
	}
	sum := float32(0)
	for _, v := range power[first : last+1] {
		sum += v
	}
	return sum / float32(last-first+1)
}

// NewSpectrogram returns the Spectrogram of sound of the given format.
func NewSpectrogram(f pcm.Format) (*Spectrogram, error) {
	front, err := spectrum.NewFront(f)
	if err != nil {
		return nil, err
	}
	s := &Spectrogram{front: front, stft: spectrum.NewSTFT(spectrum.SizeR, spectrum.HopR), per: 1, filled: 1}
	bin := func(y float64) float64 { return hertz(y) * spectrum.SizeR / spectrum.RateR }
	for i := range s.spans {
		s.spans[i] = span{bin((float64(i) - 0.5) / (bands - 1)), bin((float64(i) + 0.5) / (bands - 1))}
	}
	return s, nil
}

// Write takes the next samples.
func (s *Spectrogram) Write(b pcm.Block) { s.front.Write(b, s.mono, func([]float32) {}) }

// Close takes the end of the sound.
func (s *Spectrogram) Close() {
	s.front.Close(s.mono, func([]float32) {})
	s.stft.Close(s.add)
}

func (s *Spectrogram) mono(x []float32) { s.stft.Write(x, s.add) }

func (s *Spectrogram) add(power []float32) {
	if s.filled == s.per {
		s.next()
	}
	column := &s.columns[len(s.columns)-1]
	for i, span := range s.spans {
		column[i] += span.read(power) / float32(s.per)
	}
	s.filled++
}

// next begins a column, joining columns in pairs when all are used.
func (s *Spectrogram) next() {
	if len(s.columns) == mostColumn {
		for i := range mostColumn / 2 {
			a, b := s.columns[2*i], s.columns[2*i+1]
			for k := range a {
				s.columns[i][k] = (a[k] + b[k]) / 2
			}
		}
		s.columns = s.columns[:mostColumn/2]
		s.per *= 2
	}
	s.columns = append(s.columns, [bands]float32{})
	s.filled = 0
}

// level returns the level in dB of a point: x and y are 0..1 of time and of the mel
// scale. Neighbours flow into each other.
func (s *Spectrogram) level(x, y float64) float64 {
	at, band := x*float64(len(s.columns)-1), y*(bands-1)
	i, k := int(at), int(band)
	j, l := min(i+1, len(s.columns)-1), min(k+1, bands-1)
	u, v := float32(at-float64(i)), float32(band-float64(k))
	below := s.columns[i][k]*(1-u) + s.columns[j][k]*u
	above := s.columns[i][l]*(1-u) + s.columns[j][l]*u
	return 10 * math.Log10(float64(below*(1-v)+above*v)+1e-12)
}

// top is the level of the loudest point.
func (s *Spectrogram) top() float64 {
	most := -120.0
	for i := range s.columns {
		for _, v := range s.columns[i] {
			most = max(most, 10*math.Log10(float64(v)+1e-12))
		}
	}
	return most
}

func melOf(hz float64) float64 { return math.Log1p(hz / 700) }

// height returns where a frequency is on the mel scale, 0..1; hertz is its reverse.
func height(hz float64) float64 {
	return (melOf(hz) - melOf(lowest)) / (melOf(highest) - melOf(lowest))
}
func hertz(y float64) float64 {
	return 700 * math.Expm1(melOf(lowest)+y*(melOf(highest)-melOf(lowest)))
}

// Columns is how many stretches of time are told apart: at most 4,096.
func (s *Spectrogram) Columns() int { return len(s.columns) }
