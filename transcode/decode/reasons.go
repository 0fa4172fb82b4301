package decode

import (
	"fmt"
	"strings"
	"time"

	"github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/decode/format"
)

// Reason is one way a master can be refused. Code is stable; Text is what the
// creator reads, with {max} and {min} standing for the limit in force and
// {what} for what was found.
type Reason struct {
	Code string
	Kind error
	Text string
}

const accepted = "WAV, AIFF, FLAC, MP3, Ogg Vorbis or M4A (AAC)"

// Reasons is every refusal this package can give, in the order of a master's way.
var Reasons = []Reason{
	{"upload.empty", melodyud.ErrInvalid, "The file is empty. Please upload it again; if it stays empty, export it again from your music software."},
	{"audio.unknown-format", melodyud.ErrInvalid, "This is not a sound file we know. Please upload " + accepted + "."},
	{"audio.needs-converter", melodyud.ErrInvalid, "We cannot decode {what} here. Please export it as " + accepted + "."},
	{"audio.no-sound-data", melodyud.ErrInvalid, "The file has no sound in it. Please export it again and check that it plays."},
	{"audio.truncated", melodyud.ErrInvalid, "The file ends too early: part of the sound is missing. Please export or copy it again and upload the whole file."},
	{"audio.damaged", melodyud.ErrInvalid, "The file is damaged: it cannot be decoded from start to end without errors. Please export it again."},
	{"audio.too-short", melodyud.ErrInvalid, "The sound is too short. It has to last at least {min}."},
	{"audio.too-long", melodyud.ErrInvalid, "The sound is too long. It may last at most {max}; please split it."},
	{"audio.bad-rate", melodyud.ErrInvalid, "The sample rate is out of range. Please export at {min} to {max}; 44.1 or 48 kHz is always right."},
	{"audio.bad-depth", melodyud.ErrInvalid, "The bit depth of this file is not supported. Please export at 16 or 24 bits."},
	{"audio.too-many-channels", melodyud.ErrInvalid, "The file has too many channels. Please export it in stereo; we take at most {max}."},
	{"audio.bad-samples", melodyud.ErrInvalid, "The file holds samples that are no sound: values that are not numbers, or a hundred times too loud. Please export it again, as 24-bit if your software offers it."},
	{"audio.changes-format", melodyud.ErrInvalid, "The sample rate or the number of channels changes inside the file, as when recordings are glued together. Please export it as one piece."},
	{"audio.too-complex", melodyud.ErrInvalid, "Decoding this file takes more memory or time than any piece of music needs. Please export it again."},
}

// detail is what a refusal's text can name. Only these travel from the child, so
// that a child taken over by a file cannot put words in our mouth.
var details = []string{
	"", "Opus", "Speex", "FLAC in Ogg", "Theora", "WMA", "Matroska or WebM", "WavPack", "Monkey's Audio", "Musepack", "True Audio",
	"CAF", "AC-3", "AMR", "DSD", "raw AAC", "Sun AU", "Wave64", "MPEG-2 or 2.5 audio", "MPEG Layer I or II", "free-format MP3",
	"MP3 with intensity stereo", "Apple Lossless", "HE-AAC", "this kind of AAC", "this kind of MP4", "this kind of WAV", "this kind of AIFF",
}

func reasonFor(code string) (Reason, bool) {
	for _, r := range Reasons {
		if r.Code == code {
			return r, true
		}
	}
	return Reason{}, false
}

func knownDetail(s string) bool {
	for _, d := range details {
		if d == s {
			return true
		}
	}
	return false
}

// refusal makes the creator's sentence of f under the given limits.
func refusal(f *format.Fault, l Limits) error {
	r, ok := reasonFor(f.Code)
	if !ok {
		return fmt.Errorf("%q is no refusal", f.Code)
	}
	lo, hi := bounds(f.Code, l)
	what := f.What
	if what == "" {
		what = "this kind of file"
	}
	text := strings.NewReplacer("{what}", what, "{min}", lo, "{max}", hi).Replace(r.Text)
	refused := melodyud.Refuse(r.Kind, r.Code, text)
	if f.Cause == "" {
		return refused
	}
	return refused.Because(fmt.Errorf("decoder: %s", f.Cause))
}

func bounds(code string, l Limits) (lo, hi string) {
	switch code {
	case "audio.bad-rate":
		return fmt.Sprintf("%d Hz", l.MinRate), fmt.Sprintf("%d Hz", l.MaxRate)
	case "audio.too-many-channels":
		return "1", fmt.Sprint(l.MaxChannels)
	}
	return spoken(l.MinDuration), spoken(l.MaxDuration)
}

// spoken writes a duration for people.
func spoken(d time.Duration) string {
	switch {
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%d hours", d/time.Hour)
	case d >= time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%d minutes", d/time.Minute)
	case d == 0:
		return "one sample"
	}
	return fmt.Sprintf("%g seconds", d.Seconds())
}
