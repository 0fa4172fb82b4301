package encode

// Channel assignments of a frame header beyond the independent ones.
const (
	leftSide  = 8
	sideRight = 9
	midSide   = 10
)

// framePlan decides how the channels of a block are coded.
type framePlan struct {
	depth     int
	analysis  analysis
	subframes []subframe
	midBuf    []int32
	sideBuf   []int32
}

func (p *framePlan) init(channels, depth, block int) {
	p.depth = depth
	p.subframes = make([]subframe, channels)
	if channels == 2 {
		p.midBuf, p.sideBuf = make([]int32, block), make([]int32, block)
	}
}

// make returns the channel assignment and the subframes of n samples. They
// stay valid until the next call.
func (p *framePlan) make(samples [][]int32, n int) (assignment uint64, planned []subframe) {
	if len(samples) == 2 {
		return p.stereo(samples[0][:n], samples[1][:n])
	}
	for c := range p.subframes {
		p.analysis.plan(&p.subframes[c], samples[c][:n], p.depth)
	}
	return uint64(len(samples) - 1), p.subframes
}

// stereo takes the likely cheapest of left/right, left/side, side/right and
// mid/side, judged by what a simple predictor leaves: planning all four channels
// would double the work for a thousandth of the size.
func (p *framePlan) stereo(left, right []int32) (assignment uint64, planned []subframe) {
	mid, side := p.midBuf[:len(left)], p.sideBuf[:len(left)]
	costs := roughCosts(mid, side, left, right)
	first, second := left, right
	firstDepth, secondDepth := p.depth, p.depth
	switch assignment = cheapest(costs); assignment {
	case leftSide:
		second, secondDepth = side, p.depth+1
	case sideRight:
		first, firstDepth = side, p.depth+1
	case midSide:
		first, second, secondDepth = mid, side, p.depth+1
	}
	p.analysis.plan(&p.subframes[0], first, firstDepth)
	p.analysis.plan(&p.subframes[1], second, secondDepth)
	return assignment, p.subframes
}

// channelCosts are estimates of the bits of each way to see two channels.
type channelCosts struct{ left, right, mid, side float64 }

func cheapest(c channelCosts) (assignment uint64) {
	assignment, best := uint64(1), c.left+c.right
	for _, try := range []struct {
		assignment uint64
		cost       float64
	}{{leftSide, c.left + c.side}, {sideRight, c.side + c.right}, {midSide, c.mid + c.side}} {
		if try.cost < best {
			assignment, best = try.assignment, try.cost
		}
	}
	return assignment
}

// roughCosts fills mid and side and looks at all four's second differences.
func roughCosts(mid, side, left, right []int32) channelCosts {
	right, mid, side = right[:len(left)], mid[:len(left)], side[:len(left)]
	var l, r, m, s uint64
	var l1, l2, r1, r2 int32 // the two samples before
	for i, x := range left {
		y := right[i]
		dl, dr := x-2*l1+l2, y-2*r1+r2
		l2, l1, r2, r1 = l1, x, r1, y
		mid[i], side[i] = (x+y)>>1, x-y
		l += uint64(magnitude(dl))
		r += uint64(magnitude(dr))
		m += uint64(magnitude((dl + dr) >> 1))
		s += uint64(magnitude(dl - dr))
	}
	n := len(left)
	return channelCosts{roughBits(l, n), roughBits(r, n), roughBits(m, n), roughBits(s, n)}
}

// roughBits is the information in n values whose magnitudes add up to sum, short
// of a constant.
func roughBits(sum uint64, n int) float64 { return max(0, log2(float64(sum)/float64(n))) }

// Subframe types, RFC 9639 §9.2.1.
const (
	kindConstant = 0b000000
	kindVerbatim = 0b000001
	kindFixed    = 0b001000 // plus the order
	kindLinear   = 0b100000 // plus the order less one
)

// subframe is how one channel of a block is coded.
type subframe struct {
	kind    uint64
	depth   uint // bits of a sample, wasted ones taken off
	wasted  uint
	order   int
	bits    int // estimated size
	samples []int32
	shifted []int32 // backs samples when bits are wasted

	precision uint // of the coefficients
	shift     uint
	coeffs    []int32
	residual  []int32
	rice      ricePlan
}

func (s *subframe) write(w *bitWriter) {
	w.write(s.kind, 7)
	if s.wasted > 0 {
		w.write(1, 1)
		w.unary(uint32(s.wasted - 1))
	} else {
		w.write(0, 1)
	}
	switch {
	case s.kind == kindConstant:
		w.signed(s.samples[0], s.depth)
	case s.kind == kindVerbatim:
		s.raw(w, s.samples)
	default:
		s.raw(w, s.samples[:s.order])
		if s.kind&kindLinear != 0 {
			s.predictor(w)
		}
		s.rice.write(w, s.residual, s.order)
	}
}

func (s *subframe) raw(w *bitWriter, samples []int32) {
	for _, v := range samples {
		w.signed(v, s.depth)
	}
}

func (s *subframe) predictor(w *bitWriter) {
	w.write(uint64(s.precision-1), 4)
	w.write(uint64(s.shift), 5)
	for _, c := range s.coeffs {
		w.signed(c, s.precision)
	}
}
