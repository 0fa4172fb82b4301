package features

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/features/embedding"
	"github.com/melodyud/melodyud/transcode/features/fingerprint"
	"github.com/melodyud/melodyud/transcode/features/model"
	"github.com/melodyud/melodyud/transcode/features/perceptual"
	"github.com/melodyud/melodyud/transcode/features/quality"
	"github.com/melodyud/melodyud/transcode/features/rhythm"
	"github.com/melodyud/melodyud/transcode/features/spectrum"
	"github.com/melodyud/melodyud/transcode/features/structure"
	"github.com/melodyud/melodyud/transcode/features/timbre"
	"github.com/melodyud/melodyud/transcode/features/tonal"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// Version is the analyzer's: any change that alters a number of Features or
// Analysis counts it up, so that tracks are listened to again.
const Version = 6

// Config says what an Analyzer computes beyond the built-in features. The zero
// Config is usable.
type Config struct {
	Models []*model.Pack // each places the track in a space of its own
}

// ParamsHash names everything that is configured: 16 hexadecimal digits.
func (c Config) ParamsHash() string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n", melodyud.FeaturesSchema)
	for _, m := range c.Models {
		fmt.Fprintf(sum, "%s %s\n", m.ID(), m.Manifest().SHA256)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// Analyzer hears a track while it is decoded: one pass, from the first block to
// the last. The same sound gives the same document, however it is cut into blocks
// and on every machine.
//
//	block --+-- mono at 22,050 Hz -- STFT R --+-- rhythm -----+
//	        |                  |              +-- timbre -----+-- sections, segments,
//	        |                  +-- envelope ------------------+   scores, embedding
//	        +-- mono at 11,025 Hz -- STFT T ----- tonal ------+
//	        +-- fingerprint, quality
//	        +-- model packs
//
// It keeps some 30 kB a second of the track: what beats and sections are found in.
// An Analyzer is for one track and one goroutine.
type Analyzer struct {
	config  Config
	format  pcm.Format
	source  Source
	samples int64

	front  *spectrum.Front
	print  *fingerprint.Printer
	check  *quality.Inspector
	models []*model.Listener
	ears   ears
}

// ears are what hears mono, with what feeds it.
type ears struct {
	fine, wide           *spectrum.STFT // for rhythm and timbre; for tones
	rhythm               *rhythm.Tracker
	timbre               *timbre.Meter
	tonal                *tonal.Listener
	envelope             *structure.Envelope
	onFine, onWide       func(mono []float32)
	fineFrame, wideFrame func(power []float32)
}

// Source says what the sound was decoded from.
type Source = quality.Source

// New returns an Analyzer of sound of the given format. A format without a rate or
// channels is an error.
func New(f pcm.Format, s Source, c Config) (*Analyzer, error) {
	front, err := spectrum.NewFront(f)
	if err != nil {
		return nil, err
	}
	print, err := fingerprint.New(f)
	if err != nil {
		return nil, err
	}
	a := &Analyzer{config: c, format: f, source: s, front: front, print: print, check: quality.New(f, s)}
	for _, pack := range c.Models {
		l, err := pack.Listen(f)
		if err != nil {
			return nil, fmt.Errorf("model %s: %w", pack.ID(), err)
		}
		a.models = append(a.models, l)
	}
	a.ears.open()
	return a, nil
}

// open makes the ears. The functions are made once: a method value that is passed
// on would be allocated at each call.
func (e *ears) open() {
	e.fine = spectrum.NewSTFT(spectrum.SizeR, spectrum.HopR)
	e.wide = spectrum.NewSTFT(spectrum.SizeT, spectrum.HopT)
	e.rhythm, e.timbre, e.tonal, e.envelope = rhythm.New(), timbre.New(), tonal.New(), structure.NewEnvelope()
	e.fineFrame = func(power []float32) {
		e.rhythm.Frame(power)
		e.timbre.Frame(power)
	}
	e.wideFrame = e.tonal.Frame
	e.onFine = func(mono []float32) {
		e.envelope.Write(mono)
		e.timbre.Samples(mono)
		e.fine.Write(mono, e.fineFrame)
	}
	e.onWide = func(mono []float32) { e.wide.Write(mono, e.wideFrame) }
}

// Write takes the next samples.
func (a *Analyzer) Write(b pcm.Block) {
	a.samples += int64(b.Len())
	a.front.Write(b, a.ears.onFine, a.ears.onWide)
	a.print.Write(b)
	a.check.Write(b)
	for _, m := range a.models {
		m.Write(b)
	}
}

// Measured is what others found out about the same sound.
type Measured struct {
	Loudness  melodyud.Loudness
	Blocks    melodyud.LoudnessBlocks
	ShortTerm []float64 // mean weighted squares of 3 s, 100 ms apart, as pcm.Meter has them
}

// heard is what the ears found.
type heard struct {
	rhythm rhythm.Result
	timbre timbre.Result
	tonal  tonal.Result
	print  fingerprint.Result
}

// Close takes the end of the sound and returns what was heard. Nothing may follow.
func (a *Analyzer) Close(m Measured) (melodyud.Features, melodyud.Analysis) {
	e := &a.ears
	a.front.Close(e.onFine, e.onWide)
	e.fine.Close(e.fineFrame)
	e.wide.Close(e.wideFrame)
	h := heard{e.rhythm.Result(), e.timbre.Result(), e.tonal.Result(), a.print.Result()}
	form := a.form(&h, m)
	f := a.features(&h, m)
	f.Structure = structure.Sections(form)
	d := melodyud.Analysis{
		Schema: melodyud.FeaturesSchema, Loudness: m.Blocks, Segments: structure.Segments(form), Tatums: h.rhythm.Tatums, Print: h.print.Items,
	}
	Tidy(&f)
	Tidy(&d)
	return f, d
}

func (a *Analyzer) features(h *heard, m Measured) melodyud.Features {
	f := melodyud.Features{
		Schema: melodyud.FeaturesSchema, Version: strconv.Itoa(Version), ParamsHash: a.config.ParamsHash(), Duration: a.seconds(),
		SampleRate: a.format.Rate, Channels: a.format.Channels, BitDepth: a.source.BitDepth,
		Loudness: m.Loudness, Quality: a.check.Close(m.Loudness), Rhythm: h.rhythm.Rhythm, Tonal: h.tonal.Tonal, Timbre: h.timbre.Timbre,
		Fingerprint: h.print.Fingerprint, Embedding: []melodyud.Embedding{embedding.Of(h.timbre)},
	}
	f.Perceptual = perceptual.Scores(perceptual.Track{Loudness: f.Loudness, Rhythm: f.Rhythm, Tonal: f.Tonal, Timbre: h.timbre})
	for _, l := range a.models {
		f.Embedding = append(f.Embedding, l.Result())
	}
	if at, ok := Highlight(m.ShortTerm); ok {
		f.PreviewStart = &at
	}
	return f
}

func (a *Analyzer) seconds() float64 { return float64(a.samples) / float64(a.format.Rate) }

// form is what the track is divided by.
func (a *Analyzer) form(h *heard, m Measured) structure.Input {
	in := structure.Input{
		Duration: a.seconds(), Beats: h.rhythm.Beats,
		Chroma: h.tonal.Chroma, ChromaStep: h.tonal.Step, Tonal: h.tonal.Tonal.Key != nil,
		Cepstra: h.timbre.Cepstra, CepstraStep: h.timbre.Period, ShortTerm: m.ShortTerm,
	}
	for _, o := range h.rhythm.Onsets {
		in.Onsets = append(in.Onsets, structure.Onset(o))
	}
	power, samples := a.ears.envelope.Power()
	in.Power, in.PowerStep = power, float64(samples)/spectrum.RateR
	return in
}
