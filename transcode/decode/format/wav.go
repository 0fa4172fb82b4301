package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/decode/label"
)

// chunk is one chunk of a RIFF or IFF file: body bytes [at, at+size).
type chunk struct {
	id   string
	at   int64
	size int64
}

const (
	chunkHead = 8
	// maxChunks bounds the walk; sound after more chunks than this is not found.
	maxChunks = 100_000
)

// wav is what the headers of a WAV file say.
type wav struct {
	in       *Input
	ds64     int64 // size of the data chunk in RF64 and BW64; -1 none
	fmt      []byte
	data     chunk
	bext     chunk // EBU Tech 3285
	found    bool
	warnings []string
	labels   label.Set
}

// openWAV reads RIFF/WAVE, RF64 and BW64 (EBU Tech 3306, ITU-R BS.2088).
func openWAV(in *Input, at int64) (Facts, Sound, error) {
	w := &wav{in: in, ds64: -1}
	if err := w.walk(at + 12); err != nil {
		return Facts{}, nil, err
	}
	if w.fmt == nil {
		return Facts{}, nil, Reject("audio.damaged", "no fmt chunk")
	}
	if !w.found {
		return Facts{}, nil, Reject("audio.no-sound-data", "no data chunk")
	}
	if w.bext.size > 0 { // others know better
		w.labels.ReadBroadcast(w.in, w.bext.at, w.bext.size)
	}
	return w.open()
}

// walk notes the chunks worth knowing. It stops after the data chunk when that
// takes the rest of the file.
func (w *wav) walk(at int64) error {
	for range maxChunks {
		head, err := w.in.Peek(at, chunkHead)
		if err != nil {
			return err
		}
		if len(head) < chunkHead {
			return nil
		}
		c := chunk{id: string(head[:4]), at: at + chunkHead, size: int64(binary.LittleEndian.Uint32(head[4:]))}
		if err := w.note(&c); err != nil {
			return err
		}
		if c.size >= w.in.Size-c.at {
			return nil
		}
		if at, err = after(w.in, c, "fmt ", "data", "LIST", "fact", "bext", "id3 "); err != nil {
			return err
		}
	}
	return nil
}

// after is where the chunk behind c begins: on an even byte, unless a writer has
// forgotten about that and one of the known begins at once.
func after(in *Input, c chunk, known ...string) (int64, error) {
	end := c.at + c.size
	if end%2 == c.at%2 {
		return end, nil
	}
	id, err := in.Peek(end, 4)
	if err != nil || slices.Contains(known, string(id)) {
		return end, err
	}
	return end + 1, nil
}

func (w *wav) note(c *chunk) (err error) {
	switch c.id {
	case "ds64":
		err = w.noteSizes(*c)
	case "fmt ":
		w.fmt, err = w.noteFormat(*c)
	case "data":
		return w.noteData(c)
	case "LIST":
		w.labels.ReadInfo(w.in, c.at, c.size)
	case "bext":
		w.bext = *c
	case "id3 ", "ID3 ":
		w.labels.ReadID3(w.in, c.at, c.size)
	}
	return err
}

func (w *wav) noteSizes(c chunk) error {
	b, err := w.in.Peek(c.at, 16)
	if err == nil && len(b) == 16 {
		w.ds64 = int64(min(binary.LittleEndian.Uint64(b[8:]), 1<<62))
	}
	return err
}

func (w *wav) noteFormat(c chunk) ([]byte, error) {
	if w.fmt != nil {
		return w.fmt, nil
	}
	if c.size < 14 || c.size > w.in.Size-c.at {
		return nil, Reject("audio.damaged", "fmt chunk of %d bytes", c.size)
	}
	return w.in.Peek(c.at, int(min(c.size, 40)))
}

// noteData settles how long the sound is when the size field lies: streamed
// writers leave 0 or 0xFFFFFFFF there, meaning up to the end of the file.
func (w *wav) noteData(c *chunk) error {
	if w.found {
		return nil
	}
	rest := w.in.Size - c.at
	switch {
	case c.size == 0xFFFFFFFF && w.ds64 >= 0:
		c.size = w.ds64
	case c.size == 0 && rest > 0 && w.lastChunk(c.at), c.size >= 0xFFFFFF00, c.size >= 0x7FFFFF00 && c.size > rest && c.size <= 0x80000000:
		c.size = rest
		w.warnings = append(w.warnings, "The WAV header does not say how long the sound is; all of the file was taken.")
	}
	if c.size > rest {
		return &Fault{Code: "audio.truncated", Cause: fmt.Sprintf("data chunk of %d bytes, %d there", c.size, rest)}
	}
	w.data, w.found = *c, true
	return nil
}

