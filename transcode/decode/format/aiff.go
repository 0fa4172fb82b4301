package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/decode/label"
)

// aiff is what the headers of an AIFF file say.
type aiff struct {
	in       *Input
	packed   bool // AIFF-C: COMM names a compression
	comm     []byte
	data     chunk
	found    bool
	warnings []string
	labels   label.Set
}

// aiffCodings is what the compression types of AIFF-C mean; NONE and twos depend
// on the sample size.
var aiffCodings = map[string]struct {
	name   string
	little bool
}{
	"fl32": {"f32", false}, "FL32": {"f32", false}, "fl64": {"f64", false}, "FL64": {"f64", false},
	"in24": {"s24", false}, "in32": {"s32", false}, "42ni": {"s24", true}, "23ni": {"s32", true},
	"alaw": {"alaw", false}, "ALAW": {"alaw", false}, "ulaw": {"ulaw", false}, "ULAW": {"ulaw", false},
	"raw ": {"u8", false},
}

// openAIFF reads AIFF 1.3 and AIFF-C.
func openAIFF(in *Input, at int64) (Facts, Sound, error) {
	kind, err := in.Peek(at+8, 4)
	if err != nil {
		return Facts{}, nil, err
	}
	a := &aiff{in: in, packed: string(kind) == "AIFC"}
	if err := a.walk(at + 12); err != nil {
		return Facts{}, nil, err
	}
	if a.comm == nil {
		return Facts{}, nil, Reject("audio.damaged", "no COMM chunk")
	}
	if !a.found {
		return Facts{}, nil, Reject("audio.no-sound-data", "no SSND chunk")
	}
	return a.open()
}

func (a *aiff) walk(at int64) error {
	for range maxChunks {
		head, err := a.in.Peek(at, chunkHead)
		if err != nil {
			return err
		}
		if len(head) < chunkHead {
			return nil
		}
		c := chunk{id: string(head[:4]), at: at + chunkHead, size: int64(binary.BigEndian.Uint32(head[4:]))}
		if err := a.note(c); err != nil {
			return err
		}
		if c.size >= a.in.Size-c.at {
			return nil
		}
		if at, err = after(a.in, c, "COMM", "SSND", "NAME", "AUTH", "ANNO", "ID3 "); err != nil {
			return err
		}
	}
	return nil
}

func (a *aiff) note(c chunk) (err error) {
	switch c.id {
	case "COMM":
		if c.size < 18 || c.size > a.in.Size-c.at {
			return Reject("audio.damaged", "COMM chunk of %d bytes", c.size)
		}
		a.comm, err = a.in.Peek(c.at, int(min(c.size, 22)))
	case "SSND":
		return a.noteSound(c)
	case "NAME":
		a.labels.SetText("title", a.text(c))
	case "AUTH":
		a.labels.SetText("artist", a.text(c))
	case "ID3 ", "id3 ":
		a.labels.ReadID3(a.in, c.at, c.size)
	}
	return err
}

func (a *aiff) text(c chunk) string {
	b, _ := a.in.Peek(c.at, int(min(c.size, label.MaxText))) // a label that cannot be read is none
	return label.Latin1(b)
}

// noteSound skips the offset and block size in front of the samples.
func (a *aiff) noteSound(c chunk) error {
	head, err := a.in.Peek(c.at, 8)
	if err != nil {
		return err
	}
	if len(head) < 8 {
		return Reject("audio.truncated", "file ends in SSND")
	}
	skip := 8 + int64(binary.BigEndian.Uint32(head))
	a.data, a.found = chunk{at: c.at + skip, size: c.size - skip}, true
	if rest := max(0, a.in.Size-a.data.at); a.data.size < 0 || a.data.size > rest {
		a.data.size = rest // the number of frames in COMM decides whether that is enough
	}
	return nil
}

func (a *aiff) open() (Facts, Sound, error) {
	channels := int(binary.BigEndian.Uint16(a.comm))
	frames := int64(binary.BigEndian.Uint32(a.comm[2:]))
	depth := int(binary.BigEndian.Uint16(a.comm[6:]))
	rate := extended(a.comm[8:18])
	c, err := a.coding(depth)
	if f, ok := errors.AsType[*Fault](err); ok && f.What != "" {
		facts := Facts{}
		facts.adopt(&a.labels)
		return openConverted(a.in, form{demuxer: "aiff", what: f.What}, facts, a.in.from(0, a.in.Size))
	}
	if err != nil {
		return Facts{}, nil, err
	}
	facts := Facts{
		Source: melodyud.Source{
			Codec: c.suffixed(), Lossless: !c.companded(),
			SampleRate: rate, Channels: channels, Gapless: true,
		},
		SampleRate: rate, Channels: channels, BitDepth: c.formatDepth(), Warnings: a.warnings,
	}
	if c.depth != 0 && facts.Source.Lossless {
		facts.Source.BitDepth = min(depth, c.depth)
	}
	if f := facts.checkShape(a.in.Limits); f != nil {
		return Facts{}, nil, f
	}
	frame := int64(channels * c.bytes)
	if frames*frame > a.data.size {
		return Facts{}, nil, Reject("audio.truncated", "%d frames promised, %d there", frames, a.data.size/frame)
	}
	facts.Samples = frames
	facts.adopt(&a.labels)
	return facts, newInterleaved(a.in.from(a.data.at, frames*frame), c, channels, frames), nil
}

func (a *aiff) coding(depth int) (coding, error) {
	kind := "NONE"
	if a.packed && len(a.comm) >= 22 {
		kind = string(a.comm[18:22])
	}
	if known, ok := aiffCodings[kind]; ok {
		c := codings[known.name]
		c.big = !known.little
		return c, nil
	}
	if kind != "NONE" && kind != "twos" && kind != "sowt" {
		return coding{}, &Fault{Code: "audio.needs-converter", What: "this kind of AIFF", Cause: fmt.Sprintf("compression %q", kind)}
	}
	if depth < 1 || depth > 32 {
		return coding{}, Reject("audio.bad-depth", "%d bits", depth)
	}
	c := codings[[...]string{"s8", "s16", "s24", "s32"}[(depth-1)/8]]
	c.big = kind != "sowt"
	return c, nil
}

// extended reads the 80-bit float of COMM as whole Hz; 0 when it is none.
func extended(b []byte) int {
	exp := int(binary.BigEndian.Uint16(b)&0x7FFF) - 16383
	if b[0]&0x80 != 0 || exp < 0 || exp > 30 {
		return 0
	}
	return int(math.Round(math.Ldexp(float64(binary.BigEndian.Uint64(b[2:])), exp-63)))
}
