package format

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/melodyud/melodyud/transcode/pcm"
)

// coding says how one sample lies in a file.
type coding struct {
	name  string // codec name, as ffmpeg has it
	bytes int
	depth int // of integers; 0 for float
	big   bool
	read  func(b []byte) float32 // of one little-endian sample
}

// The codings by name. Integers of up to 24 bits are exact in float32.
var codings = map[string]coding{
	"u8":    {name: "pcm_u8", bytes: 1, depth: 8, read: func(b []byte) float32 { return (float32(b[0]) - 128) / 128 }},
	"s8":    {name: "pcm_s8", bytes: 1, depth: 8, read: func(b []byte) float32 { return float32(int8(b[0])) / 128 }},
	"s16":   {name: "pcm_s16", bytes: 2, depth: 16, read: readS16},
	"s24":   {name: "pcm_s24", bytes: 3, depth: 24, read: readS24},
	"s24in": {name: "pcm_s32", bytes: 4, depth: 24, read: func(b []byte) float32 { return readS24(b[1:]) }},
	"s32":   {name: "pcm_s32", bytes: 4, depth: 32, read: readS32},
	"f32":   {name: "pcm_f32", bytes: 4, read: readF32},
	"f64":   {name: "pcm_f64", bytes: 8, read: readF64},
	"alaw":  {name: "pcm_alaw", bytes: 1, depth: 16, read: readALaw},
	"ulaw":  {name: "pcm_mulaw", bytes: 1, depth: 16, read: readMuLaw},
}

func readS16(b []byte) float32 { return float32(int16(binary.LittleEndian.Uint16(b))) / (1 << 15) }

func readS24(b []byte) float32 {
	return float32(int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24)>>8) / (1 << 23)
}

func readS32(b []byte) float32 {
	return float32(float64(int32(binary.LittleEndian.Uint32(b))) / (1 << 31))
}

func readF32(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }

func readF64(b []byte) float32 {
	return float32(math.Float64frombits(binary.LittleEndian.Uint64(b)))
}

// readALaw expands one A-law byte to 13 bits in 16 (ITU-T G.711, table 1).
func readALaw(b []byte) float32 {
	v := b[0] ^ 0x55
	mantissa, exponent := int(v&15), int(v>>4&7)
	mag := mantissa<<4 + 8
	if exponent > 0 {
		mag = (mag + 0x100) << (exponent - 1)
	}
	if v&0x80 == 0 {
		mag = -mag
	}
	return float32(mag) / (1 << 15)
}

// readMuLaw expands one mu-law byte to 14 bits in 16 (ITU-T G.711, table 2).
func readMuLaw(b []byte) float32 {
	v := ^b[0]
	mag := (int(v&15)<<3+0x84)<<(v>>4&7) - 0x84
	if v&0x80 != 0 {
		mag = -mag
	}
	return float32(mag) / (1 << 15)
}

// suffixed returns the codec's whole name: pcm_s16le.
func (c coding) suffixed() string {
	switch {
	case c.bytes == 1:
		return c.name
	case c.big:
		return c.name + "be"
	}
	return c.name + "le"
}

// companded reports G.711, which is lossy.
func (c coding) companded() bool { return c.bytes == 1 && c.depth == 16 }

// formatDepth is the depth of pcm.Format: 32-bit integers are not exact.
func (c coding) formatDepth() int {
	if c.depth > 24 {
		return 0
	}
	return c.depth
}

// interleaved is a run of plain samples in a file.
type interleaved struct {
	r        io.Reader
	c        coding
	channels int
	left     int64 // samples per channel
	raw      []byte
	out      *Planes
	err      error
}

func newInterleaved(r io.Reader, c coding, channels int, samples int64) *interleaved {
	return &interleaved{
		r: r, c: c, channels: channels, left: samples,
		raw: make([]byte, BlockLen*channels*c.bytes), out: NewPlanes(channels),
	}
}

func (s *interleaved) Read() (pcm.Block, error) {
	if s.err == nil && s.left == 0 {
		s.err = io.EOF
	}
	if s.err != nil {
		return pcm.Block{}, s.err
	}
	n := int(min(s.left, BlockLen))
	raw := s.raw[:n*s.channels*s.c.bytes]
	if _, err := io.ReadFull(s.r, raw); err != nil {
		s.err = err
		return pcm.Block{}, err
	}
	s.left -= int64(n)
	if s.c.big {
		swapBytes(raw, s.c.bytes)
	}
	b := s.out.First(n)
	for ch, plane := range b.Samples {
		s.spread(plane, raw[ch*s.c.bytes:])
	}
	return b, nil
}

func (s *interleaved) spread(plane []float32, raw []byte) {
	stride := s.channels * s.c.bytes
	if s.c.bytes == 2 { // by far the most common: no call per sample
		for i := range plane {
			plane[i] = float32(int16(binary.LittleEndian.Uint16(raw[i*stride:]))) / (1 << 15)
		}
		return
	}
	for i := range plane {
		plane[i] = s.c.read(raw[i*stride:])
	}
}

func swapBytes(b []byte, width int) {
	for i := 0; i+width <= len(b); i += width {
		for l, r := i, i+width-1; l < r; l, r = l+1, r-1 {
			b[l], b[r] = b[r], b[l]
		}
	}
}
