package structure_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/melodyud/melodyud/transcode/features/structure"
)

const (
	chromaStep  = 0.1858
	cepstraStep = 0.0929
	powerStep   = 256.0 / 22050
)

// part is a stretch of a made-up track.
type part struct {
	seconds float64
	chords  [][3]int // one of 2 s after the other
	colour  float32
	power   float32
	bpm     float64
}

var (
	inC      = [][3]int{{0, 4, 7}, {5, 9, 0}, {7, 11, 2}, {0, 4, 7}}
	inFsharp = [][3]int{{6, 10, 1}, {11, 3, 6}, {1, 5, 8}, {6, 10, 1}}
	verse    = part{seconds: 24, chords: inC, colour: 0, power: 0.01, bpm: 120}
	chorus   = part{seconds: 30, chords: inFsharp, colour: 15, power: 0.04, bpm: 120}
	faster   = part{seconds: 24, chords: inC, colour: 0, power: 0.01, bpm: 150}
)

// maker makes an Input.
type maker struct {
	structure.Input
	noise *rand.Rand
}

// track is the Input of parts that follow each other, with a little noise.
func track(parts ...part) structure.Input {
	m := maker{noise: rand.New(rand.NewPCG(5, 5))}
	m.ChromaStep, m.CepstraStep, m.PowerStep, m.Tonal = chromaStep, cepstraStep, powerStep, true
	for _, p := range parts {
		m.add(p)
	}
	return m.Input
}

func (m *maker) wobble(v float32) float32 { return v * float32(0.9+0.2*m.noise.Float64()) }

func (m *maker) add(p part) {
	end := m.Duration + p.seconds
	for n := len(m.Chroma); float64(n)*chromaStep < end; n++ {
		var c [12]float32
		for _, k := range p.chords[int(max(0, float64(n)*chromaStep-m.Duration)/2)%len(p.chords)] {
			c[k] = m.wobble(0.9)
		}
		m.Chroma = append(m.Chroma, c)
	}
	for n := len(m.Cepstra); float64(n)*cepstraStep < end; n++ {
		m.Cepstra = append(m.Cepstra, [structure.Cepstra]float32{-200 + p.colour, m.wobble(20 + p.colour), m.wobble(-10 - p.colour)})
	}
	for n := len(m.Power); float64(n)*powerStep < end; n++ {
		m.Power = append(m.Power, p.power)
	}
	for n := len(m.ShortTerm); float64(n)*0.1 < end-3; n++ {
		m.ShortTerm = append(m.ShortTerm, float64(p.power))
	}
	for n := 0.0; n*60/p.bpm < p.seconds-1e-9; n++ {
		at := m.Duration + n*60/p.bpm
		m.Beats = append(m.Beats, at)
		m.Onsets = append(m.Onsets, structure.Onset{Time: at, Strength: 0.5})
	}
	m.Duration = end
}

func TestSectionsBeginWhereTheMusicChanges(t *testing.T) {
	t.Parallel()
	for name, beats := range map[string]bool{"with beats": true, "without": false} {
		in := track(verse, chorus, faster)
		if !beats {
			in.Beats = nil
		}
		s := structure.Sections(in).Sections
		if len(s) != 3 || math.Abs(s[1].Start-24) > 1 || math.Abs(s[2].Start-54) > 1 {
			t.Fatalf("%s: %+v", name, s)
		}
		if s[0].Key == nil || *s[0].Key != 0 || *s[0].Mode != 1 || *s[1].Key != 6 {
			t.Errorf("%s: keys %v %v", name, s[0].Key, s[1].Key)
		}
		if d := *s[1].Loudness - *s[0].Loudness; math.Abs(d-6) > 0.5 {
			t.Errorf("%s: the chorus is %.1f dB louder, want 6", name, d)
		}
		if beats && (math.Abs(*s[1].Tempo-120) > 1 || math.Abs(*s[2].Tempo-150) > 1) {
			t.Errorf("tempi %v %v", *s[1].Tempo, *s[2].Tempo)
		}
		if !beats && s[1].Tempo != nil {
			t.Errorf("without beats: tempo %v", *s[1].Tempo)
		}
	}
}

func TestSectionsCoverTheTrack(t *testing.T) {
	t.Parallel()
	in := track(chorus, verse, chorus, faster, verse)
	end := 0.0
	for _, s := range structure.Sections(in).Sections {
		if s.Start != end || s.Duration <= 0 || s.Confidence < 0 || s.Confidence > 1 {
			t.Errorf("section at %v for %v after %v", s.Start, s.Duration, end)
		}
		end = s.Start + s.Duration
	}
	if math.Abs(end-in.Duration) > 1e-9 {
		t.Errorf("sections end at %v of %v", end, in.Duration)
	}
}

func TestWhatDoesNotChangeIsOneSection(t *testing.T) {
	t.Parallel()
	if s := structure.Sections(track(verse, verse, verse)).Sections; len(s) != 1 {
		t.Errorf("%d sections: %+v", len(s), s)
	}
}

