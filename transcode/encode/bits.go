package encode

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// bitWriter collects bits, most significant first.
type bitWriter struct {
	buf []byte
	acc uint64 // the lowest n bits wait to be written
	n   uint
}

func (w *bitWriter) reset() { w.buf, w.acc, w.n = w.buf[:0], 0, 0 }

// write appends the lowest n bits of v, n <= 32; the others must be zero.
func (w *bitWriter) write(v uint64, n uint) {
	w.acc = w.acc<<n | v
	w.n += n
	if w.n >= 32 {
		w.n -= 32
		x := uint32(w.acc >> w.n)
		w.buf = append(w.buf, byte(x>>24), byte(x>>16), byte(x>>8), byte(x))
	}
}

// signed appends v in two's complement, n <= 32 bits.
func (w *bitWriter) signed(v int32, n uint) {
	w.write(uint64(uint32(v))&(1<<n-1), n)
}

// unary appends q zeros and a one.
func (w *bitWriter) unary(q uint32) {
	for ; q >= 31; q -= 31 {
		w.write(0, 31)
	}
	w.write(1, uint(q)+1)
}

// rice appends the Rice code of parameter k of each value.
func (w *bitWriter) rice(values []int32, k uint) {
	w.buf = slices.Grow(w.buf, 4*len(values)+4)
	buf, at := w.buf[:cap(w.buf)], len(w.buf)
	acc, n := w.acc, w.n
	for i, v := range values {
		u := uint32(v<<1) ^ uint32(v>>31)
		length := uint(u>>(k&31)) + 1 + k
		if length > 32 {
			w.buf, w.acc, w.n = buf[:at], acc, n
			w.longRice(u, k)
			w.rice(values[i+1:], k)
			return
		}
		acc = acc<<(length&63) | uint64(u)&(1<<(k&31)-1) | 1<<(k&31)
		if n += length; n >= 32 {
			n -= 32
			binary.BigEndian.PutUint32(buf[at:], uint32(acc>>(n&63)))
			at += 4
		}
	}
	w.buf, w.acc, w.n = buf[:at], acc, n
}

// longRice appends a Rice code of any length.
func (w *bitWriter) longRice(u uint32, k uint) {
	w.unary(u >> k)
	w.write(uint64(u)&(1<<k-1), k)
}

// align fills the last byte with zeros.
func (w *bitWriter) align() {
	if r := w.n % 8; r != 0 {
		w.write(0, 8-r)
	}
	for w.n >= 8 {
		w.n -= 8
		w.buf = append(w.buf, byte(w.acc>>w.n))
	}
}

// utf8 appends v in FLAC's extended UTF-8 (RFC 9639 §9.1.5), up to 36 bits.
func (w *bitWriter) utf8(v uint64) {
	if v < 0x80 {
		w.write(v, 8)
		return
	}
	tail := (bits.Len64(v) - 2) / 5 // bytes after the first
	lead := uint64(0xFF<<(7-tail)) & 0xFF
	w.write(lead|v>>(6*tail), 8)
	for i := tail - 1; i >= 0; i-- {
		w.write(0x80|v>>(6*i)&0x3F, 8)
	}
}

// crc8 is the CRC of FLAC's frame headers, polynomial 0x07.
func crc8(p []byte) byte {
	c := byte(0)
	for _, b := range p {
		c ^= b
		for range 8 {
			if c&0x80 != 0 {
				c = c<<1 ^ 0x07
			} else {
				c <<= 1
			}
		}
	}
	return c
}
