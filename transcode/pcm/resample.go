package pcm

import (
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/tphakala/simd/f64"
)

// The resampler's filter: a Kaiser-windowed sinc, flat to 0.45 of the lower
// rate and below -115 dB from half of it on, so that nothing aliases.
const (
	passEdge    = 0.45
	stopEdge    = 0.5
	attenuation = 120.0 // dB, with room for float32 taps
	halfTaps    = 80    // taps on each side at equal rates, by Kaiser's formula
	maxPhases   = 1024  // ratios that need more interpolate between denseSteps
	denseSteps  = 2048  // linear interpolation between so many is good to -130 dB
)

// Samples and taps are held as integers in float64, of so few bits that every sum
// of their products is exact. So vectors of any width, with fused operations or
// without, come to the same samples on every machine.
const (
	sampleUnit = 1 << 23
	tapUnit    = 1 << 24
	beyond     = 16 // times full scale; what is louder is clipped to it
)

// Resampler changes the rate of planar sound by any ratio. It has linear phase
// and its delay is taken out: output sample k is the sound at time k/to. n
// input samples become ceil(n*to/from) output samples. The same input gives the
// same output on every machine.
//
// A Resampler is for one track and one goroutine.
type Resampler struct {
	up, down int64 // to/from in lowest terms
	half     int
	taps     [][]float64 // one row a phase, or denseSteps+1 rows
	dense    bool

	held  [][]float64 // input from index first on
	first int64
	in    int64 // samples taken
	out   int64 // samples given
	give  [][]float32
	sums  []float64
}

