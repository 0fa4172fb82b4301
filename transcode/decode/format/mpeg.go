package format

import (
	"encoding/binary"
	"io"

	"github.com/melodyud/melodyud/transcode/decode/label"
)

// mpegHeader is the header of an MPEG audio frame (ISO 11172-3, 2.4.1.3).
type mpegHeader struct {
	lsf      bool // MPEG-2 or 2.5
	v25      bool
	layer    int
	crc      bool
	rate     int // Hz
	bitrate  int // bits per second; 0 free format
	padding  bool
	mode     byte // 0 stereo, 1 joint, 2 dual, 3 mono
	modeExt  byte
	channels int
}

const (
	modeJoint = 1
	modeMono  = 3
)

// bitrates in kbit/s by [MPEG-1, MPEG-2][layer I, II, III][index].
var bitrates = [2][3][15]int{
	{
		{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
		{0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
		{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
	},
	{
		{0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
	},
}

const mpegHead = 4

func parseMPEG(b []byte) (h mpegHeader, ok bool) {
	if len(b) < mpegHead {
		return h, false
	}
	v := binary.BigEndian.Uint32(b)
	version, layer, index, rate := v>>19&3, v>>17&3, v>>12&15, v>>10&3
	if v>>21 != 0x7FF || version == 1 || layer == 0 || index == 15 || rate == 3 || v&3 == 2 {
		return h, false
	}
	h = mpegHeader{
		lsf: version != 3, v25: version == 0, layer: int(4 - layer), crc: v>>16&1 == 0,
		rate: [3]int{44100, 48000, 32000}[rate], padding: v>>9&1 == 1,
		mode: byte(v >> 6 & 3), modeExt: byte(v >> 4 & 3), channels: 2,
	}
	if h.mode == modeMono {
		h.channels = 1
	}
	table := 0
	if h.lsf {
		h.rate /= 2
		table = 1
	}
	if h.v25 {
		h.rate /= 2
	}
	h.bitrate = 1000 * bitrates[table][h.layer-1][index]
	return h, true
}

// samples is the number per channel in one frame.
func (h mpegHeader) samples() int {
	switch {
	case h.layer == 1:
		return 384
	case h.layer == 3 && h.lsf:
		return 576
	}
	return 1152
}

// size is the length of the frame in bytes.
func (h mpegHeader) size() int64 {
	slot := int64(1)
	if h.layer == 1 {
		slot = 4
	}
	n := int64(h.samples()/8) * int64(h.bitrate) / int64(h.rate) / slot * slot
	if h.padding {
		n += slot
	}
	return n
}

// sideInfo is the length of Layer III's side information.
func (h mpegHeader) sideInfo() int {
	switch {
	case h.lsf && h.mode == modeMono:
		return 9
	case h.lsf || h.mode == modeMono:
		return 17
	}
	return 32
}

// like reports that both can be frames of one stream.
func (h mpegHeader) like(o mpegHeader) bool {
	return h.lsf == o.lsf && h.v25 == o.v25 && h.layer == o.layer && h.rate == o.rate && h.channels == o.channels
}

// window reads small pieces of the master front to back without a system call
// for each.
type window struct {
	in  *Input
	buf []byte
	at  int64
}

const windowLen = 64 << 10

func (w *window) bytes(at int64, n int) ([]byte, error) {
	if at < w.at || at+int64(n) > w.at+int64(len(w.buf)) {
		b, err := w.in.Peek(at, max(windowLen, n))
		if err != nil {
			return nil, err
		}
		w.at, w.buf = at, b
	}
	b := w.buf[min(at-w.at, int64(len(w.buf))):]
	return b[:min(n, len(b))], nil
}

// mpegWalk goes from frame to frame of one stream.
type mpegWalk struct {
	w     window
	at    int64
	end   int64 // of the sound; tags follow
	first mpegHeader
	junk  int64 // bytes skipped between frames
	cut   bool  // the last frame is incomplete
}

const (
	// chainLen is how many headers have to follow each other to make a stream.
	chainLen = 4
	// maxJunk is how far a stream is looked for behind what is none.
	maxJunk = 128 << 10
)

// header returns the frame header at at, if one is there.
func (m *mpegWalk) header(at int64) (mpegHeader, bool, error) {
	b, err := m.w.bytes(at, mpegHead)
	if err != nil {
		return mpegHeader{}, false, err
	}
	h, ok := parseMPEG(b)
	return h, ok && h.bitrate > 0, nil
}

// chained reports that h at at is followed by frames like it, n in all, or by
// the end of the sound after at least one.
func (m *mpegWalk) chained(at int64, h mpegHeader, n int) (bool, error) {
	for i := range n {
		next, ok, err := m.header(at)
		if err != nil {
			return false, err
		}
		if !ok || !next.like(h) {
			return false, nil
		}
		at += next.size()
		if at == m.end || at > m.end && i > 0 {
			return true, nil
		}
		if at > m.end {
			return false, nil
		}
	}
	return true, nil
}

// find moves to the first frame of a stream within limit bytes.
func (m *mpegWalk) find(limit int64) (bool, error) {
	for at, stop := m.at, min(m.at+limit, m.end); at < stop; at++ {
		h, ok, err := m.header(at)
		if err != nil {
			return false, err
		}
		if !ok {
			continue
		}
		if ok, err = m.chained(at, h, chainLen); err != nil {
			return false, err
		}
		if ok {
			m.at, m.first = at, h
			return true, nil
		}
	}
	return false, nil
}

// next returns the next whole frame; io.EOF after the last.
func (m *mpegWalk) next() (at int64, h mpegHeader, err error) {
	for m.at < m.end {
		h, ok, err := m.header(m.at)
		if err != nil {
			return 0, h, err
		}
		if ok && h.like(m.first) {
			return m.take(h)
		}
		if ok {
			if ok, err = m.chained(m.at, h, chainLen); err != nil {
				return 0, h, err
			}
			if ok {
				return 0, h, Reject("audio.changes-format", "%d Hz, %d channels at byte %d", h.rate, h.channels, m.at)
			}
		}
		if err := m.resync(); err != nil {
			return 0, h, err
		}
	}
	return 0, h, io.EOF
}

func (m *mpegWalk) take(h mpegHeader) (int64, mpegHeader, error) {
	at, size := m.at, h.size()
	if at+size > m.end {
		m.at, m.cut = m.end, true
		return 0, h, io.EOF
	}
	m.at += size
	return at, h, nil
}

// resync moves on to the next frame that others follow, or to the end. A stream of
// another kind behind other bytes is one that was glued on.
func (m *mpegWalk) resync() error {
	for at := m.at + 1; at < m.end; at++ {
		h, ok, err := m.header(at)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		alike, chain := h.like(m.first), chainLen
		if alike {
			chain = 2
		}
		if ok, err = m.chained(at, h, chain); err != nil {
			return err
		}
		if ok && !alike {
			return Reject("audio.changes-format", "%d Hz, %d channels at byte %d", h.rate, h.channels, at)
		}
		if ok {
			m.junk += at - m.at
			m.at = at
			return nil
		}
	}
	m.at = m.end
	return nil
}

// mpegEnd is where the sound ends before APE, ID3v1 and appended ID3v2 tags.
func mpegEnd(in *Input, start int64) int64 {
	end := in.Size
	for range label.MaxTags {
		n := trailingTag(in, end)
		if n == 0 || end-n < start {
			break
		}
		end -= n
	}
	return end
}

// trailingTag is the length of the tag that ends at end; 0 when there is none.
func trailingTag(in *Input, end int64) int64 {
	if b, err := in.Peek(end-128, 3); err == nil && string(b) == "TAG" {
		return 128
	}
	b, err := in.Peek(end-32, 32)
	if err != nil || len(b) < 32 {
		return 0
	}
	if n, ok := label.ID3Footer(b[22:]); ok && n <= end {
		return n
	}
	if string(b[:8]) == "APETAGEX" { // APEv2: the size has no header in it
		n := int64(binary.LittleEndian.Uint32(b[12:]))
		if binary.LittleEndian.Uint32(b[20:])>>31 == 1 {
			n += 32
		}
		if n >= 32 && n <= end {
			return n
		}
		return 32 // a size that lies: the footer is a tag all the same
	}
	return 0
}
