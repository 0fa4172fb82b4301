package encode

import "math/bits"

const (
	maxPartitionOrder = 6
	maxRice           = 30
	maxShortRice      = 14 // of the coding with 4-bit parameters
)

// ricePlan is how a residual is cut into partitions and the parameter of each.
type ricePlan struct {
	order  int
	params [1 << maxPartitionOrder]uint8
	wide   bool // parameters of 5 bits
}

// plan finds the cheapest partitions of a residual whose first values are
// warm-up samples, and returns the estimated size in bits.
func (p *ricePlan) plan(residual []int32, warmup int) int {
	n := len(residual)
	finest := 0
	for finest < maxPartitionOrder && n%(2<<finest) == 0 && n>>(finest+1) > warmup {
		finest++
	}
	var sums [1 << maxPartitionOrder]uint64
	size := n >> finest
	for i := range 1 << finest {
		from := i * size
		if i == 0 {
			from = warmup
		}
		sums[i] = sumMagnitudes(residual[from : (i+1)*size])
	}
	best := -1
	for order := finest; order >= 0; order-- {
		cost := p.consider(sums[:1<<order], order, n, warmup, best)
		if best < 0 || cost < best {
			best = cost
		}
		for i := range 1 << order / 2 {
			sums[i] = sums[2*i] + sums[2*i+1]
		}
	}
	return best + 6
}

func sumMagnitudes(x []int32) uint64 {
	sum := uint64(0)
	for _, v := range x {
		sum += uint64(magnitude(v))
	}
	return sum
}

// consider returns the cost of partitions with these sums and adopts them if
// they beat best.
func (p *ricePlan) consider(sums []uint64, order, n, warmup, best int) int {
	var params [1 << maxPartitionOrder]uint8
	cost, widest := 0, uint8(0)
	for i, sum := range sums {
		count := n >> order
		if i == 0 {
			count -= warmup
		}
		k, size := riceParameter(sum, count)
		params[i] = k
		widest = max(widest, k)
		cost += size
	}
	width := 4
	if widest > maxShortRice {
		width = 5
	}
	cost += width * len(sums)
	if best < 0 || cost < best {
		p.order, p.params, p.wide = order, params, width == 5
	}
	return cost
}

// riceParameter returns the best parameter for count values whose magnitudes
// add up to sum, and the estimated size.
func riceParameter(sum uint64, count int) (k uint8, size int) {
	guess := 0
	if mean := sum / uint64(max(count, 1)); mean > 0 {
		guess = bits.Len64(mean) - 1
	}
	size = -1
	for try := max(0, guess-1); try <= min(maxRice, guess+1); try++ {
		tail := int(sum << 1)
		if try > 0 {
			tail = int(sum >> (try - 1))
		}
		if cost := (1+try)*count + tail - count/2; size < 0 || cost < size {
			k, size = uint8(try), cost
		}
	}
	return k, max(size, count)
}

func (p *ricePlan) write(w *bitWriter, residual []int32, warmup int) {
	width, method := uint(4), uint64(0)
	if p.wide {
		width, method = 5, 1
	}
	w.write(method, 2)
	w.write(uint64(p.order), 4)
	size := len(residual) >> p.order
	for i := range 1 << p.order {
		from := i * size
		if i == 0 {
			from = warmup
		}
		k := uint(p.params[i])
		w.write(uint64(k), width)
		w.rice(residual[from:(i+1)*size], k)
	}
}