func TestWhatHasNoSectionsSaysWhy(t *testing.T) {
	t.Parallel()
	silent := track(part{seconds: 30, chords: [][3]int{{}}, bpm: 60})
	clear(silent.Chroma)
	for name, c := range map[string]struct {
		in     structure.Input
		reason string
	}{
		"nothing":   {structure.Input{}, "silent"},
		"silence":   {silent, "silent"},
		"a second":  {track(part{seconds: 1, chords: inC, power: 0.1, bpm: 60}), "too_short"},
		"a verse":   {track(verse), ""},
		"NaN":       {structure.Input{Duration: math.NaN(), Power: []float32{1}, PowerStep: 1}, "too_short"},
		"no chroma": {structure.Input{Duration: 20, Power: []float32{1}, PowerStep: 20}, ""},
	} {
		if s := structure.Sections(c.in); s.Reason != c.reason || (s.Sections == nil) != (c.reason != "") {
			t.Errorf("%s: %+v, want the reason %q", name, s, c.reason)
		}
	}
}

func TestSegmentsGoFromOnsetToOnset(t *testing.T) {
	t.Parallel()
	in := track(verse)
	in.Onsets = []structure.Onset{{Time: 0.02, Strength: 0.2}, {Time: 1, Strength: 0.7}, {Time: 1.03, Strength: 0.9}, {Time: 2, Strength: 0.4}, {Time: 23.99, Strength: 1}}
	in.Power[129] = 0.5 // at 1.5 s
	s := structure.Segments(in)
	if len(s) != 3 || s[1].Start != 1 || s[1].Duration != 1 || s[1].Confidence != 0.9 || s[2].Start+s[2].Duration != in.Duration {
		t.Fatalf("%+v", s)
	}
	if math.Abs(s[1].LoudnessMaxTime-0.5) > powerStep || math.Abs(s[1].LoudnessMax+3.01) > 0.01 || math.Abs(s[1].LoudnessStart+20) > 0.01 || math.Abs(s[1].LoudnessEnd+20) > 0.01 {
		t.Errorf("levels of %+v", s[1])
	}
	if len(s[0].Pitches) != 12 || len(s[0].Timbre) != 12 || s[0].Pitches[0] < 0.9 || s[0].Pitches[1] != 0 || math.Abs(s[0].Timbre[0]+200) > 1e-9 {
		t.Errorf("pitches %v, timbre %v", s[0].Pitches, s[0].Timbre)
	}
	if structure.Segments(structure.Input{Duration: 3}) != nil {
		t.Error("silence has segments")
	}
}

func TestAnyInputGivesFiniteNumbers(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(8, 8))
	odd := []float64{0, math.NaN(), math.Inf(1), math.Inf(-1), -1, 1e30, 1e-30, 1, 50}
	pick := func() float64 { return odd[rng.IntN(len(odd))] }
	for range 300 {
		in := structure.Input{
			Duration: rng.Float64() * 100, ChromaStep: rng.Float64(), CepstraStep: rng.Float64(), PowerStep: rng.Float64(), Tonal: true,
			Chroma: make([][12]float32, rng.IntN(40)), Cepstra: make([][structure.Cepstra]float32, rng.IntN(40)),
		}
		for i := range in.Chroma {
			in.Chroma[i][rng.IntN(12)] = float32(pick())
		}
		for i := range in.Cepstra {
			in.Cepstra[i][rng.IntN(structure.Cepstra)] = float32(pick())
		}
		for range rng.IntN(50) {
			in.Beats = append(in.Beats, pick()+rng.Float64()*100)
			in.Onsets = append(in.Onsets, structure.Onset{Time: pick() * rng.Float64(), Strength: pick()})
			in.ShortTerm = append(in.ShortTerm, pick())
			in.Power = append(in.Power, float32(pick()))
		}
		if _, err := json.Marshal([]any{structure.Sections(in), structure.Segments(in)}); err != nil {
			t.Fatalf("%v of %+v", err, in) // JSON has no NaN and no infinity
		}
	}
}

func TestTheEnvelopeIsBoundedAndLeavesOutDirectCurrent(t *testing.T) {
	t.Parallel()
	e := structure.NewEnvelope()
	x := make([]float32, 1000)
	for i := range x {
		x[i] = 0.25 + 0.5*float32(1-2*(i/5%2)) // a square wave above direct current
	}
	x[3] = float32(math.NaN())
	const blocks = 40_000
	for range blocks {
		e.Write(x)
	}
	power, samples := e.Power()
	if len(power) > 1<<17 || len(power)*samples < blocks*len(x)-samples || math.Abs(float64(power[99])-0.25) > 0.01 {
		t.Errorf("%d of %d samples, %v", len(power), samples, power[99])
	}
}

func TestDirectCurrentIsSilence(t *testing.T) {
	t.Parallel()
	e := structure.NewEnvelope()
	x := make([]float32, 22050)
	for i := range x {
		x[i] = 0.4
	}
	for range 10 {
		e.Write(x)
	}
	power, samples := e.Power()
	in := structure.Input{Duration: 10, Power: power, PowerStep: float64(samples) / 22050}
	if s := structure.Sections(in); s.Reason != "silent" || structure.Segments(in) != nil {
		t.Errorf("sections of direct current: %+v", s)
	}
}
