package encode

import (
	"math"
	"math/bits"

	"github.com/tphakala/simd/f64"
)

const (
	maxFixedOrder  = 4
	maxLinearOrder = 12 // the streamable subset's limit up to 48 kHz
	shallow        = 17 // up to this depth (16 bits and their side channel) short coefficients do
	shortPrecision = 13
	longPrecision  = 15
	maxShift       = 15
)

// analysis finds the cheapest predictor of a subframe. It holds what is reused
// between blocks.
type analysis struct {
	window   []float64
	wide     []float64 // the samples
	windowed []float64
	sums     [predictChunk]float64
	trial    subframe // the linear predictor's rival
	autoc    [maxLinearOrder + 1]float64
	levinson levinson
}

// plan decides how samples of the given depth are coded.
func (a *analysis) plan(s *subframe, samples []int32, depth int) {
	s.depth, s.samples, s.wasted, s.order = uint(depth), samples, 0, 0
	if constant(samples) {
		s.kind, s.bits = kindConstant, 8+depth
		return
	}
	s.dropWasted()
	n := len(s.samples)
	s.kind, s.bits = kindVerbatim, 8+n*int(s.depth)
	if n > maxFixedOrder {
		a.fixed(s)
	}
	if n > 2*maxLinearOrder {
		a.linear(s)
	}
}

func constant(samples []int32) bool {
	for _, v := range samples {
		if v != samples[0] {
			return false
		}
	}
	return true
}

// dropWasted takes off the low bits that are zero in every sample.
func (s *subframe) dropWasted() {
	or := int32(0)
	for _, v := range s.samples {
		or |= v
	}
	s.wasted = uint(bits.TrailingZeros32(uint32(or)))
	if s.wasted == 0 {
		return
	}
	s.shifted = grow(s.shifted, len(s.samples))
	for i, v := range s.samples {
		s.shifted[i] = v >> s.wasted
	}
	s.samples = s.shifted
	s.depth -= s.wasted
}

func grow(s []int32, n int) []int32 {
	if cap(s) < n {
		return make([]int32, n)
	}
	return s[:n]
}

// fixed tries the polynomial predictor with the smallest residual.
func (a *analysis) fixed(s *subframe) {
	order := bestFixed(s.samples)
	s.residual = grow(s.residual, len(s.samples))
	differences(s.residual, s.samples, order)
	size := 8 + order*int(s.depth) + s.rice.plan(s.residual, order)
	if size < s.bits {
		s.kind, s.order, s.bits = kindFixed|uint64(order), order, size
	}
}

// bestFixed returns the order whose residual has the smallest sum.
func bestFixed(x []int32) int {
	var sums [maxFixedOrder + 1]uint64
	d0 := x[3]
	d1 := x[3] - x[2]
	d2 := d1 - (x[2] - x[1])
	d3 := d2 - (x[2] - 2*x[1] + x[0])
	for _, v := range x[maxFixedOrder:] {
		e1 := v - d0
		e2 := e1 - d1
		e3 := e2 - d2
		e4 := e3 - d3
		d0, d1, d2, d3 = v, e1, e2, e3
		sums[0] += uint64(magnitude(v))
		sums[1] += uint64(magnitude(e1))
		sums[2] += uint64(magnitude(e2))
		sums[3] += uint64(magnitude(e3))
		sums[4] += uint64(magnitude(e4))
	}
	best := 0
	for order, sum := range sums {
		if sum < sums[best] {
			best = order
		}
	}
	return best
}

func magnitude(v int32) uint32 { return uint32((v ^ v>>31) - v>>31) }

// differences writes x's differences of an order; the first order values are
// the samples themselves.
func differences(dst, x []int32, order int) {
	copy(dst, x[:order])
	switch order {
	case 0:
		copy(dst, x)
	case 1:
		for i := 1; i < len(x); i++ {
			dst[i] = x[i] - x[i-1]
		}
	case 2:
		for i := 2; i < len(x); i++ {
			dst[i] = x[i] - 2*x[i-1] + x[i-2]
		}
	case 3:
		for i := 3; i < len(x); i++ {
			dst[i] = x[i] - 3*(x[i-1]-x[i-2]) - x[i-3]
		}
	case 4:
		for i := 4; i < len(x); i++ {
			dst[i] = x[i] - 4*(x[i-1]+x[i-3]) + 6*x[i-2] + x[i-4]
		}
	}
}

// linear tries a linear predictor of the order that promises most.
func (a *analysis) linear(s *subframe) {
	n := len(s.samples)
	a.taper(s.samples)
	f64.Autocorrelate(a.autoc[:], a.windowed[:n], maxLinearOrder)
	if a.autoc[0] == 0 {
		return
	}
	precision := uint(longPrecision)
	if s.depth <= shallow {
		precision = shortPrecision
	}
	orders := a.levinson.solve(a.autoc[:])
	order := a.levinson.best(orders, n, int(s.depth+precision))
	t := &a.trial
	if !t.quantise(a.levinson.coeffs[order-1][:order], precision) {
		return
	}
	t.residual = grow(t.residual, n)
	if !a.predict(t.residual, s.samples, t.coeffs, t.shift) {
		return
	}
	size := 8 + order*int(s.depth+precision) + 9 + t.rice.plan(t.residual, order)
	if size < s.bits {
		s.kind, s.order, s.bits = kindLinear|uint64(order-1), order, size
		s.precision, s.shift = t.precision, t.shift
		s.coeffs, t.coeffs = t.coeffs, s.coeffs
		s.residual, t.residual = t.residual, s.residual
		s.rice, t.rice = t.rice, s.rice
	}
}

