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
	windowed []float64
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
	if !predict(t.residual, s.samples, t.coeffs, t.shift) {
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
		a.windowed = make([]float64, n)
	}
	for i, v := range samples {
		a.windowed[i] = float64(v) * a.window[i]
	}
}

func tukey(n int) []float64 {
	w := make([]float64, n)
	edge := n / 4
	for i := range w {
		w[i] = 1
		if d := min(i, n-1-i); d < edge {
			w[i] = 0.5 - 0.5*math.Cos(math.Pi*(float64(d)+0.5)/float64(edge))
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
			r -= lpc[j] * autoc[i-j]
		}
		r /= err
		lpc[i] = r
		for j := range i / 2 {
			lpc[j], lpc[i-1-j] = lpc[j]+r*lpc[i-1-j], lpc[i-1-j]+r*lpc[j]
		}
		if i%2 == 1 {
			lpc[i/2] += r * lpc[i/2]
		}
		err *= 1 - r*r
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

// best estimates the size of every order, which costs overhead bits each, and
// returns the smallest one's.
func (l *levinson) best(orders, n, overhead int) int {
	best, least := 1, math.Inf(1)
	for order := 1; order <= orders; order++ {
		perSample := 0.0
		if e := l.errors[order-1]; e > 0 {
			perSample = max(0, 0.5*math.Log2(e*0.5/float64(n)))
		}
		size := perSample*float64(n-order) + float64(order*overhead)
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
		carry += c * float64(int(1)<<shift)
		q := min(max(math.RoundToEven(carry), -limit), limit-1)
		carry -= q
		s.coeffs[i] = int32(q)
	}
	return true
}

// predict writes what the predictor leaves; the first values are the samples
// themselves. It reports whether every value fits well into 32 bits.
func predict(dst, x, coeffs []int32, shift uint) bool {
	order := len(coeffs)
	copy(dst, x[:order])
	var c [maxLinearOrder]int64 // most recent sample first, padded with zeros
	for i, v := range coeffs {
		c[i] = int64(v)
	}
	start := min(len(x), maxLinearOrder)
	over := uint64(0)
	for i := order; i < start; i++ {
		sum := int64(0)
		for j := range order {
			sum += c[j] * int64(x[i-1-j])
		}
		over |= store(dst, i, int64(x[i])-sum>>shift)
	}
	if order <= 8 {
		return (over|predict8(dst, x, &c, start, shift))>>30 == 0
	}
	return (over|predict12(dst, x, &c, start, shift))>>30 == 0
}

func store(dst []int32, i int, r int64) uint64 {
	dst[i] = int32(r)
	return uint64(r ^ r>>63)
}

func predict8(dst, x []int32, c *[maxLinearOrder]int64, start int, shift uint) (over uint64) {
	for i := start; i < len(x); i++ {
		p := (*[8]int32)(x[i-8:])
		sum := c[0]*int64(p[7]) + c[1]*int64(p[6]) + c[2]*int64(p[5]) + c[3]*int64(p[4]) +
			c[4]*int64(p[3]) + c[5]*int64(p[2]) + c[6]*int64(p[1]) + c[7]*int64(p[0])
		r := int64(x[i]) - sum>>(shift&63)
		over |= uint64(r ^ r>>63)
		dst[i] = int32(r)
	}
	return over
}

func predict12(dst, x []int32, c *[maxLinearOrder]int64, start int, shift uint) (over uint64) {
	for i := start; i < len(x); i++ {
		p := (*[12]int32)(x[i-12:])
		sum := c[0]*int64(p[11]) + c[1]*int64(p[10]) + c[2]*int64(p[9]) + c[3]*int64(p[8]) +
			c[4]*int64(p[7]) + c[5]*int64(p[6]) + c[6]*int64(p[5]) + c[7]*int64(p[4]) +
			c[8]*int64(p[3]) + c[9]*int64(p[2]) + c[10]*int64(p[1]) + c[11]*int64(p[0])
		r := int64(x[i]) - sum>>(shift&63)
		over |= uint64(r ^ r>>63)
		dst[i] = int32(r)
	}
	return over
}
