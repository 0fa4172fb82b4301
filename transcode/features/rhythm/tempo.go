package rhythm

import (
	"math"

	"github.com/melodyud/melodyud/transcode/features/spectrum"
)

// The tempi that are looked at.
const (
	slowest   = 30.0 // BPM
	perOctave = 48
	tempi     = 148 // up to 250 BPM
	fastest   = 250.0

	// Below these there is no pulse. Onsets that come by chance look alike at some
	// distance or other, the more the fewer there are.
	leastRise    = 1.2  // what the 50th strongest frame of 2,500 must reach
	leastClarity = 0.05 // plus clarityTime over the track's seconds
	clarityTime  = 0.8
	clearest     = 0.4 // clarity of which confidence asks no more
	halfSure     = 3.0 // seconds of sound that halve a confidence
)

// Windows of the autocorrelation.
const (
	windowFrames = 1034 // 12 s
	windowHop    = 258
	maxLag       = 4 * 173 // four beats at the slowest tempo
)

type tempo struct {
	bpm, alt   float64
	confidence float64
}

// gridTempo returns the tempo of a place on the grid, in BPM.
func gridTempo(k float64) float64 { return slowest * math.Exp2(k/perOctave) }

// findTempo returns the tempo, or false where there is no pulse.
func (t *Tracker) findTempo(strength []float32, onsetRate float64) (tempo, bool) {
	p := t.periodicities(strength)
	chances := softmax(weigh(t.clues(p, onsetRate)))
	best := 0
	for k, v := range chances {
		if v > chances[best] {
			best = k
		}
	}
	coarse := gridTempo(float64(best))
	clarity, seconds := p.clarity(coarse), float64(len(strength))/FrameRate
	if clarity < leastClarity+clarityTime/seconds {
		return tempo{}, false
	}
	bpm := refine(strength, coarse)
	found := tempo{bpm: bpm, alt: bpm * 2}
	found.confidence = around(chances, best) * min(1, clarity/clearest) * seconds / (seconds + halfSure)
	if bpm*2 > fastest || bpm/2 >= slowest && around(chances, best-perOctave) > around(chances, best+perOctave) {
		found.alt = bpm / 2
	}
	return found, true
}

// around is the chance of the tempi within about 4 % of a place on the grid.
func around(chances []float64, k int) float64 {
	sum := 0.0
	for i := max(0, k-3); i <= min(k+3, len(chances)-1); i++ {
		sum += chances[i]
	}
	return sum
}

// periodicities holds the mean normalised autocorrelation of the onset strength
// and of its bands.
type periodicities struct {
	all   []float32
	bands [bandCount][]float32
}

func (t *Tracker) periodicities(strength []float32) *periodicities {
	p := &periodicities{all: autocorrelate(strength)}
	for b := range p.bands {
		p.bands[b] = autocorrelate(smooth(aboveMean(t.fluxes[b])))
	}
	return p
}

// autocorrelate returns the mean over windows of x's autocorrelation, by lag, 1 at
// lag 0 for a window that is not empty.
func autocorrelate(x []float32) []float32 {
	const size = 2048
	fft := spectrum.NewFFT(size)
	sum, cut, acf := make([]float32, maxLag+2), make([]float32, size), make([]float32, size/2+1)
	n := 0
	for at := 0; at == 0 || at+windowFrames <= len(x)+windowFrames/2; at += windowHop {
		clear(cut)
		w := x[at:min(len(x), at+windowFrames)]
		mean := 0.0
		for _, v := range w {
			mean += float64(v)
		}
		m := float32(mean / float64(max(1, len(w))))
		for i, v := range w {
			cut[i] = v - m
		}
		fft.Autocorrelate(acf, cut)
		n++
		if acf[0] <= 0 {
			continue
		}
		for lag := range min(len(sum), len(w)*3/4) {
			sum[lag] += acf[lag] / acf[0] * float32(len(w)) / float32(len(w)-lag)
		}
	}
	for i := range sum {
		sum[i] /= float32(max(1, n))
	}
	return sum
}

// between reads x at a fractional place.
func between(x []float32, at float64) float64 {
	i := int(at)
	if i+1 >= len(x) {
		return 0
	}
	f := at - float64(i)
	return float64(x[i])*(1-f) + float64(x[i+1])*f
}

// clarity is how alike the onsets are one and two beats apart.
func (p *periodicities) clarity(bpm float64) float64 {
	lag := 60 * FrameRate / bpm
	return (between(p.all, lag) + between(p.all, 2*lag)) / 2
}

// refine returns a tempo that is exact to a few hundredths of a BPM: the lag of
// one beat is read off that of more and more beats.
func refine(strength []float32, bpm float64) float64 {
	const size = 8192
	n := min(len(strength), size/2)
	acf := make([]float32, size/2+1)
	total := make([]float32, size/2+1)
	fft, cut := spectrum.NewFFT(size), make([]float32, size)
	for at := 0; at == 0 || at+n <= len(strength); at += n / 2 {
		clear(cut)
		copy(cut, strength[at:min(len(strength), at+n)])
		fft.Autocorrelate(acf, cut)
		for i, v := range acf {
			total[i] += v
		}
		if n < 2 {
			break
		}
	}
	period := 60 * FrameRate / bpm
	for beats := 1.0; beats*period < float64(n)*0.6 && beats <= 32; beats *= 2 {
		period = nearestPeak(total, period*beats, max(1.5, min(period*0.2, period*beats*0.02))) / beats
	}
	return 60 * FrameRate / period
}

// nearestPeak returns the highest point of x within reach of a place.
func nearestPeak(x []float32, place, reach float64) float64 {
	best := -1
	for i := max(1, int(math.Ceil(place-reach))); i <= int(place+reach) && i < len(x)-1; i++ {
		if x[i] >= x[i-1] && x[i] >= x[i+1] && (best < 0 || x[i] > x[best]) {
			best = i
		}
	}
	if best < 0 {
		return place
	}
	return vertex(x, best)
}
