package pcm

import (
	"crypto/md5" //nolint:gosec // FLAC's own checksum, not for security
	"encoding/binary"
	"hash"
)

// Digest is the MD5 of a sound as FLAC states it: samples interleaved, little-endian,
// in as few whole bytes as hold them (RFC 9639 §8.2).
type Digest struct {
	sum   hash.Hash
	width int // bytes of a sample
	raw   []byte
}

// NewDigest returns the Digest of no samples yet, of depth bits.
func NewDigest(depth int) *Digest {
	return &Digest{sum: md5.New(), width: (depth + 7) / 8} //nolint:gosec // see above
}

// Write adds the first n samples of each channel.
func (d *Digest) Write(samples [][]int32, n int) {
	stride := d.width * len(samples)
	if cap(d.raw) < n*stride {
		d.raw = make([]byte, n*stride)
	}
	raw := d.raw[:n*stride]
	if d.width == 2 && len(samples) == 2 {
		interleave(raw, samples[0][:n], samples[1])
	} else {
		for c, ints := range samples {
			scatter(raw[c*d.width:], ints[:n], d.width, stride)
		}
	}
	_, _ = d.sum.Write(raw) // a hash never fails
}

// Sum returns the MD5 of what was written.
func (d *Digest) Sum() [md5.Size]byte { return [md5.Size]byte(d.sum.Sum(nil)) }

// interleave is scatter for what nearly all music is: two channels of 16 bits.
func interleave(raw []byte, left, right []int32) {
	right = right[:len(left)]
	for i, v := range left {
		binary.LittleEndian.PutUint32(raw[4*i:], uint32(uint16(v))|uint32(right[i])<<16)
	}
}

// scatter writes the low bytes of each value, stride bytes apart.
func scatter(raw []byte, samples []int32, width, stride int) {
	at := 0
	for _, v := range samples {
		for k := range width {
			raw[at+k] = byte(v >> (8 * k))
		}
		at += stride
	}
}
