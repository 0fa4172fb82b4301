package flac

import (
	"errors"
	"fmt"
	"io"

	"github.com/tphakala/simd/crc"
)

// Info is what STREAMINFO says and a frame may leave out.
type Info struct {
	Rate     int // Hz
	Channels int // 1..8
	Depth    int // bits, 4..24
}

// ErrFormat is of a frame in another format than STREAMINFO's.
var ErrFormat = errors.New("frame differs from the stream's format")

var (
	errBlock    = errors.New("frame has more samples than a frame may have")
	errDepth    = errors.New("frame differs from the stream's depth")
	errChecksum = errors.New("frame's CRC-16 is wrong")
)

// maxBlock is the most samples of a frame, RFC 9639 §9.1.4.
const maxBlock = 65535

// Reader decodes a stream frame by frame. It is for one goroutine.
type Reader struct {
	bits    *bitReader
	info    Info
	planes  [][]int32 // backs the samples
	samples [][]int32
	err     error
}

// NewReader returns a Reader of the frames that src, which needs no buffering,
// begins with.
func NewReader(src io.Reader, info Info) *Reader {
	return &Reader{
		bits: newBitReader(src), info: info,
		planes: make([][]int32, info.Channels), samples: make([][]int32, info.Channels),
	}
}

// Next returns the samples of the next frame by channel, valid until the next
// call. It returns io.EOF where a frame would begin, io.ErrUnexpectedEOF when the
// source ends in one, ErrFormat, what src said, or what is wrong with the frame.
// The error stays.
func (r *Reader) Next() ([][]int32, error) {
	if r.err == nil {
		r.err = r.frame()
	}
	if r.err != nil {
		return nil, r.err
	}
	return r.samples, nil
}

func (r *Reader) frame() error {
	if err := r.bits.begin(); err != nil {
		return err
	}
	h, err := r.bits.header()
	if err != nil {
		return r.first(err)
	}
	if err := r.accept(h); err != nil {
		return err
	}
	for c := range r.samples {
		if cap(r.planes[c]) < h.block {
			r.planes[c] = make([]int32, h.block)
		}
		r.samples[c] = r.planes[c][:h.block]
		if err := r.bits.subframe(r.samples[c], r.depth(h.assignment, c)); err != nil {
			return r.first(err)
		}
	}
	return r.verify(h.assignment)
}

// first prefers the end of the source to what the zeros after it look like.
func (r *Reader) first(err error) error {
	if fault := r.bits.fault(); fault != nil {
		return fault
	}
	return err
}

func (r *Reader) accept(h header) error {
	switch {
	case h.block > maxBlock:
		return errBlock
	case h.rate != 0 && h.rate != r.info.Rate, h.channels != r.info.Channels:
		return fmt.Errorf("%w: %d Hz, %d channels", ErrFormat, h.rate, h.channels)
	case h.depth != 0 && int(h.depth) != r.info.Depth:
		return fmt.Errorf("%w: %d bits instead of %d", errDepth, h.depth, r.info.Depth)
	}
	return nil
}

// depth is the stream's, and a bit more for the channel of differences.
func (r *Reader) depth(assignment uint32, channel int) uint {
	depth := uint(r.info.Depth)
	if channel == 0 && assignment == sideRight || channel == 1 && (assignment == leftSide || assignment == midSide) {
		depth++
	}
	return depth
}

// verify checks the frame's checksum and undoes the joining of its channels.
func (r *Reader) verify(assignment uint32) error {
	r.bits.align()
	sum := crc.Checksum16(r.bits.read())
	if uint16(r.bits.bits(16)) != sum {
		return r.first(errChecksum)
	}
	if assignment >= leftSide {
		separate(r.samples[0], r.samples[1], assignment)
	}
	return r.bits.fault()
}

func separate(a, b []int32, assignment uint32) {
	b = b[:len(a)]
	switch assignment {
	case leftSide:
		for i, left := range a {
			b[i] = left - b[i]
		}
	case sideRight:
		for i, right := range b {
			a[i] += right
		}
	case midSide:
		for i, mid := range a {
			side := b[i]
			mid = mid<<1 | side&1
			a[i], b[i] = (mid+side)>>1, (mid-side)>>1
		}
	}
}
