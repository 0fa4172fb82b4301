package fmp4

import (
	"errors"
	"fmt"
	"io"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/media"
)

// Segments divides a presentation of the given samples along t: nominal segments,
// then the tail. A tail under half a second joins the segment before it, or, if
// that would round to more than target seconds, takes as many steps from it as it
// lacks (HLS-51, HLS-73). No segment is empty.
func Segments(t media.Timeline, samples int64, target int) []int64 {
	if samples <= 0 {
		return nil
	}
	var out []int64
	for samples > t.Length(len(out)) {
		out = append(out, t.Length(len(out)))
		samples -= out[len(out)-1]
	}
	last := len(out) - 1
	if last < 0 || samples >= t.RuntSamples() {
		return append(out, samples)
	}
	if 2*(out[last]+samples) < int64(2*target+1)*int64(t.Rate) {
		out[last] += samples
		return out
	}
	for samples < t.RuntSamples() && out[last] > t.Step && t.Step > 0 {
		out[last] -= t.Step
		samples += t.Step
	}
	return append(out, samples)
}

// Cutter turns a stream of packets into segments written one after the other. It
// holds the segment being filled and, until the next one is too long to be a
// runt, the segment before it.
//
// Its life: WritePacket…, Finish, Close. Where the last segment begins is said in
// Close, because that must be decided once for all renditions.
type Cutter struct {
	stream media.Stream
	out    io.Writer

	held, cur *fragment
	spare     *fragment
	decoded   int64 // samples in all packets so far, priming included
	short     bool  // a packet shorter than FrameSize was seen: it must be the last
	rate      rateMeter

	finished bool
	ending   media.Ending
	padding  int64

	sizes, durations []int64
}

// strayPackets is how many packets beyond the end an encoder's flush may give;
// they are dropped.
const strayPackets = 4

// NewCutter returns a Cutter that writes the segments of s to out.
func NewCutter(out io.Writer, s media.Stream) (*Cutter, error) {
	if err := checkStream(s); err != nil {
		return nil, err
	}
	c := &Cutter{stream: s, out: out, cur: &fragment{}}
	c.rate.window = max(1, s.SampleRate/s.FrameSize)
	return c, nil
}

func checkStream(s media.Stream) error {
	t := s.Timeline
	switch {
	case s.Codec != melodyud.CodecAAC && s.Codec != melodyud.CodecFLAC:
		return fmt.Errorf("codec %q has no form in a track file", s.Codec)
	case s.SampleRate <= 0 || t.Rate != s.SampleRate:
		return fmt.Errorf("a stream of %d Hz on a timeline of %d Hz", s.SampleRate, t.Rate)
	case s.FrameSize <= 0 || t.Segment <= 0 || t.Segment%int64(s.FrameSize) != 0 || t.Step%int64(s.FrameSize) != 0:
		return fmt.Errorf("segments of %d samples in steps of %d hold no whole frames of %d", t.Segment, t.Step, s.FrameSize)
	case s.Priming < 0 || s.Priming%int64(s.FrameSize) != 0:
		return fmt.Errorf("priming of %d samples is no multiple of the frame size %d (GAP-1)", s.Priming, s.FrameSize)
	case s.Codec == melodyud.CodecFLAC && s.Priming != 0:
		return fmt.Errorf("FLAC has no priming, the stream says %d samples", s.Priming)
	case s.Codec == melodyud.CodecAAC && (s.FrameSize != media.AACFrame || s.Channels < 1 || s.Channels > 2):
		return fmt.Errorf("AAC of %d channels in frames of %d", s.Channels, s.FrameSize)
	case s.Codec == melodyud.CodecFLAC && (s.Channels < 1 || s.Channels > 8 || s.BitDepth < 4 || s.BitDepth > 32):
		return fmt.Errorf("FLAC of %d channels and %d bits", s.Channels, s.BitDepth)
	}
	return nil
}

// WritePacket takes the next packet. A packet may not cross a boundary of the
// timeline, and only the last may be short.
func (c *Cutter) WritePacket(p media.Packet) error {
	if err := c.checkPacket(p); err != nil {
		return fmt.Errorf("packet at sample %d: %w", c.decoded, err)
	}
	c.short = p.Samples < c.stream.FrameSize
	c.cur.add(p.Data, p.Samples)
	c.decoded += int64(p.Samples)
	c.rate.add(len(p.Data))
	if c.decoded == c.boundary() {
		return c.turn()
	}
	if c.held != nil && c.cur.end-c.cur.start > c.runt() {
		return c.release()
	}
	return nil
}

func (c *Cutter) checkPacket(p media.Packet) error {
	switch {
	case c.finished:
		return errors.New("the stream is finished")
	case c.short:
		return errors.New("a short packet came before it")
	case len(p.Data) == 0:
		return errors.New("it is empty")
	case p.Samples <= 0 || p.Samples > c.stream.FrameSize:
		return fmt.Errorf("it holds %d samples, the frame size is %d", p.Samples, c.stream.FrameSize)
	case len(c.sizes) >= MaxSegments-2:
		return melodyud.Refuse(melodyud.ErrTooLarge, "audio.too-long", "The track is too long to be played as a stream. Please split it into parts of at most a day.")
	}
	return checkFraming(c.stream, c.decoded, p.Data)
}

