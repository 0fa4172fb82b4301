package flac

import "errors"

// The channel assignments beyond the independent ones.
const (
	leftSide  = 8
	sideRight = 9
	midSide   = 10
)

// header is a frame's header, RFC 9639 §9.1. Zero rate and depth mean that
// STREAMINFO has them.
type header struct {
	block      int
	rate       int
	assignment uint32
	channels   int
	depth      uint
}

// Codes of the header by number; 0 stands for what is reserved or said elsewhere.
var (
	blockSizes = [16]int{1: 192, 576, 1152, 2304, 4608, 8: 256, 512, 1024, 2048, 4096, 8192, 16384, 32768}
	rates      = [16]int{1: 88200, 176400, 192000, 8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000}
	depths     = [8]uint{1: 8, 12, 4: 16, 20, 24}
)

var (
	errSync     = errors.New("frame does not begin with a sync code")
	errReserved = errors.New("frame header has a reserved value")
	errNumber   = errors.New("frame number is not well coded")
	errHeader   = errors.New("frame header's CRC-8 is wrong")
)

// header reads a frame's header. At the end of the source the error may be any.
func (b *bitReader) header() (h header, err error) {
	if b.bits(15) != 0b111_1111_1111_1100 {
		return h, errSync
	}
	b.bits(1) // fixed or variable block size: nothing here depends on it
	blockCode, rateCode := b.bits(4), b.bits(4)
	h.assignment = b.bits(4)
	depthCode, reserved := b.bits(3), b.bits(1)
	if blockCode == 0 || rateCode == 15 || h.assignment > midSide || depthCode == 3 || depthCode == 7 || reserved != 0 {
		return h, errReserved
	}
	if !b.skipNumber() {
		return h, errNumber
	}
	h.depth, h.channels = depths[depthCode], 2
	if h.assignment < leftSide {
		h.channels = int(h.assignment) + 1
	}
	h.block, h.rate = b.blockSize(blockCode), b.rate(rateCode)
	sum := crc8(b.read())
	if byte(b.bits(8)) != sum {
		return h, errHeader
	}
	return h, b.fault()
}

func (b *bitReader) blockSize(code uint32) int {
	switch code {
	case 6:
		return int(b.bits(8)) + 1
	case 7:
		return int(b.bits(16)) + 1
	}
	return blockSizes[code]
}

func (b *bitReader) rate(code uint32) int {
	switch code {
	case 12:
		return int(b.bits(8)) * 1000
	case 13:
		return int(b.bits(16))
	case 14:
		return int(b.bits(16)) * 10
	}
	return rates[code]
}

// skipNumber passes over the number of the frame or of its first sample: whether
// all are there, the whole stream's checksum tells.
func (b *bitReader) skipNumber() bool {
	lead := b.bits(8)
	if lead < 0x80 {
		return true
	}
	if lead < 0xC0 || lead == 0xFF {
		return false
	}
	for bit := uint32(0x40); lead&bit != 0; bit >>= 1 {
		if b.bits(8)&0xC0 != 0x80 {
			return false
		}
	}
	return true
}

// crc8 has the polynomial 0x07.
func crc8(p []byte) byte {
	c := byte(0)
	for _, b := range p {
		c ^= b
		for range 8 {
			c = c<<1 ^ c>>7*0x07
		}
	}
	return c
}
