package format

import (
	"io"

	"github.com/jfreymuth/vorbis"

	"github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/decode/label"
	"github.com/melodyud/melodyud/transcode/decode/ogg"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// vorbisOrder says for each number of channels where in a Vorbis frame the
// channels of WAV order are (Vorbis I, 4.3.9; WAVEFORMATEXTENSIBLE).
var vorbisOrder = [MaxChannels + 1][]int{
	3: {0, 2, 1}, 5: {0, 2, 1, 3, 4}, 6: {0, 2, 1, 5, 3, 4},
	7: {0, 2, 1, 6, 5, 3, 4}, 8: {0, 2, 1, 7, 5, 6, 3, 4},
}

// noComments is an empty comment header: the decoder would make room for as many
// comments as a real one claims.
const noComments = "\x03vorbis\x00\x00\x00\x00\x00\x00\x00\x00\x01"

// vorbisSound decodes page by page, because granule positions are known at the
// end of a page only: they trim the beginning and the end (Vorbis I, A.2).
type vorbisSound struct {
	pages   *ogg.Pages
	dec     vorbis.Decoder
	order   []int
	pending [][]byte // packets that came with the headers
	flat    []float32
	out     *Planes
	done    int64 // samples given
	offset  int64 // granule position of the first sample given
	begun   bool
	notes   []string
	err     error
}

func openVorbis(in *Input, at int64) (Facts, Sound, error) {
	s := &vorbisSound{pages: &ogg.Pages{R: in.from(at, in.Size-at)}}
	head, rest, err := s.pages.Headers(3)
	if err != nil {
		return Facts{}, nil, oggFault(err)
	}
	for _, p := range [][]byte{head[0], []byte(noComments), head[2]} {
		if err := s.dec.ReadHeader(p); err != nil {
			return Facts{}, nil, err
		}
	}
	channels, rate := s.dec.Channels(), s.dec.SampleRate()
	facts := Facts{
		Source:     melodyud.Source{Codec: "vorbis", SampleRate: rate, Channels: channels, Gapless: true},
		SampleRate: rate, Channels: channels, Samples: -1,
	}
	if f := facts.checkShape(in.Limits); f != nil {
		return Facts{}, nil, f
	}
	if n := oggLength(in); n > 0 && n/int64(rate) < in.Size { // less than a byte a second is a lie
		facts.Samples = n
	}
	if len(head[1]) > 7 {
		var lab label.Set
		lab.ReadComments(head[1][7:])
		facts.adopt(&lab)
	}
	s.pending, s.out, s.order = rest, NewPlanes(channels), vorbisOrder[channels]
	return facts, s, nil
}

func (s *vorbisSound) Read() (pcm.Block, error) {
	for s.err == nil {
		b, err := s.page()
		s.err = err
		if err == nil && b.Len() > 0 {
			return b, nil
		}
	}
	return pcm.Block{}, s.err
}

// page decodes one page's packets and cuts what lies outside of the stream.
func (s *vorbisSound) page() (pcm.Block, error) {
	packets := s.pending
	s.pending = nil
	if packets == nil {
		var err error
		if packets, err = s.turn(); err != nil {
			return pcm.Block{}, err
		}
	}
	s.flat = s.flat[:0]
	for _, p := range packets {
		if len(p) == 0 {
			continue
		}
		out, err := s.dec.Decode(p)
		if err != nil {
			return pcm.Block{}, err
		}
		s.flat = append(s.flat, out...)
	}
	n := int64(len(s.flat) / s.dec.Channels())
	lo, hi := s.cut(n)
	s.done += hi - lo
	return s.spread(int(lo), int(hi)), nil
}

// turn moves to the next page.
func (s *vorbisSound) turn() ([][]byte, error) {
	if s.pages.Page.Is(ogg.Last) {
		return nil, s.after()
	}
	err := s.pages.Next()
	if err == io.EOF {
		return nil, s.unended()
	}
	if err != nil {
		return nil, oggFault(err)
	}
	return s.pages.Packets()
}

// after accepts the end of the stream if it is the end of the file, or if what
// follows is no stream.
func (s *vorbisSound) after() error {
	if s.done == 0 {
		return Reject("audio.no-sound-data", "no samples")
	}
	if b, err := s.pages.R.Peek(4); err == nil && string(b) == "OggS" {
		return Reject("audio.changes-format", "chained Ogg streams")
	}
	return io.EOF
}

// unended is for a file without a last page. Some streaming software never
// writes one.
func (s *vorbisSound) unended() error {
	if s.done == 0 {
		return Reject("audio.no-sound-data", "no samples")
	}
	if len(s.pages.Partial) > 0 {
		return Reject("audio.truncated", "file ends in a packet")
	}
	s.notes = append(s.notes, "The Ogg file has no end mark; it may have been longer.")
	return io.EOF
}

// cut says which of the n samples of this page are in the stream.
func (s *vorbisSound) cut(n int64) (lo, hi int64) {
	g := s.pages.Page.Granule
	hi = n
	last := s.pages.Page.Is(ogg.Last)
	if !s.begun && n > 0 && g >= 0 {
		s.begun = true
		s.offset = g - n
		if s.offset < 0 && !last {
			lo, s.offset = min(n, -s.offset), 0
		}
		s.offset = max(0, s.offset)
	}
	if last && g >= 0 {
		hi = max(lo, min(n, g-s.offset-s.done+lo))
	}
	return lo, hi
}

func (s *vorbisSound) spread(lo, hi int) pcm.Block {
	channels := s.dec.Channels()
	b := s.out.First(hi - lo)
	for c, plane := range b.Samples {
		from := c
		if s.order != nil {
			from = s.order[c]
		}
		for i := range plane {
			plane[i] = s.flat[(lo+i)*channels+from]
		}
	}
	return b
}

func (s *vorbisSound) Warnings() []string { return s.notes }
