package aac

import "slices"

// Elements of a raw data block (ISO/IEC 14496-3 table 4.85).
const (
	elementSingle = 0
	elementPair   = 1
	elementEnd    = 7
)

// AudioSpecificConfig returns the two bytes that introduce the stream
// (ISO/IEC 14496-3 §1.6.2.1): AAC-LC, frames of 1,024 samples.
func (cfg Config) AudioSpecificConfig() []byte {
	rates := []int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000}
	index := slices.Index(rates, cfg.SampleRate)
	return []byte{2<<3 | byte(index>>1), byte(index<<7 | cfg.Channels<<3)}
}

// coded is one channel ready to be written.
type coded struct {
	scales [bandsMost]int16
	books  [bandsMost]uint8
	q      [FrameSize]int16
	gain   int16 // global gain: the first scale factor
}

// unit appends the access unit of f.
func (w *bitWriter) unit(f *Frame, channels []*coded, top int) {
	if len(channels) == 1 {
		w.put(elementSingle, 3)
		w.put(0, 4)
		w.channel(f, channels[0], top, false)
	} else {
		w.put(elementPair, 3)
		w.put(0, 4)
		w.put(1, 1) // common window
		w.info(f, top)
		w.midSide(f, top)
		w.channel(f, channels[0], top, true)
		w.channel(f, channels[1], top, true)
	}
	w.put(elementEnd, 3)
	w.align()
}

// info writes ics_info; top is max_sfb.
func (w *bitWriter) info(f *Frame, top int) {
	w.put(0, 1)
	w.put(uint32(f.sequence), 2)
	w.flag(f.kbd)
	if f.sequence != eightShort {
		w.put(uint32(top), 6)
		w.put(0, 1) // no prediction
		return
	}
	w.put(uint32(top), 4)
	grouping, at := uint32(0), 0
	for _, n := range f.groups {
		for i := range int(n) {
			if at > 0 {
				grouping = grouping<<1 | uint32(min(i, 1))
			}
			at++
		}
	}
	w.put(grouping, 7)
}

func (w *bitWriter) midSide(f *Frame, top int) {
	if !f.sides {
		w.put(0, 2)
		return
	}
	bands := f.layout.bands()
	all := true
	for g := range f.groups {
		for _, side := range f.side[g*bands : g*bands+top] {
			all = all && side
		}
	}
	if all {
		w.put(2, 2)
		return
	}
	w.put(1, 2)
	for g := range f.groups {
		for _, side := range f.side[g*bands : g*bands+top] {
			w.flag(side)
		}
	}
}

// channel writes individual_channel_stream.
func (w *bitWriter) channel(f *Frame, x *coded, top int, common bool) {
	w.put(uint32(x.gain), 8)
	if !common {
		w.info(f, top)
	}
	w.sections(f, x, top)
	w.scaleFactors(f, x, top)
	w.put(0, 1) // no pulses
	w.put(0, 1) // no TNS
	w.put(0, 1) // no gain control
	w.spectrum(f, x, top)
}

// lengthField returns the size of a section's length field in bits.
func (f *Frame) lengthField() int {
	if f.sequence == eightShort {
		return 3
	}
	return 5
}

func (w *bitWriter) sections(f *Frame, x *coded, top int) {
	bands, field := f.layout.bands(), uint(f.lengthField())
	most := 1<<field - 1
	for g := range f.groups {
		books := x.books[g*bands : g*bands+top]
		for from := 0; from < top; {
			to := from + 1
			for to < top && books[to] == books[from] {
				to++
			}
			w.put(uint32(books[from]), 4)
			n := to - from
			for ; n >= most; n -= most {
				w.put(uint32(most), field)
			}
			w.put(uint32(n), field)
			from = to
		}
	}
}

func (w *bitWriter) scaleFactors(f *Frame, x *coded, top int) {
	bands, last := f.layout.bands(), x.gain
	for g := range f.groups {
		for b := g * bands; b < g*bands+top; b++ {
			if x.books[b] == zeroBook {
				continue
			}
			i := int(x.scales[b]-last) + sfMiddle
			w.put(scaleFactorBook.codes[i], uint(scaleFactorBook.lengths[i]))
			last = x.scales[b]
		}
	}
}

func (w *bitWriter) spectrum(f *Frame, x *coded, top int) {
	bands := f.layout.bands()
	for g := range f.groups {
		for b := g * bands; b < g*bands+top; b++ {
			if n := x.books[b]; n != zeroBook {
				w.values(&spectralBooks[n], x.q[f.edges[b]:f.edges[b+1]])
			}
		}
	}
}

func (w *bitWriter) values(b *codebook, q []int16) {
	switch {
	case b.dimension == 4 && b.signed:
		w.signedQuads(b, q)
	case b.dimension == 4:
		w.quads(b, q)
	case b.signed:
		w.signedPairs(b, q)
	case b.largest == escape:
		w.escapes(b, q)
	default:
		w.pairs(b, q)
	}
}

func (w *bitWriter) signedQuads(b *codebook, q []int16) {
	for ; len(q) >= 4; q = q[4:] {
		i := 27*int(q[0]) + 9*int(q[1]) + 3*int(q[2]) + int(q[3]) + 40
		w.put(b.codes[i], uint(b.lengths[i]))
	}
}

func (w *bitWriter) signedPairs(b *codebook, q []int16) {
	for ; len(q) >= 2; q = q[2:] {
		i := 9*int(q[0]) + int(q[1]) + 40
		w.put(b.codes[i], uint(b.lengths[i]))
	}
}

func (w *bitWriter) quads(b *codebook, q []int16) {
	for ; len(q) >= 4; q = q[4:] {
		i, signs, n := 0, uint32(0), uint(0)
		for _, v := range q[:4] {
			a, s, k := apart(v)
			i = 3*i + a
			signs, n = signs<<k|s, n+k
		}
		w.put(b.codes[i], uint(b.lengths[i]))
		w.put(signs, n)
	}
}

func (w *bitWriter) pairs(b *codebook, q []int16) {
	base := b.largest + 1
	for ; len(q) >= 2; q = q[2:] {
		x, sx, kx := apart(q[0])
		y, sy, ky := apart(q[1])
		i := x*base + y
		w.put(b.codes[i]<<(kx+ky)|sx<<ky|sy, uint(b.lengths[i])+kx+ky)
	}
}

func (w *bitWriter) escapes(b *codebook, q []int16) {
	for ; len(q) >= 2; q = q[2:] {
		x, sx, kx := apart(q[0])
		y, sy, ky := apart(q[1])
		i := min(x, escape)*(escape+1) + min(y, escape)
		w.put(b.codes[i]<<(kx+ky)|sx<<ky|sy, uint(b.lengths[i])+kx+ky)
		w.escape(x)
		w.escape(y)
	}
}

// apart returns the absolute value of v, its sign bit and how many sign bits it
// has: none for 0.
func apart(v int16) (size int, sign uint32, signs uint) {
	mask := v >> 15
	size = int((v ^ mask) - mask)
	if size == 0 {
		return 0, 0, 0
	}
	return size, uint32(mask & 1), 1
}

// escape writes the escape sequence of an absolute value of book 11.
func (w *bitWriter) escape(v int) {
	if v < escape {
		return
	}
	n := uint(4)
	for v>>(n+1) > 0 {
		n++
	}
	w.put(1<<(n-3)-2, n-3)
	w.put(uint32(v)&(1<<n-1), n)
}
