package aac

import "fmt"

// Coder codes the Frames of one sound at one bit rate. It belongs to one
// goroutine; Coders of different rates may share Frames.
//
// The rate is constrained variable. Quality is held even: access units grow with
// what a frame needs, up to a decoder's buffer of 6,144 bits a channel. Any four
// seconds stay within 15 % of the rate, and a track of ten seconds or more within
// 2 %, unless it is so quiet or so simple that it has no use for the bits.
type Coder struct {
	rate     rateControl
	search   search
	section  sectioner
	lengths  lengths
	channels [2]coded
	writer   bitWriter
}

// NewCoder returns a Coder of cfg's sound at bitrate bits per second.
func NewCoder(cfg Config, bitrate int) (*Coder, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	least, most := cfg.SampleRate/8*cfg.Channels, cfg.MaxBitrate()
	if bitrate < least || bitrate > most {
		return nil, fmt.Errorf("aac: %d bit/s: want %d to %d for %d channels at %d Hz", bitrate, least, most, cfg.Channels, cfg.SampleRate)
	}
	return &Coder{rate: newRateControl(cfg, bitrate)}, nil
}

// MaxBitrate returns the most bits per second that the format lets cfg's sound have.
func (cfg Config) MaxBitrate() int { return channelMost * cfg.Channels * cfg.SampleRate / FrameSize }

// Code appends the access unit of f to dst.
func (c *Coder) Code(dst []byte, f *Frame) []byte {
	at := len(dst)
	c.rate.start()
	for {
		c.writer = bitWriter{out: dst[:at]}
		c.pass(f)
		if c.rate.done(8 * (len(c.writer.out) - at)) {
			return c.writer.out
		}
		dst = c.writer.out
	}
}

// pass codes f with the rate control's lambda.
func (c *Coder) pass(f *Frame) {
	bands, top := f.bandCount(), 0
	for ch := range f.channels {
		s, x := &f.channel[ch], &c.channels[ch]
		c.search.run(s, f.edges, bands, c.rate.lambda, x.scales[:])
		top = max(top, x.settle(f, s))
	}
	var list [2]*coded
	for ch := range f.channels {
		x := &c.channels[ch]
		list[ch] = x
		c.sections(f, x, top)
		x.level(f, top)
	}
	c.writer.unit(f, list[:f.channels], top)
}

// settle quantises with the scales found and returns one past the highest band of
// any group that is not zero.
func (x *coded) settle(f *Frame, s *spectrum) int {
	top, n := 0, f.layout.bands()
	for b := range f.bandCount() {
		from, to := int(f.edges[b]), int(f.edges[b+1])
		if x.scales[b] == noScale {
			clear(x.q[from:to])
			continue
		}
		if s.quantize(x.q[:], from, to, int(x.scales[b])) {
			top = max(top, b%n+1)
		} else {
			x.scales[b] = noScale
		}
	}
	return top
}

// sections chooses the books of the bands below top.
func (c *Coder) sections(f *Frame, x *coded, top int) {
	n := f.layout.bands()
	for g := range f.groups {
		for b := g * n; b < g*n+top; b++ {
			c.lengths.measure(b, x.q[f.edges[b]:f.edges[b+1]])
		}
		c.section.cut(c.lengths[g*n:g*n+top], x.books[g*n:], f.lengthField())
	}
}

// level sets the global gain, and gives bands that are coded though they are zero
// the scale factor before theirs.
func (x *coded) level(f *Frame, top int) {
	n := f.layout.bands()
	x.gain = x.first(f, top)
	last := x.gain
	for g := range f.groups {
		for b := g * n; b < g*n+top; b++ {
			if x.books[b] == zeroBook {
				continue
			}
			if x.scales[b] == noScale {
				x.scales[b] = last
			}
			last = x.scales[b]
		}
	}
}

// first returns the first scale factor that is coded.
func (x *coded) first(f *Frame, top int) int16 {
	n := f.layout.bands()
	for g := range f.groups {
		for _, sf := range x.scales[g*n : g*n+top] {
			if sf != noScale {
				return sf
			}
		}
	}
	return sfOffset
}
