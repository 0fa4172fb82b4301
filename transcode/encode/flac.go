package encode

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"

	"github.com/tphakala/simd/crc"

	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// FLAC codes lossless frames (RFC 9639) of a fixed block size, numbered from 0
// without a gap (FLAC-1, FLAC-2). Samples that are no integers of the stream's
// depth are rounded to the nearest, without dither: what a 16-bit decoder gave
// stays exactly as it was.
type FLAC struct {
	sink   media.Sink
	stream media.Stream

	pending [][]int32 // the block being filled
	filled  int
	frame   uint64
	total   int64
	sum     *pcm.Digest
	least   int // bytes of the smallest and largest frame
	most    int

	w    bitWriter
	plan framePlan
}

// NewFLAC returns an Encoder of s, which needs SampleRate, Channels (1 to 8),
// BitDepth (8, 12, 16, 20 or 24) and FrameSize (16 to 65535), to sink.
func NewFLAC(s media.Stream, sink media.Sink) (*FLAC, error) {
	if s.Channels < 1 || s.Channels > 8 || depthCodes[s.BitDepth] == 0 ||
		s.FrameSize < 16 || s.FrameSize > math.MaxUint16 || s.SampleRate < 1 || s.SampleRate >= 1<<20 {
		return nil, fmt.Errorf("flac of %d channels, %d bits, %d Hz in blocks of %d: outside the format",
			s.Channels, s.BitDepth, s.SampleRate, s.FrameSize)
	}
	f := &FLAC{sink: sink, stream: s, sum: pcm.NewDigest(s.BitDepth), least: math.MaxInt}
	for range s.Channels {
		f.pending = append(f.pending, make([]int32, s.FrameSize))
	}
	f.plan.init(s.Channels, s.BitDepth, s.FrameSize)
	return f, nil
}

// Encode implements Encoder.
func (f *FLAC) Encode(b pcm.Block) error {
	for from, n := 0, b.Len(); from < n; {
		take := min(n-from, f.stream.FrameSize-f.filled)
		for c := range f.pending {
			integers(f.pending[c][f.filled:f.filled+take], b.Samples[c][from:], f.stream.BitDepth)
		}
		from += take
		if f.filled += take; f.filled == f.stream.FrameSize {
			if err := f.writeFrame(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close implements Encoder.
func (f *FLAC) Close() (media.Ending, error) {
	if f.filled > 0 {
		if err := f.writeFrame(); err != nil {
			return media.Ending{}, err
		}
	}
	digest := f.sum.Sum()
	return media.Ending{
		Samples: f.total,
		Config:  f.streamInfo(digest[:]),
		PCMMD5:  hex.EncodeToString(digest[:]),
	}, nil
}

// Abort implements Encoder.
func (f *FLAC) Abort() {}

// integers rounds samples to integers of a depth; what lies outside is clipped.
func integers(dst []int32, src []float32, depth int) {
	scale := float64(int(1) << (depth - 1))
	src = src[:len(dst)]
	for i, v := range src {
		x := math.Floor(float64(v)*scale + 0.5)
		dst[i] = int32(min(max(x, -scale), scale-1))
	}
}

func (f *FLAC) writeFrame() error {
	n := f.filled
	f.sum.Write(f.pending, n)
	f.w.reset()
	assignment, subframes := f.plan.make(f.pending, n)
	f.header(assignment, n)
	for i := range subframes {
		subframes[i].write(&f.w)
	}
	f.w.align()
	f.w.buf = binary.BigEndian.AppendUint16(f.w.buf, crc.Checksum16(f.w.buf))
	f.least, f.most = min(f.least, len(f.w.buf)), max(f.most, len(f.w.buf))
	f.frame++
	f.total += int64(n)
	f.filled = 0
	return f.sink.WritePacket(media.Packet{Data: f.w.buf, Samples: n})
}

// header writes the frame header, RFC 9639 §9.1.
func (f *FLAC) header(assignment uint64, n int) {
	size, sizeBits := blockSizeCode(n)
	rate, rateValue, rateBits := rateCode(f.stream.SampleRate)
	f.w.write(0b1111_1111_1111_1000, 16) // sync code, fixed block size
	f.w.write(size, 4)
	f.w.write(rate, 4)
	f.w.write(assignment, 4)
	f.w.write(depthCodes[f.stream.BitDepth], 3)
	f.w.write(0, 1)
	f.w.utf8(f.frame)
	if sizeBits > 0 {
		f.w.write(uint64(n-1), sizeBits)
	}
	if rateBits > 0 {
		f.w.write(rateValue, rateBits)
	}
	f.w.align()
	f.w.write(uint64(crc8(f.w.buf)), 8)
}

func blockSizeCode(n int) (code uint64, extra uint) {
	switch {
	case n == 192:
		return 1, 0
	case n == 576, n == 1152, n == 2304, n == 4608:
		return map[int]uint64{576: 2, 1152: 3, 2304: 4, 4608: 5}[n], 0
	case n >= 256 && n <= 32768 && n&(n-1) == 0:
		code = 8
		for size := 256; size < n; size *= 2 {
			code++
		}
		return code, 0
	case n <= 256:
		return 6, 8
	}
	return 7, 16
}

var rateCodes = map[int]uint64{
	88200: 1, 176400: 2, 192000: 3, 8000: 4, 16000: 5, 22050: 6,
	24000: 7, 32000: 8, 44100: 9, 48000: 10, 96000: 11,
}

func rateCode(rate int) (code, value uint64, extra uint) {
	if code, ok := rateCodes[rate]; ok {
		return code, 0, 0
	}
	switch {
	case rate%1000 == 0 && rate/1000 <= math.MaxUint8:
		return 12, uint64(rate / 1000), 8
	case rate <= math.MaxUint16:
		return 13, uint64(rate), 16
	case rate%10 == 0 && rate/10 <= math.MaxUint16:
		return 14, uint64(rate / 10), 16
	}
	return 0, 0, 0 // as STREAMINFO says
}

// depthCodes are those that every decoder knows without STREAMINFO.
var depthCodes = map[int]uint64{8: 1, 12: 2, 16: 4, 20: 5, 24: 6}

// streamInfo is the metadata block, RFC 9639 §8.2.
func (f *FLAC) streamInfo(digest []byte) []byte {
	var w bitWriter
	w.write(uint64(f.stream.FrameSize), 16)
	w.write(uint64(f.stream.FrameSize), 16)
	least := f.least
	if f.frame == 0 {
		least = 0
	}
	w.write(uint64(least), 24)
	w.write(uint64(f.most), 24)
	w.write(uint64(f.stream.SampleRate), 20)
	w.write(uint64(f.stream.Channels-1), 3)
	w.write(uint64(f.stream.BitDepth-1), 5)
	w.write(uint64(f.total)>>32&0xF, 4)
	w.write(uint64(f.total)&math.MaxUint32, 32)
	w.align()
	return append(w.buf, digest...)
}
