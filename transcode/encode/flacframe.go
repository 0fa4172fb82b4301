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
	channels  []subframe
	mid, side subframe
	midBuf    []int32
	sideBuf   []int32
	chosen    []*subframe
}

func (p *framePlan) init(channels, depth, block int) {
	p.depth = depth
	p.channels = make([]subframe, channels)
	if channels == 2 {
		p.midBuf, p.sideBuf = make([]int32, block), make([]int32, block)
	}
}

// make returns the channel assignment and the subframes of n samples. They
// stay valid until the next call.
func (p *framePlan) make(samples [][]int32, n int) (assignment uint64, chosen []*subframe) {
	p.chosen = p.chosen[:0]
	for c := range p.channels {
		p.analysis.plan(&p.channels[c], samples[c][:n], p.depth)
		p.chosen = append(p.chosen, &p.channels[c])
	}
	assignment = uint64(len(p.channels) - 1)
	if len(p.channels) == 2 {
		return p.stereo(assignment, samples, n)
	}
	return assignment, p.chosen
}

// stereo takes the cheapest of left/right, left/side, side/right, mid/side.
func (p *framePlan) stereo(assignment uint64, samples [][]int32, n int) (uint64, []*subframe) {
	l, r := samples[0][:n], samples[1][:n]
	m, s := p.midBuf[:n], p.sideBuf[:n]
	for i, v := range l {
		m[i], s[i] = (v+r[i])>>1, v-r[i]
	}
	left, right := &p.channels[0], &p.channels[1]
	p.analysis.plan(&p.side, s, p.depth+1)
	p.analysis.plan(&p.mid, m, p.depth)
	best := left.bits + right.bits
	consider := func(a uint64, x, y *subframe) {
		if x.bits+y.bits < best {
			best, assignment = x.bits+y.bits, a
			p.chosen = append(p.chosen[:0], x, y)
		}
	}
	consider(leftSide, left, &p.side)
	consider(sideRight, &p.side, right)
	consider(midSide, &p.mid, &p.side)
	return assignment, p.chosen
}

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
