package aac

import "math"

// sectioner cuts bands into sections of one book each.
type sectioner struct {
	least   [bandsMost]uint8  // the cheapest book of the band before
	changed [bandsMost]uint16 // books, as bits, that are best begun here
}

// cut chooses the books of the bands of one group so that spectrum and sections
// take the fewest bits; field is the size of the length field (ISO/IEC 14496-3
// table 4.52).
func (s *sectioner) cut(l [][books]int32, choice []uint8, field int) {
	var cost [books]int32
	floor, least := int32(0), 0
	for b := range l {
		band, changed, best := &l[b], uint16(0), int32(math.MaxInt32)
		start := floor + int32(4+field)
		for n := range cost {
			c := cost[n]
			if b == 0 || start < c {
				c = start
				changed |= 1 << n
			}
			c += band[n] + scaleLeast[n]
			cost[n] = c
			best = min(best, c<<4|int32(n))
		}
		s.least[b], s.changed[b] = uint8(least), changed
		floor, least = best>>4, int(best&15)
	}
	for b := len(l) - 1; b >= 0; b-- {
		choice[b] = uint8(least)
		if s.changed[b]>>least&1 == 1 {
			least = int(s.least[b])
		}
	}
}

// scaleLeast is the shortest code of the scale factor that a coded band has.
var scaleLeast = [books]int32{0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}