// boundary is the decode time at which the segment being filled ends (ALIGN-1,
// ALIGN-2).
func (c *Cutter) boundary() int64 {
	done := len(c.sizes)
	if c.held != nil {
		done++
	}
	return c.stream.Priming + c.stream.Timeline.End(done)
}

// runt is how many decoded samples of tail rule out that it is a runt, whatever
// of it turns out to be padding.
func (c *Cutter) runt() int64 {
	return c.stream.Timeline.RuntSamples() + (strayPackets+2)*int64(c.stream.FrameSize)
}

// turn starts the next segment.
func (c *Cutter) turn() error {
	if err := c.release(); err != nil {
		return err
	}
	c.held, c.cur = c.cur, c.spare
	c.spare = nil
	if c.cur == nil {
		c.cur = &fragment{}
	}
	c.cur.reset(c.decoded)
	return nil
}

// release writes the held segment.
func (c *Cutter) release() error {
	if c.held == nil {
		return nil
	}
	if err := c.write(c.held); err != nil {
		return err
	}
	c.held, c.spare = nil, c.held
	return nil
}

func (c *Cutter) write(f *fragment) error {
	n, err := f.writeTo(c.out, len(c.sizes)+1, c.stream.FrameSize)
	if err != nil {
		return err
	}
	c.sizes = append(c.sizes, n)
	c.durations = append(c.durations, f.end-max(f.start, c.stream.Priming))
	return nil
}

// Finish says where the presentation ends. Packets wholly beyond the end are
// dropped, the last one is shortened.
func (c *Cutter) Finish(e media.Ending) error {
	end := c.stream.Priming + e.Samples
	switch {
	case c.finished:
		return errors.New("finish: the stream is finished already")
	case e.Samples <= 0:
		return errors.New("finish: no samples to present")
	case c.decoded < end:
		return fmt.Errorf("finish: the packets hold %d samples, %d of priming and %d presented were promised",
			c.decoded, c.stream.Priming, e.Samples)
	case c.stream.Codec == melodyud.CodecFLAC && c.decoded != end:
		return fmt.Errorf("finish: the FLAC frames hold %d samples instead of %d", c.decoded, end)
	case c.decoded-end >= (strayPackets+1)*int64(c.stream.FrameSize):
		return fmt.Errorf("finish: %d samples lie beyond the end", c.decoded-end)
	}
	c.dropStrays(end)
	c.padding = c.cur.end - end
	c.cur.trim(end)
	c.ending, c.finished = e, true
	c.ending.Config = append([]byte(nil), e.Config...)
	return nil
}

func (c *Cutter) dropStrays(end int64) {
	for {
		if n := len(c.cur.samples); n == 0 && c.held != nil {
			c.held, c.cur = nil, c.held
		} else if n > 1 && c.cur.end-int64(c.cur.samples[n-1].Dur) >= end {
			c.cur.dropLast()
		} else if n == 1 && c.cur.start >= end && c.held != nil {
			c.cur.dropLast()
		} else {
			return
		}
	}
}

// Close writes what is left so that the whole stream has n segments, the last of
// which begins at presented sample last.
func (c *Cutter) Close(n int, last int64) error {
	if !c.finished {
		return errors.New("close: the stream is not finished")
	}
	rest := c.cur
	if c.held != nil {
		rest = c.held
		rest.merge(c.cur)
	}
	c.held, c.cur = nil, nil
	if n > 1 {
		last += c.stream.Priming
	}
	if left := n - len(c.sizes); left == 2 {
		if tail := rest.split(last); tail != nil {
			return errors.Join(c.write(rest), c.write(tail))
		}
	} else if left == 1 && rest.start == last {
		return c.write(rest)
	}
	return fmt.Errorf("close: the packets cannot make %d segments, the last from sample %d: renditions differ in length", n, last)
}

// Sizes returns the bytes of each segment written.
func (c *Cutter) Sizes() []int64 { return c.sizes }

// Durations returns the presented samples of each segment written.
func (c *Cutter) Durations() []int64 { return c.durations }

// Padding returns the samples of the last packet that lie beyond the end.
func (c *Cutter) Padding() int64 { return c.padding }

// Finished reports whether Finish succeeded.
func (c *Cutter) Finished() bool { return c.finished }

// Ending returns what Finish was told.
func (c *Cutter) Ending() media.Ending { return c.ending }

// Track returns what the init segment must say of the finished stream.
func (c *Cutter) Track() Track {
	s := c.stream
	t := Track{
		Codec: s.Codec, SampleRate: s.SampleRate, Channels: s.Channels, BitDepth: s.BitDepth,
		Priming: s.Priming, Config: c.ending.Config,
	}
	if s.Codec == melodyud.CodecAAC {
		t.BufferSize, t.MaxBitrate = c.rate.largest, 8*c.rate.busiest
		t.AvgBitrate = int(8 * c.rate.total * int64(s.SampleRate) / max(1, c.decoded))
	}
	return t
}
