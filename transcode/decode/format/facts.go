package format

import (
	"fmt"
	"strings"

	"github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/decode/cover"
	"github.com/melodyud/melodyud/transcode/decode/label"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// Facts is what is known of a master before its sound is read.
type Facts struct {
	Source     melodyud.Source
	SampleRate int   // Hz
	Channels   int   // 1..8, in WAV order
	BitDepth   int   // of pcm.Format: 8..24, or 0 where samples are not integers
	Samples    int64 // per channel; -1 unknown until the end
	Tags       melodyud.Tags
	// Picture is what the file carries as its cover, to be read by the child alone.
	Picture []byte `json:"-"`
	// Cover is there after the last block, if there is one.
	Cover cover.Images `json:"-"`
	// Warnings are English sentences about what was odd but did no harm, at most
	// maxWarnings of them. More may be there after the last block.
	Warnings []string
}

const (
	maxWarnings = 16
	// MaxChannels is the most channels that are decoded.
	MaxChannels = 8
	// BlockLen is the samples per channel of a full block: small enough to stay in
	// cache, large enough that framing costs nothing.
	BlockLen = 1 << 13
)

// Sound is one decoder at work. Read keeps the contract of pcm.Source.
type Sound interface {
	Read() (pcm.Block, error)
}

// Warner is a Sound that can say at its end what was odd.
type Warner interface {
	Warnings() []string
}

// Check judges what can be judged before the first sample.
func (f *Facts) Check(l Limits) *Fault {
	if f.Channels < 1 {
		return &Fault{Code: "audio.damaged", Cause: "no channels"}
	}
	if f.Channels > l.MaxChannels {
		return &Fault{Code: "audio.too-many-channels", Cause: fmt.Sprint(f.Channels, " channels")}
	}
	if f.SampleRate < l.MinRate || f.SampleRate > l.MaxRate {
		return &Fault{Code: "audio.bad-rate", Cause: fmt.Sprint(f.SampleRate, " Hz")}
	}
	if f.BitDepth != 0 && (f.BitDepth < 8 || f.BitDepth > 24) {
		return &Fault{Code: "audio.bad-depth", Cause: fmt.Sprint(f.BitDepth, " bits")}
	}
	if f.Samples == 0 {
		return &Fault{Code: "audio.no-sound-data"}
	}
	return f.TooLong(f.Samples, l)
}

func (f *Facts) TooLong(samples int64, l Limits) *Fault {
	if most := int64(l.MaxDuration.Seconds() * float64(f.SampleRate)); samples > most {
		return &Fault{Code: "audio.too-long", Cause: fmt.Sprint(samples, " samples")}
	}
	return nil
}

func (f *Facts) TooShort(samples int64, l Limits) *Fault {
	if samples == 0 {
		return &Fault{Code: "audio.no-sound-data"}
	}
	if least := int64(l.MinDuration.Seconds() * float64(f.SampleRate)); samples < least {
		return &Fault{Code: "audio.too-short", Cause: fmt.Sprint(samples, " samples")}
	}
	return nil
}

// Tidy bounds and cleans everything a child has put into words.
func (f *Facts) Tidy() {
	for _, s := range []*string{&f.Tags.Title, &f.Tags.Artist, &f.Tags.Album} {
		*s = label.Clean(*s)
	}
	for _, s := range []*string{&f.Source.Container, &f.Source.Codec} {
		*s = cleanName(*s)
	}
	f.Warnings = f.Warnings[:min(len(f.Warnings), maxWarnings)]
	for i, w := range f.Warnings {
		f.Warnings[i] = label.Clean(w)
	}
	for _, n := range []*int{&f.Tags.Disc, &f.Tags.Number} {
		*n = min(max(*n, 0), melodyud.MaxNumber)
	}
	f.Samples = max(f.Samples, -1)
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

// loudest is the magnitude beyond which a sample is no sound any more: +40 dBFS.
const loudest = 100

// checkSamples refuses what no meter and no encoder can survive.
func CheckSamples(b pcm.Block) error {
	for _, plane := range b.Samples {
		for _, v := range plane {
			if !(v > -loudest && v < loudest) { // also true of NaN
				return Reject("audio.bad-samples", "sample %g", v)
			}
		}
	}
	return nil
}

// checkShape judges channels and rate only, before anything is divided by them.
func (f *Facts) checkShape(l Limits) *Fault {
	shape := Facts{Channels: f.Channels, SampleRate: f.SampleRate, Samples: -1}
	return shape.Check(l)
}

// adopt puts labels where the facts have none yet.
func (f *Facts) adopt(l *label.Set) {
	f.Tags.Title = or(f.Tags.Title, label.Clean(l.Text("title")))
	f.Tags.Artist = or(f.Tags.Artist, label.Clean(l.Text("artist")))
	f.Tags.Album = or(f.Tags.Album, label.Clean(l.Text("album")))
	if f.Tags.Disc == 0 {
		f.Tags.Disc = l.Number("disc", melodyud.MaxNumber)
	}
	if f.Tags.Number == 0 {
		f.Tags.Number = l.Number("number", melodyud.MaxNumber)
	}
	if len(f.Picture) == 0 {
		f.Picture = l.Cover()
	}
}
