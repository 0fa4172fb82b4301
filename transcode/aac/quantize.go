package aac

import "math"

// quantTables are the powers that quantisation needs, and packed code lengths.
type quantTables struct {
	gain  [256]float32    // 2^(-3/16 (sf-100)): |x|^¾ to quantised units
	step  [256]float32    // 2^((sf-100)/4)
	cube  [8192]float32   // q^(4/3)
	quads [256]uint64     // lengths of books 1 to 4 by four values below 4
	pairs [4][1024]uint64 // lengths of books by two values below 32; see lanes
}

// A length is kept in quarter bits, four books to a word.
const (
	lane    = 16
	quarter = 4
	never   = 60 // bits; a book that cannot code the values
)

// lanes are the books whose lengths a word of pairs holds, for values up to 4, 7,
// 12 and 16.
var lanes = [4][4]int{{5, 6, 7, 8}, {7, 8, 9, 10}, {9, 10, 11, 0}, {11, 0, 0, 0}}

var tables = newQuantTables()

func newQuantTables() *quantTables {
	t := &quantTables{}
	for sf := range t.gain {
		t.gain[sf] = float32(math.Exp2(-3.0 / 16 * float64(sf-sfOffset)))
		t.step[sf] = float32(math.Exp2(float64(sf-sfOffset) / 4))
	}
	for q := range t.cube {
		t.cube[q] = float32(math.Pow(float64(q), 4.0/3))
	}
	for i := range t.quads {
		v := []int16{int16(i >> 6), int16(i >> 4 & 3), int16(i >> 2 & 3), int16(i & 3)}
		t.quads[i] = pack([4]int{1, 2, 3, 4}, v)
	}
	for class := range t.pairs {
		for i := range t.pairs[class] {
			t.pairs[class][i] = pack(lanes[class], []int16{int16(i >> 5), int16(i & 31)})
		}
	}
	return t
}

func pack(of [4]int, v []int16) uint64 {
	word := uint64(0)
	for i, n := range of {
		word |= uint64(meanLength(n, v)) << (i * lane)
	}
	return word
}

// meanLength returns the length (quarter bits) of absolute values v in book n,
// without escapes, averaged over signs.
func meanLength(n int, v []int16) int {
	b := &spectralBooks[n]
	for _, x := range v {
		if n == zeroBook || int(x) > b.largest {
			return never * quarter
		}
	}
	if !b.signed {
		return b.bitsNoEscape(v) * quarter
	}
	sum, count := 0, 0
	for signs := range 1 << len(v) {
		w := make([]int16, len(v))
		for i, x := range v {
			w[i] = x
			if signs>>i&1 == 1 {
				w[i] = -x
			}
		}
		sum += int(b.lengths[b.index(w)])
		count++
	}
	return (sum*quarter + count/2) / count
}

// trial is what one scale factor does to a band.
type trial struct {
	noise float32 // energy
	bits  float32
}

// try quantises the lines from..to of s with scale factor sf.
func (s *spectrum) try(from, to int, peak float32, sf int) trial {
	t := tables
	gain, step := t.gain[sf], t.step[sf]
	sizes := s.sizes[from:to]
	switch top := int32(float32(peak*gain) + rounding); {
	case top <= 2:
		return tryQuads(sizes, gain, step)
	case top <= 4:
		return tryPairs(sizes, gain, step, &t.pairs[0])
	case top <= 7:
		return tryPairs(sizes, gain, step, &t.pairs[1])
	case top <= 12:
		return tryPairs(sizes, gain, step, &t.pairs[2])
	}
	return tryEscapes(sizes, gain, step)
}

// rounding makes quantisation round to the nearest in the sense of the power law
// (ISO/IEC 14496-3 annex B).
const rounding = 0.4054

func tryQuads(sizes []size, gain, step float32) trial {
	t := tables
	noise, bits := float32(0), uint64(0)
	for ; len(sizes) >= 4; sizes = sizes[4:] {
		a := int32(float32(sizes[0].power*gain) + rounding)
		b := int32(float32(sizes[1].power*gain) + rounding)
		c := int32(float32(sizes[2].power*gain) + rounding)
		d := int32(float32(sizes[3].power*gain) + rounding)
		ea := sizes[0].value - float32(t.cube[a&3]*step)
		eb := sizes[1].value - float32(t.cube[b&3]*step)
		ec := sizes[2].value - float32(t.cube[c&3]*step)
		ed := sizes[3].value - float32(t.cube[d&3]*step)
		noise += float32(ea*ea) + float32(eb*eb) + (float32(ec*ec) + float32(ed*ed))
		bits += t.quads[uint8(a<<6|b<<4|c<<2|d)]
	}
	return trial{noise, least(bits)}
}

func tryPairs(sizes []size, gain, step float32, table *[1024]uint64) trial {
	t := tables
	noise, bits := float32(0), uint64(0)
	for ; len(sizes) >= 2; sizes = sizes[2:] {
		a := int32(float32(sizes[0].power*gain) + rounding)
		b := int32(float32(sizes[1].power*gain) + rounding)
		ea := sizes[0].value - float32(t.cube[a&31]*step)
		eb := sizes[1].value - float32(t.cube[b&31]*step)
		noise += float32(ea*ea) + float32(eb*eb)
		bits += table[(a<<5|b)&1023]
	}
	return trial{noise, least(bits)}
}

func tryEscapes(sizes []size, gain, step float32) trial {
	t := tables
	noise, bits := float32(0), 0
	for ; len(sizes) >= 2; sizes = sizes[2:] {
		a := int32(float32(sizes[0].power*gain) + rounding)
		b := int32(float32(sizes[1].power*gain) + rounding)
		ea := sizes[0].value - float32(t.cube[a&8191]*step)
		eb := sizes[1].value - float32(t.cube[b&8191]*step)
		noise += float32(ea*ea) + float32(eb*eb)
		if a >= escape {
			bits += quarter * escapeBits(int16(a))
			a = escape
		}
		if b >= escape {
			bits += quarter * escapeBits(int16(b))
			b = escape
		}
		bits += int(t.pairs[3][(a<<5|b)&1023] & 0xffff)
	}
	return trial{noise, float32(bits) / quarter}
}

// least returns the shortest of the packed lengths, in bits.
func least(word uint64) float32 {
	a, b := min(word&0xffff, word>>16&0xffff), min(word>>32&0xffff, word>>48)
	return float32(min(a, b)) / quarter
}

// quantize writes the signed quantised lines from..to and reports whether any is
// not zero.
func (s *spectrum) quantize(dst []int16, from, to int, sf int) bool {
	gain, any := tables.gain[sf], int16(0)
	for i := from; i < to; i++ {
		q := int16(min(int32(float32(s.sizes[i].power*gain)+rounding), largestQ))
		any |= q
		if s.lines[i] < 0 {
			q = -q
		}
		dst[i] = q
	}
	return any != 0
}
