package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/features/rhythm"
	"github.com/melodyud/melodyud/transcode/features/spectrum"
	"github.com/melodyud/melodyud/transcode/features/structure"
	"github.com/melodyud/melodyud/transcode/features/timbre"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// everything hears all that sections are found in.
type everything struct {
	pulse    pulse
	tones    tones
	timbre   *timbre.Meter
	envelope *structure.Envelope
	loudness *pcm.Meter
	samples  int
	front    *spectrum.Front
}

func newEverything() (*everything, error) {
	front, err := spectrum.NewFront(stereo)
	if err != nil {
		return nil, err
	}
	return &everything{
		pulse: pulse{rhythm.New(), spectrum.NewSTFT(spectrum.SizeR, spectrum.HopR)}, tones: newTones(),
		timbre: timbre.New(), envelope: structure.NewEnvelope(), loudness: pcm.NewMeter(stereo), front: front,
	}, nil
}

func (e *everything) fine(x []float32) {
	e.timbre.Samples(x)
	e.envelope.Write(x)
	e.pulse.frames.Write(x, e.frame)
}

func (e *everything) frame(power []float32) {
	e.pulse.tracker.Frame(power)
	e.timbre.Frame(power)
}

func (e *everything) write(b pcm.Block) {
	e.samples += b.Len()
	e.loudness.Write(b)
	e.front.Write(b, e.fine, e.tones.write)
}

// input is what was heard when all is written.
func (e *everything) input() structure.Input {
	e.front.Close(e.fine, e.tones.write)
	e.pulse.frames.Close(e.frame)
	beat, tone, colour := e.pulse.tracker.Result(), e.tones.result(), e.timbre.Result()
	in := structure.Input{
		Duration: float64(e.samples) / float64(stereo.Rate), Beats: beat.Beats,
		Chroma: tone.Chroma, ChromaStep: tone.Step, Tonal: tone.Tonal.Key != nil,
		Cepstra: colour.Cepstra, CepstraStep: colour.Period, ShortTerm: e.loudness.ShortTerm(),
	}
	power, samples := e.envelope.Power()
	in.Power, in.PowerStep = power, float64(samples)/spectrum.RateR
	for _, o := range beat.Onsets {
		in.Onsets = append(in.Onsets, structure.Onset(o))
	}
	return in
}

// Concatenated renders: so many pieces of this length on average, in seconds.
const (
	pieces      = 5
	pieceLength = 24
)

// joint is a concatenation of clips and where it was cut.
type joint struct {
	name string
	of   []clip
	cuts []float64 // seconds from the beginning; the last is the end
}

// joints puts clips together: neighbours in the list, from 15 to 33 s of each.
func joints(name string, clips []clip) (all []joint) {
	for i := 0; i+pieces <= len(clips); i += pieces {
		j := joint{name: fmt.Sprintf("%s %d", name, i/pieces), of: clips[i : i+pieces]}
		end := 0.0
		for k := range j.of {
			end += pieceLength + float64((i*7+k*11)%19-9)
			j.cuts = append(j.cuts, end)
		}
		all = append(all, j)
	}
	return all
}

// hear returns the sections of the joint's sound; without beats if beatless.
func (j *joint) hear(ctx context.Context, beatless bool) (melodyud.Structure, error) {
	e, err := newEverything()
	if err != nil {
		return melodyud.Structure{}, err
	}
	from := 0.0
	for k, c := range j.of {
		length := j.cuts[k] - from
		from = j.cuts[k]
		if err := listen(ctx, c.Path, e.write, "-ss", "12", "-t", fmt.Sprint(length)); err != nil {
			return melodyud.Structure{}, err
		}
	}
	in := e.input()
	if beatless {
		in.Beats = nil
	}
	return structure.Sections(in), nil
}

// boundariesTable is about concatenated renders: are the cuts found within 3 s?
func boundariesTable(ctx context.Context, b *bench) ([]row, error) {
	var rows []row
	for _, font := range []string{fontTuned, fontHeldOut} {
		name := strings.TrimSuffix(filepath.Base(font), ".sf2")
		piano, err := b.synA(ctx, "piano", font)
		if err != nil {
			return rows, err
		}
		band, err := b.synA(ctx, "band", font)
		if err != nil {
			return rows, err
		}
		var mixed []clip
		for i := range min(len(piano), len(band)) {
			mixed = append(mixed, [][]clip{piano, band}[i%2][i])
		}
		for _, set := range []struct {
			name     string
			clips    []clip
			beatless bool
		}{{"piano", piano, false}, {"band", band, false}, {"mixed", mixed, false}, {"mixed, no beats", mixed, true}} {
			r, err := boundaries(ctx, joints(set.name, set.clips), set.beatless)
			if err != nil {
				return rows, err
			}
			r.data = set.name + " " + name
			rows = append(rows, r.must(atLeast(0.7), bound{}))
		}
	}
	return rows, nil
}

func boundaries(ctx context.Context, all []joint, beatless bool) (row, error) {
	var f, found, kept []float64
	for _, j := range all {
		s, err := j.hear(ctx, beatless)
		if err != nil {
			return row{}, err
		}
		var got []float64
		for _, section := range s.Sections[min(1, len(s.Sections)):] {
			got = append(got, section.Start)
		}
		truth := j.cuts[:len(j.cuts)-1]
		f = append(f, pairF(got, truth, 3))
		half := pairF(got, truth, 3) / 2 * float64(len(got)+len(truth))
		found = append(found, half/float64(len(truth)))
		kept = append(kept, half/float64(max(1, len(got))))
	}
	r := mean("boundary F 3 s", "", f)
	r.note = fmt.Sprintf("recall %.2f precision %.2f", mean("", "", found).value, mean("", "", kept).value)
	return r, nil
}
