package features

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// Version is the analyzer's: any change that alters a number of Features or
// Analysis counts it up, so that tracks are listened to again.
const Version = 4

// Config says what an Analyzer computes beyond the built-in features. The zero
// Config is usable.
type Config struct{}

// ParamsHash names everything that is configured: 16 hexadecimal digits.
func (c Config) ParamsHash() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n", melodyud.FeaturesSchema))
	return hex.EncodeToString(sum[:8])
}

// Analyzer hears a track while it is decoded: one pass, from the first block to
// the last, in memory that hardly grows with the track. The same sound gives the
// same document, however it is cut into blocks and on every machine.
//
// An Analyzer is for one track and one goroutine.
type Analyzer struct {
	config  Config
	format  pcm.Format
	samples int64
}

// New returns an Analyzer of sound of the given format.
func New(f pcm.Format, c Config) (*Analyzer, error) {
	return &Analyzer{config: c, format: f}, nil
}

// Write takes the next samples.
func (a *Analyzer) Write(b pcm.Block) {
	a.samples += int64(b.Len())
}

// Measured is what others found out about the same sound.
type Measured struct {
	Loudness  melodyud.Loudness
	ShortTerm []float64 // mean weighted squares of 3 s, 100 ms apart, as pcm.Meter has them
	BitDepth  int       // significant bits of the source; 0 when it is lossy
	Lossless  bool      // the source
}

// Close takes the end of the sound and returns what was heard. Nothing may follow.
func (a *Analyzer) Close(m Measured) (melodyud.Features, melodyud.Analysis) {
	f := melodyud.Features{
		Schema: melodyud.FeaturesSchema, Version: strconv.Itoa(Version), ParamsHash: a.config.ParamsHash(),
		Duration:   float64(a.samples) / float64(a.format.Rate),
		SampleRate: a.format.Rate, Channels: a.format.Channels, BitDepth: m.BitDepth,
		Loudness: m.Loudness,
	}
	if at, ok := Highlight(m.ShortTerm); ok {
		f.PreviewStart = &at
	}
	d := melodyud.Analysis{Schema: melodyud.FeaturesSchema}
	Tidy(&f)
	Tidy(&d)
	return f, d
}
