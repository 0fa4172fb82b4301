package quality

import (
	"math"

	"github.com/melodyud/melodyud/transcode/features/spectrum"
)

const (
	bandFFT     = 4096
	bandHop     = 4 * bandFFT // samples between the frames that are looked at
	faintest    = -115.0      // dB of a full-scale sine: what rounding to 16 bits leaves lies at -130
	belowPeak   = 90.0        // dB under the loudest bin: what nobody hears
	edgeDrop    = 45.0        // dB within edgeHz: no filter of a converter is as steep
	edgeHz      = 700.0
	edgeHighest = 20_700.0 // Hz: above, resamplers cut too
	edgeLowest  = 14_500.0 // below, coders for music do not cut
)

// band finds where a track's sound ends.
type band struct {
	rate   int
	fft    *spectrum.FFT
	window []float32
	frame  []float32
	power  []float32
	mean   []float64
	skip   int
	count  int
}

func newBand(rate int) *band {
	b := &band{rate: rate, fft: spectrum.NewFFT(bandFFT), power: make([]float32, bandFFT/2+1), mean: make([]float64, bandFFT/2+1)}
	for i := range bandFFT { // a Blackman-Harris window: its leakage lies below 16 bits
		t := 2 * math.Pi * (float64(i) + 0.5) / bandFFT
		b.window = append(b.window, float32((0.35875-0.48829*math.Cos(t)+0.14128*math.Cos(2*t)-0.01168*math.Cos(3*t))*2/bandFFT/0.35875))
	}
	return b
}

func (b *band) write(x []float32) {
	for len(x) > 0 {
		if b.skip > 0 {
			n := min(b.skip, len(x))
			b.skip -= n
			x = x[n:]
			continue
		}
		n := min(len(x), bandFFT-len(b.frame))
		b.frame = append(b.frame, x[:n]...)
		x = x[n:]
		if len(b.frame) == bandFFT {
			b.take()
		}
	}
}

func (b *band) take() {
	energy := float32(0)
	for i, w := range b.window {
		energy += float32(b.frame[i] * b.frame[i])
		b.frame[i] *= w
	}
	b.fft.Power(b.power, b.frame)
	b.frame, b.skip = b.frame[:0], bandHop-bandFFT
	if energy < bandFFT*1e-6 {
		return // silence has no edge
	}
	for k, p := range b.power {
		b.mean[k] += float64(p)
	}
	b.count++
}

// levels returns the spectrum in dB, and its loudest bin.
func (b *band) levels() (db []float64, loudest float64) {
	loudest = math.Inf(-1)
	for _, p := range b.mean {
		v := 10 * math.Log10(p/float64(max(1, b.count))+1e-20)
		db, loudest = append(db, v), max(loudest, v)
	}
	return db, loudest
}

// end returns the frequency that the sound reaches up to, in Hz, and whether it ends
// as abruptly as only coders and resamplers cut; false for hardly any sound.
func (b *band) end() (hz float64, abrupt, ok bool) {
	if b.count == 0 {
		return 0, false, false
	}
	db, loudest := b.levels()
	floor := max(faintest, loudest-belowPeak)
	last := len(db) - 1
	for last > 0 && db[last] < floor {
		last--
	}
	width := float64(b.rate) / bandFFT
	return float64(last) * width, b.drop(db, last) > edgeDrop, true
}

// drop returns by how much the level falls around bin k, between the mean of the
// 2 kHz below and that of what follows.
func (b *band) drop(db []float64, k int) float64 {
	bins := func(hz float64) int { return int(hz * bandFFT / float64(b.rate)) }
	from, low, high := k-bins(2000), k-bins(edgeHz/2), k+bins(edgeHz/2)
	to := min(len(db)-bins(200), high+bins(1500))
	if from < 0 || to-high < bins(500) {
		return 0
	}
	return average(db[from:low]) - average(db[high:to])
}

func average(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(max(1, len(x)))
}
