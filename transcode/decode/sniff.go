package decode

import (
	"bytes"
	"encoding/binary"
)

// form is what a master is by its first bytes; its name plays no part.
type form struct {
	name    string // of the container, as melodyud.Source has it; "" unknown
	what    string // how a refusal calls it, one of details
	demuxer string // ffmpeg's name for it; "" when it must not see it
	open    func(in *input, at int64) (Facts, sound, error)
	start   int64 // where it begins, after ID3v2 tags
}

// magics is tried in order. mask bytes of 0 match anything.
var magics = []struct {
	at    int
	bytes string
	then  string // at 8, when not empty
	form  form
}{
	{0, "RIFF", "WAVE", form{name: "wav", what: "this kind of WAV", demuxer: "wav", open: openWAV}},
	{0, "RF64", "WAVE", form{name: "wav", what: "this kind of WAV", demuxer: "wav", open: openWAV}},
	{0, "BW64", "WAVE", form{name: "wav", what: "this kind of WAV", demuxer: "wav", open: openWAV}},
	{0, "fLaC", "", form{name: "flac", demuxer: "flac", open: openFLAC}},
}

// sniff says what the bytes of in are.
func sniff(in *input) (form, error) {
	start, err := skipID3(in)
	if err != nil {
		return form{}, err
	}
	head, err := in.peek(start, 64)
	if err != nil {
		return form{}, err
	}
	for _, m := range magics {
		if matches(head, m.at, m.bytes) && (m.then == "" || matches(head, 8, m.then)) {
			m.form.start = start
			return m.form, nil
		}
	}
	return form{}, reject("audio.unknown-format", "begins with % x", head[:min(len(head), 12)])
}

func matches(b []byte, at int, want string) bool {
	return len(b) >= at+len(want) && bytes.Equal(b[at:at+len(want)], []byte(want))
}

// open finds the decoder for in and lets it read the headers.
func open(in *input) (Facts, sound, error) {
	f, err := sniff(in)
	if err != nil {
		return Facts{}, nil, err
	}
	facts, snd, err := f.open(in, f.start)
	facts.Source.Container = f.name
	return facts, snd, err
}

// maxTags is how many ID3v2 tags in a row are skipped.
const maxTags = 256

// skipID3 returns where the file begins after any ID3v2 tags. Tags that claim
// more than the file are not believed.
func skipID3(in *input) (int64, error) {
	at := int64(0)
	for range maxTags {
		head, err := in.peek(at, id3Head)
		if err != nil {
			return 0, err
		}
		size, ok := id3Size(head)
		if !ok || at+size > in.size {
			break
		}
		at += size
	}
	return at, nil
}

const id3Head = 10

// id3Size returns the whole length of the ID3v2 tag that begins with head
// (ID3v2.4 structure, 3.1).
func id3Size(head []byte) (int64, bool) {
	if len(head) < id3Head || string(head[:3]) != "ID3" || head[3] == 0xFF || head[4] == 0xFF {
		return 0, false
	}
	v := binary.BigEndian.Uint32(head[6:])
	if v&0x80808080 != 0 {
		return 0, false
	}
	n := int64(v&0x7F | v>>1&0x3F80 | v>>2&0x1FC000 | v>>3&0xFE00000)
	if head[5]&0x10 != 0 { // a footer, too
		n += id3Head
	}
	return n + id3Head, true
}