// taper multiplies the samples by a Tukey window that is flat in its middle half.
func (a *analysis) taper(samples []int32) {
	n := len(samples)
	if len(a.window) != n {
		a.window = tukey(n)
		a.wide, a.windowed = make([]float64, n), make([]float64, n)
	}
	for i, v := range samples {
		a.wide[i] = float64(v)
	}
	f64.Mul(a.windowed, a.wide, a.window)
}

func tukey(n int) []float64 {
	w := make([]float64, n)
	edge := n / 4
	for i := range w {
		w[i] = 1
		if d := min(i, n-1-i); d < edge {
			w[i] = math.Round((0.5-0.5*math.Cos(math.Pi*(float64(d)+0.5)/float64(edge)))*(1<<20)) / (1 << 20)
		}
	}
	return w
}

// levinson holds the predictors of every order from one recursion.
type levinson struct {
	coeffs [maxLinearOrder][maxLinearOrder]float64
	errors [maxLinearOrder]float64
}

// solve returns how many orders could be computed.
func (l *levinson) solve(autoc []float64) int {
	var lpc [maxLinearOrder]float64
	err := autoc[0]
	for i := range maxLinearOrder {
		r := -autoc[i+1]
		for j := range i {
			r -= float64(lpc[j] * autoc[i-j])
		}
		r /= err
		lpc[i] = r
		for j := range i / 2 {
			lpc[j], lpc[i-1-j] = lpc[j]+float64(r*lpc[i-1-j]), lpc[i-1-j]+float64(r*lpc[j])
		}
		if i%2 == 1 {
			lpc[i/2] += float64(r * lpc[i/2])
		}
		err *= 1 - float64(r*r)
		for j := range i + 1 {
			l.coeffs[i][j] = -lpc[j]
		}
		l.errors[i] = err
		if err <= 0 {
			return i + 1
		}
	}
	return maxLinearOrder
}

// log2 is the logarithm to base 2 of a positive number, to about 1e-6. The
// conversions forbid fused operations: every machine must come to the same bytes.
func log2(x float64) float64 {
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, e = 2*m, e-1
	}
	t := (m - 1) / (m + 1)
	t2 := t * t
	series := 1 + float64(t2*float64(1./3+float64(t2*(1./5))))
	return float64(e) + float64(2/math.Ln2*float64(t*series))
}

// best estimates the size of every order, which costs overhead bits each, and
// returns the smallest one's.
func (l *levinson) best(orders, n, overhead int) int {
	best, least := 1, math.Inf(1)
	for order := 1; order <= orders; order++ {
		perSample := 0.0
		if e := l.errors[order-1]; e > 0 {
			perSample = max(0, 0.5*log2(e*0.5/float64(n)))
		}
		size := float64(perSample*float64(n-order)) + float64(order*overhead)
		if size < least {
			best, least = order, size
		}
	}
	return best
}

// quantise makes integers of a predictor, passing each one's rounding error on
// to the next. It reports whether they fit.
func (s *subframe) quantise(lpc []float64, precision uint) bool {
	largest := 0.0
	for _, c := range lpc {
		largest = max(largest, math.Abs(c))
	}
	if largest == 0 || math.IsNaN(largest) || math.IsInf(largest, 0) {
		return false
	}
	_, exponent := math.Frexp(largest)
	shift := min(int(precision)-1-exponent, maxShift)
	if shift < 0 {
		return false
	}
	s.precision, s.shift = precision, uint(shift)
	s.coeffs = grow(s.coeffs, len(lpc))
	limit := float64(int(1) << (precision - 1))
	carry := 0.0
	for i, c := range lpc {
		carry += float64(c * float64(int(1)<<shift))
		q := min(max(math.RoundToEven(carry), -limit), limit-1)
		carry -= q
		s.coeffs[i] = int32(q)
	}
	return true
}

// predictChunk is how many samples are predicted at a time: few enough for the
// nearest cache.
const predictChunk = 512

// predict writes what the predictor leaves of x, which taper has seen; the first
// values are the samples themselves. It reports whether every value fits well
// into 32 bits.
//
// It sums in floating point, tap by tap, which vectors do many times faster than
// integers; every sum is an integer of less than 53 bits and so exact in any order.
func (a *analysis) predict(dst, x, coeffs []int32, shift uint) bool {
	order, over := len(coeffs), int64(0)
	copy(dst, x[:order])
	for from := order; from < len(x); from += predictChunk {
		sum := a.sums[:min(predictChunk, len(x)-from)]
		f64.Scale(sum, a.wide[from-1:], float64(coeffs[0]))
		for j, c := range coeffs[1:] {
			f64.AddScaled(sum, float64(c), a.wide[from-2-j:from-2-j+len(sum)])
		}
		over |= residuals(dst[from:], x[from:], sum, shift)
	}
	return over>>30 == 0
}

// residuals takes predictions from samples and returns the union of the bits of
// the results, signs folded in.
func residuals(dst, x []int32, sums []float64, shift uint) (over int64) {
	dst, x = dst[:len(sums)], x[:len(sums)]
	for i, sum := range sums {
		r := int64(x[i]) - int64(sum)>>(shift&63)
		over |= r ^ r>>63
		dst[i] = int32(r)
	}
	return over
}
