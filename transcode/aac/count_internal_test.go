package aac

import (
	"math/rand/v2"
	"testing"
)

// values returns n random quantised values, none beyond top.
func values(r *rand.Rand, n, top int) []int16 {
	q := make([]int16, n)
	for i := range q {
		q[i] = int16(r.IntN(2*top+1) - top)
	}
	return q
}

func TestBitsCountedAreBitsWritten(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for _, top := range []int{0, 1, 2, 3, 4, 5, 7, 8, 12, 13, 16, 31, 32, 100, 4095, 8191} {
		for range 50 {
			q := values(r, 4*(1+r.IntN(24)), top)
			var l lengths
			l.measure(0, q)
			for n := 1; n < books; n++ {
				if l[0][n] == impossible {
					if b := &spectralBooks[n]; int(largest(q)) <= b.largest && largest(q) <= 7 {
						t.Fatalf("book %d is not offered for values up to %d", n, largest(q))
					}
					continue
				}
				var w bitWriter
				w.values(&spectralBooks[n], q)
				if w.bits() != int(l[0][n]) {
					t.Fatalf("book %d, values %v: counted %d bits, wrote %d", n, q, l[0][n], w.bits())
				}
			}
		}
	}
}

func TestCodeWordsAreThoseOfTheirBook(t *testing.T) { // ISO/IEC 14496-3 §4.6.3
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for n := 1; n < books; n++ {
		b := &spectralBooks[n]
		for range 200 {
			q := values(r, b.dimension, min(b.largest, 15))
			var w bitWriter
			w.values(b, q)
			w.align()
			i := b.index(q)
			if got := word(w.out, uint(b.lengths[i])); got != b.codes[i] {
				t.Fatalf("book %d, %v: word %b, want %b", n, q, got, b.codes[i])
			}
		}
	}
}

// bits returns how many have been written.
func (w *bitWriter) bits() int { return 8*len(w.out) + int(w.held) }

// word returns the first bits of b.
func word(b []byte, bits uint) uint32 {
	v := uint64(0)
	for i := range 4 {
		v <<= 8
		if i < len(b) {
			v |= uint64(b[i])
		}
	}
	return uint32(v >> (32 - bits))
}

func TestEscapesHoldTheirValue(t *testing.T) { // ISO/IEC 14496-3 §4.6.3.3
	t.Parallel()
	for v := escape; v <= largestQ; v++ {
		var w bitWriter
		w.escape(v)
		if w.bits() != escapeBits(int16(v)) {
			t.Fatalf("%d: %d bits, counted %d", v, w.bits(), escapeBits(int16(v)))
		}
		w.align()
		ones, at := 0, uint(0)
		for word(w.out, at+1)&1 == 1 {
			ones, at = ones+1, at+1
		}
		n := uint(ones + 4)
		got := 1<<n | int(word(w.out, at+1+n)&(1<<n-1))
		if got != v {
			t.Fatalf("the escape of %d says %d", v, got)
		}
	}
}

func TestSectionsTakeTheFewestBits(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	for range 30 {
		const bands = 5
		var l lengths
		for b := range bands {
			l.measure(b, values(r, 4+4*r.IntN(4), []int{0, 1, 2, 4, 9, 20}[r.IntN(6)]))
		}
		var s sectioner
		got := make([]uint8, bands)
		s.cut(l[:bands], got, 5)
		best, try := int32(impossible), make([]uint8, bands)
		for every(try) {
			best = min(best, price(l[:bands], try))
		}
		if p := price(l[:bands], got); p != best {
			t.Fatalf("books %v cost %d bits, %d would do", got, p, best)
		}
	}
}

// every steps through all choices of books; it reports false at the end.
func every(books []uint8) bool {
	for i := range books {
		if books[i]++; books[i] <= escapeBook {
			return true
		}
		books[i] = 0
	}
	return false
}

func price(l [][books]int32, choice []uint8) int32 {
	sum := int32(0)
	for b, n := range choice {
		sum += l[b][n]
		if n != zeroBook {
			sum++
		}
		if b == 0 || choice[b-1] != n {
			sum += 9
		}
	}
	return min(sum, impossible)
}
