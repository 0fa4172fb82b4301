package flac

import (
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
	"slices"
)

const (
	readAhead = 128 << 10 // bytes fetched at a time
	// maxFrame is more bytes than a sane frame has: 65,535 samples of 25 bits in 8
	// channels, and half as much again.
	maxFrame = 65535 * 25 * 8 / 8 * 3 / 2
)

// bitReader reads bits, most significant first, and keeps the bytes of the frame
// being read for its checksum.
//
// acc holds at least n valid bits at its top. Below them it may hold more bits of
// the byte at `at`; refill puts the same ones there again. Past the end of the
// source it reads zeros; fault tells.
type bitReader struct {
	src  io.Reader
	buf  []byte
	from int // where the frame begins in buf
	at   int // the next byte of buf not whole in acc
	end  int // of what was read from src
	acc  uint64
	n    uint
	done error // of src
	err  error
}

func newBitReader(src io.Reader) *bitReader {
	return &bitReader{src: src, buf: make([]byte, 0, 2*readAhead)}
}

// begin starts a frame at the next byte. It returns io.EOF if there is none.
func (b *bitReader) begin() error {
	b.at -= int(b.n / 8)
	b.from, b.acc, b.n = b.at, 0, 0
	if b.err == nil && b.end-b.at < readAhead {
		b.fetch()
	}
	switch {
	case b.err != nil:
		return b.err
	case b.at < b.end:
		return nil
	}
	return b.done
}

// fetch reads until half the buffer lies ahead or the source has no more.
func (b *bitReader) fetch() {
	if b.done != nil {
		return
	}
	kept := copy(b.buf[:cap(b.buf)], b.buf[b.from:b.end])
	b.at, b.end, b.from = b.at-b.from, kept, 0
	if kept > maxFrame {
		b.done, b.err = errTooLong, errTooLong
		return
	}
	b.buf = slices.Grow(b.buf[:b.end], readAhead)
	b.buf = b.buf[:cap(b.buf)]
	for b.done == nil && b.end-b.at < readAhead {
		var n int
		n, b.done = b.src.Read(b.buf[b.end:])
		b.end += n
	}
	b.buf = b.buf[:b.end]
}

var errTooLong = errors.New("frame is longer than any can be")

// refill makes at least 56 bits available.
func (b *bitReader) refill() {
	if b.at+8 > b.end {
		b.refillLate()
		return
	}
	b.acc |= binary.BigEndian.Uint64(b.buf[b.at:]) >> (b.n & 63)
	b.at += int((63 - b.n) >> 3)
	b.n |= 56
}

// refillLate is refill near the end of the buffer.
func (b *bitReader) refillLate() {
	b.fetch()
	for ; b.n < 56; b.n += 8 {
		if b.at < b.end {
			b.acc |= uint64(b.buf[b.at]) << (56 - b.n)
		}
		b.at++
	}
	_ = b.fault()
}

// fault says what went wrong with the source, if bits have been read that it did
// not have.
func (b *bitReader) fault() error {
	if b.err == nil && 8*b.at-int(b.n) > 8*b.end {
		if b.err = b.done; b.done == io.EOF {
			b.err = io.ErrUnexpectedEOF
		}
	}
	return b.err
}

// bits returns the next n bits, 0 to 32.
func (b *bitReader) bits(n uint) uint32 {
	if b.n < n {
		b.refill()
	}
	v := b.acc >> 1 >> (63 - n)
	b.acc <<= n
	b.n -= n
	return uint32(v)
}

// signed returns the next n bits, 0 to 32, as two's complement.
func (b *bitReader) signed(n uint) int32 {
	return int32(b.bits(n)<<(32-n)) >> (32 - n)
}

// unary counts zeros and takes the one that ends them.
func (b *bitReader) unary() uint32 {
	count := uint32(0)
	for {
		b.refill()
		if zeros := uint(bits.LeadingZeros64(b.acc)); zeros < b.n {
			b.acc <<= zeros + 1
			b.n -= zeros + 1
			return count + uint32(zeros)
		}
		count += uint32(b.n)
		b.acc <<= b.n
		b.n = 0
		if b.err != nil {
			return 0
		}
	}
}

// rice fills dst with values in the Rice code of parameter k, 0 to 30.
func (b *bitReader) rice(dst []int32, k uint) {
	buf := b.buf
	acc, n, at, end := b.acc, b.n, b.at, b.end
	for i := range dst {
		if n < 32 {
			if at+8 > end {
				b.acc, b.n, b.at = acc, n, at
				b.riceLate(dst[i:], k)
				return
			}
			acc |= binary.BigEndian.Uint64(buf[at:]) >> (n & 63)
			at += int((63 - n) >> 3)
			n |= 56
		}
		zeros := uint(bits.LeadingZeros64(acc))
		if zeros+1+k > n {
			b.acc, b.n, b.at = acc, n, at
			dst[i] = b.oneRice(k)
			acc, n, at, end, buf = b.acc, b.n, b.at, b.end, b.buf
			continue
		}
		acc = acc << (zeros & 63) << 1
		u := uint32(zeros)<<(k&31) | uint32(acc>>1>>((63-k)&63))
		acc <<= k & 63
		n -= zeros + 1 + k
		dst[i] = int32(u>>1) ^ -int32(u&1)
	}
	b.acc, b.n, b.at = acc, n, at
}

// riceLate is rice near the end of the buffer: one value, after which there is
// more or nothing.
func (b *bitReader) riceLate(dst []int32, k uint) {
	for i := range dst {
		dst[i] = b.oneRice(k)
		if b.err != nil {
			return
		}
		if b.at+8 <= b.end {
			b.rice(dst[i+1:], k)
			return
		}
	}
}

func (b *bitReader) oneRice(k uint) int32 {
	u := b.unary()<<k | b.bits(k)
	return int32(u>>1) ^ -int32(u&1)
}

// align drops the rest of a byte.
func (b *bitReader) align() { b.bits(b.n % 8) }

// read returns the bytes of the frame so far. The reader must be aligned.
func (b *bitReader) read() []byte {
	return b.buf[b.from:min(b.at-int(b.n/8), b.end)]
}
