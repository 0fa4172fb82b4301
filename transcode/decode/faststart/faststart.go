// Package faststart lets programs read MP4 files that cannot seek: where the index
// (moov) comes after the sound (mdat), it is put in front (ISO 14496-12, 6.2.3 and
// 8.7.5).
package faststart

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

const (
	boxHead  = 8
	maxBoxes = 10_000
	maxMoov  = 64 << 20
	maxDepth = 8
)

// ErrForm means boxes that are no MP4, or an index that cannot be moved.
var ErrForm = errors.New("not an MP4 that can be streamed")

// Reader returns the file of that size with its index in front. A file that has it
// there comes as it is. Memory is bounded by the index, of at most 64 MiB.
func Reader(r io.ReaderAt, size int64) (io.Reader, error) {
	part := func(from, to int64) io.Reader { return io.NewSectionReader(r, from, to-from) }
	moov, mdat, err := find(r, size)
	if err != nil {
		return nil, err
	}
	if moov.size == 0 || mdat.size == 0 || moov.at < mdat.at {
		return part(0, size), nil
	}
	if moov.size > maxMoov {
		return nil, fmt.Errorf("%w: index of %d bytes", ErrForm, moov.size)
	}
	index := make([]byte, moov.size)
	if _, err := r.ReadAt(index, moov.at); err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	if err := shift(index[moov.head:], mdat.at, moov.at, moov.size, 0); err != nil {
		return nil, err
	}
	return io.MultiReader(part(0, mdat.at), bytes.NewReader(index), part(mdat.at, moov.at), part(moov.at+moov.size, size)), nil
}

// box is one box of a file.
type box struct{ at, head, size int64 }

// find returns the first moov and the first mdat; their size is 0 if there is none.
func find(r io.ReaderAt, size int64) (moov, mdat box, err error) {
	at := int64(0)
	for range maxBoxes {
		kind, b, err := read(r, at, size)
		if err != nil || kind == "" {
			return moov, mdat, err
		}
		if kind == "moov" && moov.size == 0 {
			moov = b
		}
		if kind == "mdat" && mdat.size == 0 {
			mdat = b
		}
		at += b.size
	}
	return moov, mdat, nil
}

func read(r io.ReaderAt, at, size int64) (kind string, b box, err error) {
	var head [16]byte
	n, err := r.ReadAt(head[:], at)
	if err != nil && err != io.EOF {
		return "", box{}, fmt.Errorf("read box: %w", err)
	}
	if n < boxHead {
		return "", box{}, nil
	}
	b = box{at: at, head: boxHead, size: int64(binary.BigEndian.Uint32(head[:]))}
	switch {
	case b.size == 0:
		b.size = size - at
	case b.size == 1 && n == len(head):
		b.head, b.size = 16, int64(min(binary.BigEndian.Uint64(head[8:]), math.MaxInt64))
	}
	if b.size < b.head || b.size > size-at {
		return "", box{}, fmt.Errorf("%w: box of %d bytes", ErrForm, b.size)
	}
	return string(head[4:8]), b, nil
}

// shift adds by to all chunk offsets in the boxes of b that lie in [from, to).
func shift(b []byte, from, to, by int64, depth int) error {
	for len(b) >= boxHead && depth < maxDepth {
		n := int64(binary.BigEndian.Uint32(b))
		if n < boxHead || n > int64(len(b)) {
			return nil // padding, or what the decoder may judge
		}
		body := b[boxHead:n]
		var err error
		switch string(b[4:8]) {
		case "trak", "mdia", "minf", "stbl":
			err = shift(body, from, to, by, depth+1)
		case "stco":
			err = shift32(body, from, to, by)
		case "co64":
			shift64(body, from, to, by)
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// entries is the table of a box with version, flags and a count in front.
func entries(b []byte, width int) []byte {
	if len(b) < 8 {
		return nil
	}
	n := min(int64(binary.BigEndian.Uint32(b[4:]))*int64(width), int64(len(b)-8))
	return b[8 : 8+n/int64(width)*int64(width)]
}

func shift32(b []byte, from, to, by int64) error {
	for e := entries(b, 4); len(e) > 0; e = e[4:] {
		v := int64(binary.BigEndian.Uint32(e))
		if v < from || v >= to {
			continue
		}
		if v+by > math.MaxUint32 {
			return fmt.Errorf("%w: chunk offset beyond 4 GiB", ErrForm)
		}
		binary.BigEndian.PutUint32(e, uint32(v+by))
	}
	return nil
}

func shift64(b []byte, from, to, by int64) {
	for e := entries(b, 8); len(e) > 0; e = e[8:] {
		if v := binary.BigEndian.Uint64(e); v >= uint64(from) && v < uint64(to) {
			binary.BigEndian.PutUint64(e, v+uint64(by))
		}
	}
}
