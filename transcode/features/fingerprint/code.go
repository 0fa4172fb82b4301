package fingerprint

import (
	"encoding/base64"
	"fmt"
	"math/bits"

	melodyud "github.com/melodyud/melodyud"
)

// The compressed form: a header of four bytes (algorithm, number of items), then of
// each item, XORed with the one before, the distances of its set bits in 3 bits
// each with a 0 behind the last; distances from 7 on continue in a list of 5 bits
// each. Both lists are packed from the lowest bit and end on a whole byte.
const (
	algorithm   = 1 // Chromaprint's number 2 counts from 0
	header      = 4
	normalBits  = 3
	restBits    = 5
	longest     = 1<<normalBits - 1
	maxItems    = 1<<24 - 1
	itemBits    = 32
	maxEncoding = 16 << 20 // characters that Decode looks at
)

// Encode returns the compressed form of a print as base64url, as fpcalc prints it.
// Of more than 2^24-1 items the rest is left out.
func Encode(items []uint32) string {
	items = items[:min(len(items), maxItems)]
	n := len(items)
	normal, rest := packer{width: normalBits}, packer{width: restBits}
	last := uint32(0)
	for _, item := range items {
		at := 0
		for x := item ^ last; x != 0; x &= x - 1 {
			bit := bits.TrailingZeros32(x) + 1
			normal.put(min(bit-at, longest))
			if bit-at >= longest {
				rest.put(bit - at - longest)
			}
			at = bit
		}
		normal.put(0)
		last = item
	}
	out := []byte{algorithm, byte(n >> 16), byte(n >> 8), byte(n)}
	out = append(append(out, normal.bytes...), rest.bytes...)
	return base64.RawURLEncoding.EncodeToString(out)
}

// packer writes numbers of one width.
type packer struct {
	width, used int // bits
	bytes       []byte
}

func (p *packer) put(v int) {
	for i := range p.width {
		if p.used%8 == 0 {
			p.bytes = append(p.bytes, 0)
		}
		p.bytes[p.used/8] |= byte(v >> i & 1 << (p.used % 8))
		p.used++
	}
}

// Decode returns the items of a compressed print of algorithm 2. Anything else is
// ErrInvalid.
func Decode(print string) ([]uint32, error) {
	if len(print) > maxEncoding {
		return nil, fmt.Errorf("%w: a fingerprint of %d characters", melodyud.ErrInvalid, len(print))
	}
	raw, err := base64.RawURLEncoding.DecodeString(print)
	if err != nil {
		return nil, fmt.Errorf("%w: the fingerprint is not base64url: %w", melodyud.ErrInvalid, err)
	}
	if len(raw) < header || raw[0] != algorithm {
		return nil, fmt.Errorf("%w: not a fingerprint of algorithm 2", melodyud.ErrInvalid)
	}
	count := int(raw[1])<<16 | int(raw[2])<<8 | int(raw[3])
	if count*normalBits > (len(raw)-header)*8 {
		return nil, errCut()
	}
	return unpack(raw[header:], count)
}

func errCut() error {
	return fmt.Errorf("%w: the fingerprint ends too early", melodyud.ErrInvalid)
}

func unpack(raw []byte, count int) ([]uint32, error) {
	normal := unpacker{width: normalBits, bytes: raw}
	restAt, err := normal.skip(count)
	if err != nil {
		return nil, err
	}
	rest := unpacker{width: restBits, bytes: raw[restAt:]}
	normal.used = 0
	items := make([]uint32, count)
	last := uint32(0)
	for i := range items {
		x, err := nextItem(&normal, &rest)
		if err != nil {
			return nil, err
		}
		last ^= x
		items[i] = last
	}
	return items, nil
}

func nextItem(normal, rest *unpacker) (x uint32, err error) {
	at := 0
	for {
		v, ok := normal.take()
		if !ok {
			return 0, errCut()
		}
		if v == 0 {
			return x, nil
		}
		if v == longest {
			more, ok := rest.take()
			if !ok {
				return 0, errCut()
			}
			v += more
		}
		if at += v; at > itemBits {
			return 0, fmt.Errorf("%w: the fingerprint has items of more than 32 bits", melodyud.ErrInvalid)
		}
		x |= 1 << (at - 1)
	}
}

// unpacker reads numbers of one width.
type unpacker struct {
	width, used int // bits
	bytes       []byte
}

func (u *unpacker) take() (v int, ok bool) {
	if u.used+u.width > 8*len(u.bytes) {
		return 0, false
	}
	for i := range u.width {
		v |= int(u.bytes[u.used/8]>>(u.used%8)&1) << i
		u.used++
	}
	return v, true
}

// skip passes count items and returns the byte behind them.
func (u *unpacker) skip(count int) (int, error) {
	for count > 0 {
		v, ok := u.take()
		if !ok {
			return 0, errCut()
		}
		if v == 0 {
			count--
		}
	}
	return (u.used + 7) / 8, nil
}
