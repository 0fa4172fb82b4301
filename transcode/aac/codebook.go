package aac

//go:generate go run ./gen

// codebook is one Huffman codebook: code words and their lengths in bits, by the
// index of a tuple of values (ISO/IEC 14496-3 §4.6.3).
type codebook struct {
	dimension int  // values of a tuple
	largest   int  // largest absolute value; in book 11, 16 is the escape
	signed    bool // tuples hold signed values; otherwise sign bits follow
	lengths   []uint8
	codes     []uint32
}

// bandLayout holds the first line of every scale-factor band, and one past the
// last, of long and of short windows.
type bandLayout struct {
	long, short []int16
}

// Books by role.
const (
	zeroBook   = 0
	escapeBook = 11
	books      = 12

	escape     = 16   // the value of book 11 that an escape sequence follows
	largestQ   = 8191 // the largest quantised value (ISO/IEC 14496-3 §4.6.2)
	sfMiddle   = 60   // index of difference 0 in scaleFactorBook
	sfReach    = 60   // largest difference of neighbouring scale factors
	sfOffset   = 100  // the scale factor of step 1
	sfLargest  = 255
	bandsMost  = 120 // scale-factor bands of one channel: 8 groups of 15
	groupsMost = 8
)

// index returns the place of v, dimension values, in the book's lists.
func (b *codebook) index(v []int16) int {
	base, shift := b.largest+1, int16(0)
	if b.signed {
		base, shift = 2*b.largest+1, int16(b.largest)
	}
	n := 0
	for _, x := range v[:b.dimension] {
		if !b.signed {
			x = min(max(x, -x), int16(b.largest))
		}
		n = n*base + int(x+shift)
	}
	return n
}

// bits returns the length of v coded with b: word, signs and escapes.
func (b *codebook) bits(v []int16) int {
	n := b.bitsNoEscape(v)
	if b.largest == escape {
		for _, x := range v[:b.dimension] {
			n += escapeBits(max(x, -x))
		}
	}
	return n
}

// bitsNoEscape is bits without escape sequences.
func (b *codebook) bitsNoEscape(v []int16) int {
	n := int(b.lengths[b.index(v)])
	for _, x := range v[:b.dimension] {
		if !b.signed && x != 0 {
			n++
		}
	}
	return n
}

// escapeBits returns the length of the escape sequence of an absolute value of
// book 11, 0 below 16.
func escapeBits(v int16) int {
	n := 0
	for w := int(v) >> 4; w > 0; w >>= 1 {
		n++ // n-1 = floor(log2 v) - 4
	}
	if n == 0 {
		return 0
	}
	return 2*(n-1) + 5
}
