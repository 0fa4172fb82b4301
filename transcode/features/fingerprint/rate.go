package fingerprint

import (
	"math"
	"slices"

	"github.com/tphakala/simd/i16"
)

// Rate is that of the samples which are fingerprinted, in Hz.
const Rate = 11025

// The filter by which fpcalc has libswresample change the rate: a sinc under a
// Kaiser window, in 16-bit integers. A better one would make other fingerprints.
const (
	crossings = 16  // taps at equal rates
	cutoff    = 0.8 // of half the lower rate
	beta      = 9.0
	maxPhases = 256 // ratios that need more are interpolated
	tapBits   = 15
)

// rate brings 16-bit mono sound to Rate. Output k is the sound at k/Rate; its
// delay is taken out. Ends are mirrored.
type rate struct {
	up, down int64 // Rate to the source's, in lowest terms
	phases   int64
	centre   int
	taps     [][]int16 // one row a phase and the first one again, moved by a sample

	held  []int16 // input from index first on
	first int64
	in    int64 // samples taken
	out   int64 // samples given
	give  []int16
}

// newRate returns the change from a rate in Hz; nil where there is none.
func newRate(from int) *rate {
	if from == Rate {
		return nil
	}
	g := gcd(from, Rate)
	r := &rate{up: int64(Rate / g), down: int64(from / g)}
	r.phases = min(r.up, maxPhases)
	factor := min(1, Rate*cutoff/float64(from))
	length := int(math.Ceil(crossings / factor))
	length += length % 2
	r.centre = (length - 1) / 2
	r.first = -int64(r.centre)
	r.design(length, factor)
	return r
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func (r *rate) design(length int, factor float64) {
	norm := 0.0
	for i := range length {
		norm += tap(float64(i-r.centre), length, factor)
	}
	for phase := range r.phases {
		row := make([]int16, length)
		for i := range row {
			at := float64(i-r.centre) - float64(phase)/float64(r.phases)
			row[i] = tap16(tap(at, length, factor) / norm)
		}
		r.taps = append(r.taps, row)
	}
	r.taps = append(r.taps, append([]int16{0}, r.taps[0][:length-1]...))
}

func tap16(v float64) int16 {
	return int16(min(math.RoundToEven(v*(1<<tapBits)), math.MaxInt16))
}

// tap is the filter so many samples from its middle.
func tap(at float64, length int, factor float64) float64 {
	x, y := math.Pi*at*factor, 1.0
	if x != 0 {
		y = math.Sin(x) / x
	}
	w := 2 * x / (factor * float64(length) * math.Pi)
	return y * bessel0(beta*math.Sqrt(max(1-w*w, 0)))
}

// bessel0 is the modified Bessel function of order zero.
func bessel0(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-17; k++ {
		term *= x / (2 * k) * (x / (2 * k))
		sum += term
	}
	return sum
}

// write takes the next samples and returns those that have become known, valid
// until the next call.
func (r *rate) write(x []int16) []int16 {
	if r == nil {
		return x
	}
	began := r.in > int64(r.centre)
	r.held = append(r.held, x...)
	r.in += int64(len(x))
	if r.in <= int64(r.centre) {
		return nil
	}
	if !began {
		r.begin()
	}
	return r.emit()
}

// begin puts the mirrored beginning before the sound.
func (r *rate) begin() {
	mirrored := slices.Clone(r.held[1 : r.centre+1])
	slices.Reverse(mirrored)
	r.held = slices.Insert(r.held, 0, mirrored...)
}

// close returns the last samples.
func (r *rate) close() []int16 {
	if r == nil || r.in <= int64(r.centre) {
		return nil
	}
	for i := range (len(r.taps[0]) + 1) / 2 {
		r.held = append(r.held, r.held[max(0, len(r.held)-1-2*i)])
	}
	return r.emit()
}

func (r *rate) emit() []int16 {
	last := r.first + int64(len(r.held)-len(r.taps[0])) // where taps may begin
	pos := r.out*r.down - int64(r.centre)*r.up          // in parts of a sample
	r.give = r.give[:0]
	for pos <= last*r.up+r.up-1 {
		at := floor(pos, r.up)
		r.give = append(r.give, r.sample(r.held[at-r.first:], pos-at*r.up))
		pos += r.down
		r.out++
	}
	if n := min(floor(pos, r.up)-r.first, int64(len(r.held))); n > 0 {
		r.held = r.held[:copy(r.held, r.held[n:])]
		r.first += n
	}
	return r.give
}

// floor is a/b rounded down, for positive b.
func floor(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// sample filters the samples from x on; part/up is the way to the next one.
func (r *rate) sample(x []int16, part int64) int16 {
	phase := part * r.phases / r.up
	row := r.taps[phase]
	v := i16.DotProduct(x[:len(row)], row)
	if rest := part*r.phases - phase*r.up; rest != 0 {
		w := i16.DotProduct(x[:len(row)], r.taps[phase+1])
		v += int32(int64(w-v) * rest / r.up)
	}
	v = (v + 1<<(tapBits-1)) >> tapBits
	return int16(min(max(v, math.MinInt16), math.MaxInt16))
}