// NewResampler returns a Resampler of the given number of channels between two
// rates in Hz. All three must be positive.
func NewResampler(from, to, channels int) (*Resampler, error) {
	if from <= 0 || to <= 0 || channels <= 0 {
		return nil, fmt.Errorf("resample %d channels from %d to %d Hz: must be positive", channels, from, to)
	}
	g := gcd(from, to)
	r := &Resampler{up: int64(to / g), down: int64(from / g)}
	r.half = halfTaps
	if to < from {
		r.half = (halfTaps*from + to - 1) / to
		r.half += (4 - r.half%4) % 4
	}
	r.design(float64(to) / float64(from))
	r.first = -int64(r.half - 1)
	for range channels {
		r.held = append(r.held, make([]float64, r.half-1))
		r.give = append(r.give, nil)
	}
	return r, nil
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func (r *Resampler) design(ratio float64) {
	steps, rows := int(r.up), int(r.up)
	if r.up > maxPhases {
		r.dense, steps, rows = true, denseSteps, denseSteps+1
	}
	cutoff := (passEdge + stopEdge) / 2 * math.Min(1, ratio)
	r.taps = make([][]float64, rows)
	for p := range rows {
		r.taps[p] = sincRow(float64(p)/float64(steps), r.half, cutoff, attenuation)
		for j, tap := range r.taps[p] {
			r.taps[p][j] = math.RoundToEven(tap * tapUnit)
		}
	}
}

// sincRow returns 2*half taps of a low-pass at cutoff (cycles per sample) that
// reads the sound at the given fraction between the two middle taps. The taps
// add up to one, so that every phase has the same gain at 0 Hz.
func sincRow(fraction float64, half int, cutoff, attenuation float64) []float64 {
	beta := 0.1102 * (attenuation - 8.7)
	row, sum, top := make([]float64, 2*half), 0.0, bessel0(beta)
	for j := range row {
		t := fraction + float64(half-1-j)
		row[j] = 2 * cutoff * sinc(2*cutoff*t) * kaiser(t/float64(half), beta) / top
		sum += row[j]
	}
	for j := range row {
		row[j] /= sum
	}
	return row
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// kaiser is Kaiser's window but for its constant factor.
func kaiser(x, beta float64) float64 {
	if x <= -1 || x >= 1 {
		return 0
	}
	return bessel0(beta * math.Sqrt(1-x*x))
}

// bessel0 is the modified Bessel function of order zero.
func bessel0(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-16; k++ {
		term *= x / (2 * k) * (x / (2 * k))
		sum += term
	}
	return sum
}

// Process takes the next samples and returns those that have become known,
// perhaps none. The result stays valid until the next call.
func (r *Resampler) Process(b Block) Block {
	n := b.Len()
	r.in += int64(n)
	for c := range r.held {
		r.held[c] = appendUnits(r.held[c], b.Samples[c][:n])
	}
	return r.emit(math.MaxInt64)
}

// appendUnits appends samples as whole sampleUnits.
func appendUnits(dst []float64, samples []float32) []float64 {
	at := len(dst)
	dst = slices.Grow(dst, len(samples))[:at+len(samples)]
	for i, v := range samples {
		dst[at+i] = math.RoundToEven(float64(min(max(v, -beyond), beyond)) * sampleUnit)
	}
	return dst
}

// Flush returns the last samples. Nothing may follow.
func (r *Resampler) Flush() Block {
	total := (r.in*r.up + r.down - 1) / r.down
	for c := range r.held {
		r.held[c] = append(r.held[c], make([]float64, r.half+1)...)
	}
	return r.emit(total)
}

// emit gives all output samples before limit whose taps lie in what is held.
func (r *Resampler) emit(limit int64) Block {
	known := r.first + int64(len(r.held[0])) - int64(r.half) // input positions below this can be read
	end := min(limit, (known*r.up+r.down-1)/r.down)
	n := int(max(0, end-r.out))
	for c, x := range r.held {
		if cap(r.give[c]) < n {
			r.give[c] = make([]float32, n)
		}
		r.give[c] = r.give[c][:n]
		r.filter(r.give[c], x)
	}
	r.out += int64(n)
	r.forget()
	return Block{r.give}
}

func (r *Resampler) filter(dst []float32, x []float64) {
	pos := r.out * r.down
	at, phase := pos/r.up-int64(r.half-1)-r.first, pos%r.up
	if r.up == 1 && len(dst) > 0 {
		r.decimate(dst, x[at:])
		return
	}
	step, rest := r.down/r.up, r.down%r.up
	width := int64(2 * r.half)
	for k := range dst {
		dst[k] = r.tap(x[at:at+width], phase)
		at += step
		if phase += rest; phase >= r.up {
			phase -= r.up
			at++
		}
	}
}

// unit makes a sample of a sum of products.
const unit = 1. / sampleUnit / tapUnit

// decimate is filter for whole ratios, which have only one phase.
func (r *Resampler) decimate(dst []float32, x []float64) {
	r.sums = slices.Grow(r.sums[:0], len(dst))[:len(dst)]
	f64.ConvolveDecimate(r.sums, x, r.taps[0], int(r.down), 0)
	for i, sum := range r.sums {
		dst[i] = float32(sum * unit)
	}
}

func (r *Resampler) tap(x []float64, phase int64) float32 {
	if !r.dense {
		return float32(f64.DotProduct(x, r.taps[phase]) * unit)
	}
	at := float64(phase) / float64(r.up) * denseSteps
	row := int(at)
	a, b := f64.DotProduct(x, r.taps[row]), f64.DotProduct(x, r.taps[row+1])
	return float32((a + float64((at-float64(row))*(b-a))) * unit)
}

// forget drops the input that no later output needs.
func (r *Resampler) forget() {
	need := r.out*r.down/r.up - int64(r.half-1)
	n := int(min(need-r.first, int64(len(r.held[0]))))
	if n <= 0 {
		return
	}
	for c, x := range r.held {
		r.held[c] = x[:copy(x, x[n:])]
	}
	r.first += int64(n)
}

// Resample returns src at another rate (Hz): src itself if it has that rate.
func Resample(src Source, rate int) (Source, error) {
	f := src.Format()
	if f.Rate == rate {
		return src, nil
	}
	r, err := NewResampler(f.Rate, rate, f.Channels)
	if err != nil {
		return nil, err
	}
	f.Rate, f.BitDepth = rate, 0
	return &resampled{src: src, r: r, format: f}, nil
}

type resampled struct {
	src    Source
	r      *Resampler
	format Format
	ready  Block // given piece by piece, since upsampling may exceed MaxBlock
	err    error
}

func (s *resampled) Format() Format { return s.format }

func (s *resampled) Read() (Block, error) {
	for s.ready.Len() == 0 && s.err == nil {
		s.fill()
	}
	if s.ready.Len() == 0 {
		return Block{}, s.err
	}
	var head Block
	head, s.ready = s.ready.Cut(MaxBlock)
	return head, nil
}

func (s *resampled) fill() {
	b, err := s.src.Read()
	switch {
	case err == nil:
		s.ready = s.r.Process(b)
	case err == io.EOF:
		s.ready, s.err = s.r.Flush(), io.EOF
	default:
		s.err = err
	}
}
