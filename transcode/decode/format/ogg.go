package format

import (
	"encoding/binary"
	"errors"

	"github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/decode/label"
	"github.com/melodyud/melodyud/transcode/decode/ogg"
)

// oggFault says what is wrong with the pages in our words.
func oggFault(err error) error {
	switch {
	case errors.Is(err, ogg.ErrTruncated):
		return Reject("audio.truncated", "%v", err)
	case errors.Is(err, ogg.ErrSecond):
		return Reject("audio.changes-format", "%v", err)
	}
	return err
}

// oggLength is the granule position of the last page, -1 unknown. It is not
// trusted.
func oggLength(in *Input) int64 {
	const (
		tail     = 66 << 10 // longer than a page can be
		pageHead = 27
	)
	at := max(0, in.Size-tail)
	b, err := in.Peek(at, tail)
	if err != nil {
		return -1
	}
	for i := len(b) - pageHead; i >= 0; i-- {
		if matches(b, i, "OggS") {
			return max(-1, int64(binary.LittleEndian.Uint64(b[i+6:])))
		}
	}
	return -1
}

// oggCodecs is what the first packet of a stream begins with.
var oggCodecs = []struct {
	magic, what, codec string
	lossless           bool
	comments           string // what the comment packet begins with
}{
	{"OpusHead", "Opus", "opus", false, "OpusTags"},
	{"Speex   ", "Speex", "speex", false, ""},
	{"\x7fFLAC", "FLAC in Ogg", "flac", true, "\x04"},
	{"\x80theora", "Theora", "", false, ""},
}

// openOgg looks at the first packet: Vorbis is ours.
func openOgg(in *Input, at int64) (Facts, Sound, error) {
	pages := &ogg.Pages{R: in.from(at, in.Size-at)}
	first, _, err := pages.Headers(1)
	if err != nil {
		return Facts{}, nil, oggFault(err)
	}
	if matches(first[0], 0, "\x01vorbis") {
		return openVorbis(in, at)
	}
	for _, c := range oggCodecs {
		if !matches(first[0], 0, c.magic) {
			continue
		}
		facts := Facts{Source: melodyud.Source{Codec: c.codec, Lossless: c.lossless}}
		oggLabels(in, at, c.comments, &facts)
		return openConverted(in, form{demuxer: "ogg", what: c.what}, facts, in.from(at, in.Size-at))
	}
	return Facts{}, nil, Reject("audio.unknown-format", "Ogg stream begins with % x", first[0][:min(len(first[0]), 8)])
}

// oggLabels reads the comment packet, which is the second.
func oggLabels(in *Input, at int64, magic string, facts *Facts) {
	pages := &ogg.Pages{R: in.from(at, in.Size-at)}
	head, _, err := pages.Headers(2)
	if err != nil || magic == "" || !matches(head[1], 0, magic) {
		return
	}
	skip := len(magic)
	if magic == "\x04" { // a FLAC metadata block header
		skip = flacBlockHead
	}
	var lab label.Set
	lab.ReadComments(head[1][min(skip, len(head[1])):])
	facts.adopt(&lab)
}
