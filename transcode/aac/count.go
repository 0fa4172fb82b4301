package aac

// Lengths of quantised lines in every book at once: four books to a word, by the
// values' low bits in two's complement.
type countTables struct {
	quads [256]uint64     // books 1 to 4, by four values of two bits
	low   [256]uint64     // books 5 to 8, by two values of four bits
	high  [1024]uint64    // books 9 to 11, by two values of five bits
	top   [17 * 17]uint16 // book 11, by two absolute values up to 16, without escapes
}

var counts = newCountTables()

func newCountTables() *countTables {
	t := &countTables{}
	for i := range t.quads {
		t.quads[i] = packExact([]int{1, 2, 3, 4}, []int16{signed(i>>6, 2), signed(i>>4, 2), signed(i>>2, 2), signed(i, 2)})
	}
	for i := range t.low {
		t.low[i] = packExact([]int{5, 6, 7, 8}, []int16{signed(i>>4, 4), signed(i, 4)})
	}
	for i := range t.high {
		t.high[i] = packExact([]int{9, 10, 11}, []int16{signed(i>>5, 5), signed(i, 5)})
	}
	for i := range t.top {
		t.top[i] = uint16(spectralBooks[escapeBook].bits([]int16{int16(i / 17), int16(i % 17)}))
		t.top[i] -= uint16(escapeBits(int16(i/17)) + escapeBits(int16(i%17)))
	}
	return t
}

// signed returns the low bits of v as two's complement.
func signed(v int, bits uint) int16 {
	v &= 1<<bits - 1
	if v >= 1<<(bits-1) {
		v -= 1 << bits
	}
	return int16(v)
}

func packExact(of []int, v []int16) uint64 {
	word := uint64(0)
	for i, n := range of {
		bits := uint64(never)
		if fits(&spectralBooks[n], v) {
			bits = uint64(spectralBooks[n].bits(v))
		}
		word |= bits << (i * lane)
	}
	return word
}

func fits(b *codebook, v []int16) bool {
	for _, x := range v {
		if int(max(x, -x)) > b.largest {
			return false
		}
	}
	return true
}

// lengths holds how many bits each book needs for each band.
type lengths [bandsMost][books]int32

const impossible = 1 << 20

// unknown are the lengths of a band that no book was tried on.
var unknown = [books]int32{0: impossible, 1: impossible, 2: impossible, 3: impossible, 4: impossible, 5: impossible,
	6: impossible, 7: impossible, 8: impossible, 9: impossible, 10: impossible, 11: impossible}

// measure sets the lengths of a band whose quantised lines are q.
func (l *lengths) measure(b int, q []int16) {
	top := largest(q)
	to := &l[b]
	*to = unknown
	if top == 0 {
		to[zeroBook] = 0
	}
	if top <= 2 {
		word := quadBits(q)
		if top <= 1 {
			to[1], to[2] = int32(word&0xffff), int32(word>>16&0xffff)
		}
		to[3], to[4] = int32(word>>32&0xffff), int32(word>>48)
	}
	if top <= 7 {
		word := pairBits(q)
		if top <= 4 {
			to[5], to[6] = int32(word&0xffff), int32(word>>16&0xffff)
		}
		to[7], to[8] = int32(word>>32&0xffff), int32(word>>48)
	}
	if top <= 12 {
		word := highBits(q)
		to[9], to[10], to[11] = int32(word&0xffff), int32(word>>16&0xffff), int32(word>>32)
		return
	}
	to[11] = topBits(q)
}

func largest(q []int16) int16 {
	top := int16(0)
	for _, v := range q {
		top = max(top, v, -v)
	}
	return top
}

func quadBits(q []int16) uint64 {
	sum := uint64(0)
	for ; len(q) >= 4; q = q[4:] {
		sum += counts.quads[uint8(q[0]&3<<6|q[1]&3<<4|q[2]&3<<2|q[3]&3)]
	}
	return sum
}

func pairBits(q []int16) uint64 {
	sum := uint64(0)
	for ; len(q) >= 2; q = q[2:] {
		sum += counts.low[uint8(q[0]<<4|q[1]&15)]
	}
	return sum
}

func highBits(q []int16) uint64 {
	sum := uint64(0)
	for ; len(q) >= 2; q = q[2:] {
		sum += counts.high[uint16(q[0]<<5|q[1]&31)&1023]
	}
	return sum
}

func topBits(q []int16) int32 {
	sum := 0
	for ; len(q) >= 2; q = q[2:] {
		a, b := max(q[0], -q[0]), max(q[1], -q[1])
		if a >= escape {
			sum += escapeBits(a)
			a = escape
		}
		if b >= escape {
			sum += escapeBits(b)
			b = escape
		}
		sum += int(counts.top[a*17+b])
	}
	return int32(sum)
}
