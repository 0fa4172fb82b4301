package aac

// sectioner cuts bands into sections of one book each.
type sectioner struct {
	from [bandsMost][books]uint8
}

// cut chooses the books of the bands of one group so that spectrum and sections
// take the fewest bits; count is the size of the length field (ISO/IEC 14496-3
// table 4.52).
func (s *sectioner) cut(l [][books]int32, choice []uint8, field int) {
	var cost [books]int32
	overhead := int32(4 + field)
	for b := range l {
		least := uint8(0)
		for n := range cost {
			if cost[n] < cost[least] {
				least = uint8(n)
			}
		}
		floor := cost[least] + overhead
		var next [books]int32
		for n := range next {
			s.from[b][n] = uint8(n)
			next[n] = cost[n]
			if b == 0 || floor < cost[n] {
				s.from[b][n], next[n] = least, floor
			}
			next[n] += l[b][n]
			if n != zeroBook {
				next[n]++ // at least a scale factor's shortest code
			}
		}
		cost = next
	}
	last := uint8(0)
	for n := range cost {
		if cost[n] < cost[last] {
			last = uint8(n)
		}
	}
	for b := len(l) - 1; b >= 0; b-- {
		choice[b] = last
		last = s.from[b][last]
	}
}
