package fmp4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

const (
	boxHeader   = 8
	maxBoxDepth = 12
)

// box is one box in memory: its type and what follows the header.
type box struct {
	kind string
	body []byte
	size int // header included
}

// nextBox cuts the first box off b. Sizes 0 (to the end) and 1 (64 bits) are
// refused: our writer never uses them.
func nextBox(b []byte) (first box, rest []byte, err error) {
	if len(b) < boxHeader {
		return box{}, nil, fmt.Errorf("%d bytes are too few for a box", len(b))
	}
	size, kind := int64(binary.BigEndian.Uint32(b)), string(b[4:8])
	if size < boxHeader || size > int64(len(b)) {
		return box{}, nil, fmt.Errorf("box %q claims %d bytes of %d", kind, size, len(b))
	}
	return box{kind, b[boxHeader:size], int(size)}, b[size:], nil
}

// children cuts b into boxes, which must be exactly the kinds listed, in order.
// A kind followed by "?" may be absent.
func children(b []byte, kinds ...string) (map[string]box, error) {
	found := map[string]box{}
	for _, want := range kinds {
		want, optional := strings.CutSuffix(want, "?")
		if len(b) == 0 && optional {
			continue
		}
		first, rest, err := nextBox(b)
		if err != nil {
			return nil, fmt.Errorf("in place of %q: %w", want, err)
		}
		if first.kind != want {
			if optional {
				continue
			}
			return nil, fmt.Errorf("box %q stands in place of %q", first.kind, want)
		}
		found[want], b = first, rest
	}
	if len(b) != 0 {
		return nil, fmt.Errorf("%d bytes follow the last box", len(b))
	}
	return found, nil
}

// fields reads big-endian numbers. After a read beyond the end all reads give 0
// and err is set.
type fields struct {
	b   []byte
	err error
}

var errShort = errors.New("the box is too short")

func (f *fields) take(n int) []byte {
	if f.err != nil || len(f.b) < n {
		f.err = errShort
		return make([]byte, min(n, 8))
	}
	out := f.b[:n]
	f.b = f.b[n:]
	return out
}

func (f *fields) skip(n int) {
	if f.err != nil || len(f.b) < n {
		f.err = errShort
		return
	}
	f.b = f.b[n:]
}

func (f *fields) u8() int64  { return int64(f.take(1)[0]) }
func (f *fields) u16() int64 { return int64(binary.BigEndian.Uint16(f.take(2))) }
func (f *fields) u32() int64 { return int64(binary.BigEndian.Uint32(f.take(4))) }

// u64 gives an error for numbers beyond the positive range of int64.
func (f *fields) u64() int64 {
	n := binary.BigEndian.Uint64(f.take(8))
	if n > 1<<62 {
		f.err = fmt.Errorf("the number %d is beyond reason", n)
		return 0
	}
	return int64(n)
}

func (f *fields) text(n int) string {
	b := f.take(n)
	if f.err != nil {
		return ""
	}
	return string(b)
}

// full reads version and flags of a full box.
func (f *fields) full() (version, flags int64) {
	v := f.u32()
	return v >> 24, v & 0xFFFFFF
}

// plain demands version 0 and flags 0.
func (f *fields) plain() {
	version, flags := f.full()
	f.expect("version", version, 0)
	f.expect("flags", flags, 0)
}

// zeros skips reserved bytes, which must be 0.
func (f *fields) zeros(n int) {
	for range n {
		f.expect("reserved byte", f.u8(), 0)
	}
}

// done demands that nothing is left.
func (f *fields) done() error {
	if f.err == nil && len(f.b) != 0 {
		return fmt.Errorf("%d bytes too many", len(f.b))
	}
	return f.err
}

// expect notes an error unless got is want.
func (f *fields) expect(what string, got, want int64) {
	if f.err == nil && got != want {
		f.err = fmt.Errorf("%s is %d instead of %d", what, got, want)
	}
}
