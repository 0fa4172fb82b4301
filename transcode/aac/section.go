package aac

// lengths holds how many bits each book needs for each band.
type lengths [bandsMost][books]int32

const impossible = 1 << 24

// measure sets the lengths of band b, whose quantised lines are q.
func (l *lengths) measure(b int, q []int16) {
	top := int16(0)
	for _, v := range q {
		top = max(top, v, -v)
	}
	for n := range books {
		l[b][n] = impossible
		if n == zeroBook && top == 0 {
			l[b][n] = 0
		}
		if n > zeroBook && (int(top) <= spectralBooks[n].largest || n == escapeBook) {
			l[b][n] = int32(spectralBooks[n].sum(q))
		}
	}
}

// sum returns the length of all of q in b.
func (b *codebook) sum(q []int16) int {
	n := 0
	for i := 0; i < len(q); i += b.dimension {
		n += b.bits(q[i:])
	}
	return n
}

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
