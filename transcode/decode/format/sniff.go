package format

import (
	"github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/decode/label"
)

// form is what a master is by its first bytes; its name plays no part.
type form struct {
	name    string // of the container, as melodyud.Source has it; "" no sound
	what    string // how a refusal calls it, one of details
	demuxer string // ffmpeg's name for it
	codec   string // where the container tells
	whole   bool   // lossless
	// open is our decoder; nil leaves it to the converter.
	open func(in *Input, at int64) (Facts, Sound, error)
}

// magic is how a form begins, after ID3v2 tags; then is at byte 8.
type magic struct {
	at          int
	bytes, then string
	form        form
}

const (
	guidASF = "\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"
	guidW64 = "riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
)

// magics is tried in order. The forms without a name are refused before anything
// looks for sound inside of them.
func magics() []magic {
	wav := form{name: "wav", open: openWAV}
	aiff := form{name: "aiff", open: openAIFF}
	mp4 := form{name: "mp4", open: openMP4}
	return []magic{
		{0, "RIFF", "WAVE", wav}, {0, "RF64", "WAVE", wav}, {0, "BW64", "WAVE", wav},
		{0, "FORM", "AIFF", aiff}, {0, "FORM", "AIFC", aiff},
		{0, "fLaC", "", form{name: "flac", open: openFLAC}},
		{0, "OggS", "", form{name: "ogg", open: openOgg}},
		{4, "ftyp", "", mp4}, {4, "moov", "", mp4}, {4, "mdat", "", mp4},
		{0, guidASF, "", form{name: "asf", what: "WMA", demuxer: "asf", codec: "wma"}},
		{0, "\x1aE\xdf\xa3", "", form{name: "matroska", what: "Matroska or WebM", demuxer: "matroska"}},
		{0, "wvpk", "", form{name: "wavpack", what: "WavPack", demuxer: "wv", codec: "wavpack", whole: true}},
		{0, "MAC ", "", form{name: "ape", what: "Monkey's Audio", demuxer: "ape", codec: "ape", whole: true}},
		{0, "MPCK", "", form{name: "musepack", what: "Musepack", demuxer: "mpc8", codec: "musepack"}},
		{0, "MP+", "", form{name: "musepack", what: "Musepack", demuxer: "mpc", codec: "musepack"}},
		{0, "TTA1", "", form{name: "tta", what: "True Audio", demuxer: "tta", codec: "tta", whole: true}},
		{0, "caff\x00\x01", "", form{name: "caf", what: "CAF", demuxer: "caf"}},
		{0, ".snd", "", form{name: "au", what: "Sun AU", demuxer: "au"}},
		{0, guidW64, "", form{name: "w64", what: "Wave64", demuxer: "w64", whole: true}},
		{0, "#!AMR", "", form{name: "amr", what: "AMR", demuxer: "amr", codec: "amr"}},
		{0, "DSD ", "", form{name: "dsf", what: "DSD", demuxer: "dsf", codec: "dsd"}},
		{0, "\x0b\x77", "", form{name: "ac3", what: "AC-3", demuxer: "ac3", codec: "ac3"}},
		{0, "<", "", form{}}, {0, "#EXT", "", form{}}, {0, "ffconcat", "", form{}}, {0, "v=0", "", form{}},
		{0, "\x89PNG", "", form{}}, {0, "GIF8", "", form{}}, {0, "\xff\xd8\xff", "", form{}}, {0, "%PDF", "", form{}},
		{0, "PK\x03\x04", "", form{}}, {0, "\x1f\x8b", "", form{}}, {0, "\x7fELF", "", form{}}, {0, "MThd", "", form{}},
	}
}

// sniff says what the bytes of in are and where they begin after ID3v2 tags.
func sniff(in *Input) (form, int64, error) {
	start, err := label.SkipID3(in, in.Size)
	if err != nil {
		return form{}, 0, err
	}
	head, err := in.Peek(start, 64)
	if err != nil {
		return form{}, 0, err
	}
	for _, m := range magics() {
		if matches(head, m.at, m.bytes) && (m.then == "" || matches(head, 8, m.then)) {
			if m.form.name == "" {
				break
			}
			return m.form, start, nil
		}
	}
	f, err := sniffFrames(in, start)
	return f, start, err
}

// sniffFrames finds the formats without a magic number: MPEG audio and raw AAC
// are sync words that lead to each other.
func sniffFrames(in *Input, start int64) (form, error) {
	head, err := in.Peek(start, 16)
	if err != nil {
		return form{}, err
	}
	if adtsChain(in, start) {
		return form{name: "aac", what: "raw AAC", demuxer: "aac", codec: "aac"}, nil
	}
	if h, ok := parseMPEG(head); ok && h.bitrate == 0 {
		return form{}, needsConverter("free-format MP3")
	}
	limit := int64(maxJunk)
	if knownNoise(head) {
		limit = 1
	}
	walk := mpegWalk{w: window{in: in}, at: start, end: mpegEnd(in, start)}
	ok, err := walk.find(limit)
	switch {
	case err != nil:
		return form{}, err
	case ok:
		return form{name: "mp3", open: openMP3}, nil
	case start > 0:
		return form{}, Reject("audio.no-sound-data", "tags only")
	}
	return form{}, Reject("audio.unknown-format", "begins with % x", head)
}

// knownNoise reports another kind of file, inside which no sound is looked for.
func knownNoise(head []byte) bool {
	for _, m := range magics() {
		if m.form.name == "" && matches(head, m.at, m.bytes) {
			return true
		}
	}
	return false
}

// adtsChain reports AAC in ADTS frames (ISO 14496-3, 1.A.2), four in a row.
func adtsChain(in *Input, at int64) bool {
	for range chainLen {
		b, err := in.Peek(at, 7)
		if err != nil || len(b) < 7 || b[0] != 0xFF || b[1]&0xF6 != 0xF0 {
			return false
		}
		n := int64(b[3]&3)<<11 | int64(b[4])<<3 | int64(b[5]>>5)
		if n < 7 {
			return false
		}
		at += n
	}
	return true
}

func matches(b []byte, at int, want string) bool {
	return at >= 0 && len(b) >= at+len(want) && string(b[at:at+len(want)]) == want
}

// open finds the decoder for in and lets it read the headers.
func Open(in *Input) (facts Facts, snd Sound, err error) {
	f, at, err := sniff(in)
	if err != nil {
		return Facts{}, nil, err
	}
	if f.open != nil {
		facts, snd, err = f.open(in, at)
	} else {
		facts = Facts{Source: melodyud.Source{Codec: f.codec, Lossless: f.whole}}
		facts, snd, err = openConverted(in, f, facts, in.from(at, mpegEnd(in, at)-at))
	}
	facts.Source.Container = f.name
	return facts, snd, err
}