// lastChunk reports that no plausible chunk begins at at: what is there must be sound.
func (w *wav) lastChunk(at int64) bool {
	head, err := w.in.Peek(at, chunkHead)
	if err != nil || len(head) < chunkHead {
		return false
	}
	for _, c := range head[:4] {
		if c < ' ' || c > '~' {
			return true
		}
	}
	return int64(binary.LittleEndian.Uint32(head[4:])) > w.in.Size-at-chunkHead
}

const (
	tagPCM        = 1
	tagFloat      = 3
	tagALaw       = 6
	tagMuLaw      = 7
	tagExtensible = 0xFFFE
)

// guidTail ends the sub-format of every format that also has a tag
// (KSDATAFORMAT_SUBTYPE_*); ambisonic is that of the B-format variant.
const (
	guidTail  = "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
	ambisonic = "\x00\x00\x21\x07\xd3\x11\x86\x44\xc8\xc1\xca\x00\x00\x00"
)

func (w *wav) open() (Facts, Sound, error) {
	tag := int(binary.LittleEndian.Uint16(w.fmt))
	channels := int(binary.LittleEndian.Uint16(w.fmt[2:]))
	rate := int64(binary.LittleEndian.Uint32(w.fmt[4:]))
	align := int(binary.LittleEndian.Uint16(w.fmt[12:]))
	bits := 8
	if len(w.fmt) >= 16 {
		bits = int(binary.LittleEndian.Uint16(w.fmt[14:]))
	}
	valid := bits
	if tag == tagExtensible {
		tag, valid = w.extensible(bits)
	}
	c, err := wavCoding(tag, bits, valid, align, channels)
	if f, ok := errors.AsType[*Fault](err); ok && f.What != "" {
		facts := Facts{Warnings: w.warnings}
		facts.adopt(&w.labels)
		return openConverted(w.in, form{demuxer: "wav", what: f.What}, facts, w.in.from(0, w.in.Size))
	}
	if err != nil {
		return Facts{}, nil, err
	}
	frame := int64(channels * c.bytes)
	facts := Facts{
		Source: melodyud.Source{
			Codec: c.suffixed(), Lossless: tag == tagPCM || tag == tagFloat,
			SampleRate: int(rate), Channels: channels, Gapless: true,
		},
		SampleRate: int(rate), Channels: channels, BitDepth: c.formatDepth(), Warnings: w.warnings,
	}
	if tag == tagPCM {
		facts.Source.BitDepth = valid
	}
	if f := facts.checkShape(w.in.Limits); f != nil {
		return Facts{}, nil, f
	}
	facts.Samples = w.data.size / frame
	facts.adopt(&w.labels)
	return facts, newInterleaved(w.in.from(w.data.at, w.data.size), c, channels, facts.Samples), nil
}

// extensible returns the real format tag and the number of valid bits
// (WAVEFORMATEXTENSIBLE).
func (w *wav) extensible(bits int) (tag, valid int) {
	if len(w.fmt) < 40 {
		return tagExtensible, bits
	}
	valid = int(binary.LittleEndian.Uint16(w.fmt[18:]))
	if valid < 1 || valid > bits {
		valid = bits
	}
	if t := string(w.fmt[26:40]); t != guidTail && t != ambisonic {
		return tagExtensible, valid
	}
	return int(binary.LittleEndian.Uint16(w.fmt[24:])), valid
}

// wavCoding finds how samples lie. The container is the frame divided by the
// channels where that makes sense: 20-bit samples lie in three bytes.
func wavCoding(tag, bits, valid, align, channels int) (coding, error) {
	width := (bits + 7) / 8
	if channels > 0 && align%channels == 0 && align/channels > width && align/channels <= 4 {
		width = align / channels
	}
	name := ""
	switch {
	case tag == tagPCM && bits >= 1 && width <= 4:
		name = [...]string{"", "u8", "s16", "s24", "s32"}[width]
		if width == 4 && valid <= 24 {
			name = "s24in"
		}
	case tag == tagFloat && bits == 32:
		name = "f32"
	case tag == tagFloat && bits == 64:
		name = "f64"
	case tag == tagALaw && bits == 8:
		name = "alaw"
	case tag == tagMuLaw && bits == 8:
		name = "ulaw"
	case tag == tagPCM || tag == tagFloat:
		return coding{}, Reject("audio.bad-depth", "%d bits", bits)
	}
	if name == "" {
		return coding{}, &Fault{Code: "audio.needs-converter", What: "this kind of WAV", Cause: fmt.Sprintf("format tag %#x", tag)}
	}
	return codings[name], nil
}
