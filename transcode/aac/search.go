package aac

import "math"

// The scale factors of a channel are searched as a path through the bands: every
// band offers a few scale factors around the one that theory wants, and to be
// left out; the path with the least noise-to-mask plus λ·bits wins. A path is its
// last scale factor, which the next one is coded against.
const (
	finer, coarser = 2, 3 // scale factors tried on either side
	carried        = 2    // paths kept through a band that is left out
	paths          = finer + 1 + coarser + carried

	// leftOut is how many times worse it is to leave a band out than its noise to
	// mask says: a hole is heard where noise of its energy is not.
	leftOut = 2
)

// step is a path's last step.
type step struct {
	sf   int16
	from uint8
	zero bool
	cost float32
}

// search finds scale factors.
type search struct {
	prices [2*sfReach + 1]float32 // of differences of scale factors
	steps  [bandsMost][paths]step
	count  [bandsMost]int
}

const noScale = -1 // nothing was coded yet

// run sets the scale factor of every band of s, or noScale where it is left out.
// A bit is worth lambda of noise to mask.
func (p *search) run(s *spectrum, edges []int16, bands int, lambda float32, scales []int16) {
	for d, bits := range scaleFactorBook.lengths {
		p.prices[d] = lambda * float32(bits)
	}
	last := []step{{sf: noScale}}
	for b := range bands {
		now := p.steps[b][:0]
		now = p.offer(now, last, s, b, int(edges[b]), int(edges[b+1]), lambda)
		now = p.leave(now, last, float32(s.energy[b]*s.weight[b])*leftOut)
		p.count[b] = len(now)
		last = now
	}
	p.trace(scales[:bands])
}

// offer adds the paths that code band b.
func (p *search) offer(now, last []step, s *spectrum, b, from, to int, lambda float32) []step {
	if float32(s.energy[b]*s.weight[b])*leftOut <= lambda*cheapest(to-from) {
		return now
	}
	noise := float32(lambda*float32(to-from)) * 0.7213475 / s.weight[b]
	middle := sfOffset + int(math.Floor(float64(float32(8.0/3*log2(6.75*noise/s.form[b]))+0.5)))
	finest := sfOffset + int(math.Ceil(float64(16.0/3*log2(s.peak[b]/largestQ)))) // keeps q in range
	middle = min(max(middle, finest+finer, finer), sfLargest)
	for sf := min(middle+coarser, sfLargest); sf >= middle-finer; sf-- {
		if float32(s.peak[b]*tables.gain[sf])+rounding < 1 {
			continue
		}
		t := s.try(from, to, s.peak[b], sf)
		now = append(now, p.best(last, sf))
		now[len(now)-1].cost += float32(t.noise*s.weight[b]) + float32(lambda*t.bits)
	}
	return now
}

// cheapest returns the fewest bits that a band of n lines takes if one of them is
// not zero: a scale factor, empty tuples of book 1 and one that is not.
func cheapest(n int) float32 { return float32(1 + (n/4 - 1) + 5) }

// best returns the step to sf from the cheapest of last.
func (p *search) best(last []step, sf int) step {
	found, from := float32(math.MaxFloat32), 0
	for i := range last {
		l := &last[i]
		d := sf - int(l.sf) + sfMiddle
		if l.sf == noScale {
			d = sfMiddle // the global gain says it
		}
		if uint(d) < uint(len(p.prices)) {
			if cost := l.cost + p.prices[d]; cost < found {
				found, from = cost, i
			}
		}
	}
	return step{sf: int16(sf), cost: found, from: uint8(from)}
}

// leave adds the cheapest paths that leave a band out.
func (p *search) leave(now, last []step, noise float32) []step {
	base := len(now)
	for i := range last {
		l := &last[i]
		at := len(now)
		for at > base && l.cost < now[at-1].cost {
			at--
		}
		if at == base+carried {
			continue
		}
		if len(now) < base+carried {
			now = now[:len(now)+1]
		}
		copy(now[at+1:], now[at:len(now)-1])
		now[at] = step{sf: l.sf, from: uint8(i), zero: true, cost: l.cost}
	}
	for i := base; i < len(now); i++ {
		now[i].cost += noise
	}
	return now
}

// trace follows the cheapest path back.
func (p *search) trace(scales []int16) {
	b := len(scales) - 1
	if b < 0 {
		return
	}
	at := 0
	for i, s := range p.steps[b][:p.count[b]] {
		if s.cost < p.steps[b][at].cost {
			at = i
		}
	}
	for ; b >= 0; b-- {
		s := p.steps[b][at]
		scales[b] = s.sf
		if s.zero {
			scales[b] = noScale
		}
		at = int(s.from)
	}
}
