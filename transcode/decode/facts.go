package decode

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/melodyud/melodyud/transcode/pcm"
)

const maxText = 300

// check judges what can be judged before the first sample.
func (f *Facts) check(l Limits) *fault {
	if f.Channels < 1 {
		return &fault{Code: "audio.damaged", Cause: "no channels"}
	}
	if f.Channels > l.MaxChannels {
		return &fault{Code: "audio.too-many-channels", Cause: fmt.Sprint(f.Channels, " channels")}
	}
	if f.SampleRate < l.MinRate || f.SampleRate > l.MaxRate {
		return &fault{Code: "audio.bad-rate", Cause: fmt.Sprint(f.SampleRate, " Hz")}
	}
	if f.BitDepth != 0 && (f.BitDepth < 8 || f.BitDepth > 24) {
		return &fault{Code: "audio.bad-depth", Cause: fmt.Sprint(f.BitDepth, " bits")}
	}
	if f.Samples == 0 {
		return &fault{Code: "audio.no-sound-data"}
	}
	return f.tooLong(f.Samples, l)
}

func (f *Facts) tooLong(samples int64, l Limits) *fault {
	if most := int64(l.MaxDuration.Seconds() * float64(f.SampleRate)); samples > most {
		return &fault{Code: "audio.too-long", Cause: fmt.Sprint(samples, " samples")}
	}
	return nil
}

func (f *Facts) tooShort(samples int64, l Limits) *fault {
	if samples == 0 {
		return &fault{Code: "audio.no-sound-data"}
	}
	if least := int64(l.MinDuration.Seconds() * float64(f.SampleRate)); samples < least {
		return &fault{Code: "audio.too-short", Cause: fmt.Sprint(samples, " samples")}
	}
	return nil
}

// tidy bounds and cleans everything a child has put into words.
func (f *Facts) tidy() {
	for _, s := range []*string{&f.Tags.Title, &f.Tags.Artist, &f.Tags.Album} {
		*s = cleanText(*s)
	}
	for _, s := range []*string{&f.Source.Container, &f.Source.Codec} {
		*s = cleanName(*s)
	}
	f.Warnings = f.Warnings[:min(len(f.Warnings), maxWarnings)]
	for i, w := range f.Warnings {
		f.Warnings[i] = cleanText(w)
	}
	f.Samples = max(f.Samples, -1)
	f.Cover = cleanCover(f.Cover.Data)
}

// cleanText makes s one line of at most maxText characters of valid UTF-8
// without control characters, line separators or direction overrides.
func cleanText(s string) string {
	if len(s) > 16*maxText {
		s = s[:16*maxText]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.Is(unicode.Cc, r), isOverride(r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	runes := []rune(strings.TrimSpace(s))
	return strings.TrimSpace(string(runes[:min(len(runes), maxText)]))
}

// isOverride: U+202A..202E and U+2066..2069 turn the text around them about;
// U+FEFF is a byte order mark gone astray.
func isOverride(r rune) bool {
	return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 || r == 0xFEFF
}

func cleanName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-.", r) {
			return r
		}
		return -1
	}, s)
	return s[:min(len(s), 32)]
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

// loudest is the magnitude beyond which a sample is no sound any more: +40 dBFS.
const loudest = 100

// checkSamples refuses what no meter and no encoder can survive.
func checkSamples(b pcm.Block) error {
	for _, plane := range b.Samples {
		for _, v := range plane {
			if !(v > -loudest && v < loudest) { // also true of NaN
				return reject("audio.bad-samples", "sample %g", v)
			}
		}
	}
	return nil
}

// checkShape judges channels and rate only, before anything is divided by them.
func (f *Facts) checkShape(l Limits) *fault {
	shape := Facts{Channels: f.Channels, SampleRate: f.SampleRate, Samples: -1}
	return shape.check(l)
}
