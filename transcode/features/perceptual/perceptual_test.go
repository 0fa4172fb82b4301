package perceptual_test

import (
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/features/perceptual"
	"github.com/melodyud/melodyud/transcode/features/rhythm"
	"github.com/melodyud/melodyud/transcode/features/spectrum"
	"github.com/melodyud/melodyud/transcode/features/timbre"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// hear analyses x, mono at spectrum.RateR.
func hear(x []float32) perceptual.Track {
	colour, pulse := timbre.New(), rhythm.New()
	s := spectrum.NewSTFT(spectrum.SizeR, spectrum.HopR)
	frame := func(power []float32) {
		colour.Frame(power)
		pulse.Frame(power)
	}
	colour.Samples(x)
	s.Write(x, frame)
	s.Close(frame)
	m := pcm.NewMeter(pcm.Format{Rate: spectrum.RateR, Channels: 1})
	m.Write(pcm.Block{Samples: [][]float32{x}})
	return perceptual.Track{Loudness: m.Loudness(), Rhythm: pulse.Result().Rhythm, Timbre: colour.Result()}
}

// song is a drum loop over a pad of sines. Levels are of drums, pad and noise.
type song struct {
	seconds           float64
	bpm               float64
	drums, pad, noise float64
}

func (s song) sound() []float32 {
	random := rand.New(rand.NewPCG(7, 7))
	x := make([]float32, int(s.seconds*spectrum.RateR))
	beat := 60 / s.bpm
	for i := range x {
		t := float64(i) / spectrum.RateR
		v := s.noise * random.NormFloat64()
		for _, hz := range []float64{220, 277.2, 329.6} {
			v += s.pad * math.Sin(2*math.Pi*hz*t)
		}
		kick := math.Mod(t, beat)
		v += s.drums * math.Exp(-kick*20) * math.Sin(2*math.Pi*(55+60*math.Exp(-kick*40))*kick)
		hat := math.Mod(t, beat/2)
		v += 0.4 * s.drums * math.Exp(-hat*60) * random.NormFloat64()
		if snare := math.Mod(t, 2*beat) - beat; snare > 0 {
			v += 0.7 * s.drums * math.Exp(-snare*25) * random.NormFloat64()
		}
		x[i] = float32(v / 2)
	}
	return x
}

var loop = song{seconds: 8, bpm: 118, drums: 0.4, pad: 0.05, noise: 0.001}

func energy(x []float32) float64 { return *perceptual.Scores(hear(x)).Energy.Value }

func TestLouderFasterNoisierAndMoreDrumsHaveMoreEnergy(t *testing.T) {
	t.Parallel()
	base := energy(loop.sound())
	louder := loop.sound()
	for i := range louder {
		louder[i] *= 2
	}
	faster, noisier, drums := loop, loop, loop
	faster.bpm, noisier.noise, drums.drums = 160, 0.03, 0.8
	for what, x := range map[string][]float32{
		"6 dB louder": louder, "160 BPM for 118": faster.sound(), "noisier": noisier.sound(), "more drums": drums.sound(),
	} {
		if e := energy(x); e <= base+0.005 {
			t.Errorf("%s: energy %.3f, before %.3f", what, e, base)
		}
	}
}

func TestADrumLoopIsMoreDanceableThanAPad(t *testing.T) {
	t.Parallel()
	pad := loop
	pad.drums, pad.pad = 0, 0.2
	drums, still := *perceptual.Scores(hear(loop.sound())).Danceability.Value, *perceptual.Scores(hear(pad.sound())).Danceability.Value
	if drums < 0.6 || still > 0.3 {
		t.Errorf("the loop has %.3f, the pad %.3f", drums, still)
	}
}

func TestAPadIsMoreAcousticThanADrumLoop(t *testing.T) {
	t.Parallel()
	pad := loop
	pad.drums, pad.pad = 0, 0.2
	drums, still := *perceptual.Scores(hear(loop.sound())).Acousticness.Value, *perceptual.Scores(hear(pad.sound())).Acousticness.Value
	if still < drums+0.3 {
		t.Errorf("the loop has %.3f, the pad %.3f", drums, still)
	}
}

func TestMajorAndFastIsHappier(t *testing.T) {
	t.Parallel()
	valence := func(mode int, bpm float64) float64 {
		track, sure := hear(loop.sound()), 0.8
		track.Tonal = melodyud.Tonal{Mode: &mode, KeyConfidence: &sure}
		track.Rhythm.Tempo = &bpm
		return *perceptual.Scores(track).Valence.Value
	}
	if a, b, c := valence(0, 80), valence(1, 80), valence(1, 160); !(a < b && b < c) {
		t.Errorf("minor %.3f, major %.3f, major and fast %.3f", a, b, c)
	}
}

func TestWhatCannotBeScoredSaysWhy(t *testing.T) {
	t.Parallel()
	for reason, x := range map[string][]float32{"silent": make([]float32, 50000), "too_short": loop.sound()[:10000]} {
		p := perceptual.Scores(hear(x))
		if p.Reason != reason || p.Energy.Value != nil || p.Liveness.Value != nil || p.Energy.Model != perceptual.Model {
			t.Errorf("want nothing for the reason %q: %+v", reason, p)
		}
	}
}

func TestScoresStayBetweenNoneAndAll(t *testing.T) {
	t.Parallel()
	dc := make([]float32, 2*spectrum.RateR)
	for i := range dc {
		dc[i] = 1
	}
	hiss := song{seconds: 2, bpm: 60, noise: 10}
	tracks := []perceptual.Track{hear(dc), hear(hiss.sound()), hear(loop.sound()[:2*spectrum.RateR]), {Timbre: timbre.Result{Statistics: timbre.Statistics{Frames: 1000}}}}
	for i, track := range tracks {
		p := perceptual.Scores(track)
		for _, s := range []melodyud.Score{p.Energy, p.Danceability, p.Acousticness, p.Instrumentalness, p.Valence, p.Speechiness, p.Liveness} {
			if s.Value == nil || !(*s.Value >= 0 && *s.Value <= 1) || s.Calibrated {
				t.Errorf("track %d: %+v", i, s)
			}
		}
	}
}

// babble is like speech: voiced syllables that glide, hissed consonants, rests
// between words.
func babble(seconds float64) []float32 {
	random := rand.New(rand.NewPCG(8, 8))
	x := make([]float32, int(seconds*spectrum.RateR))
	for at := 0; at < len(x); {
		pitch, bright := 100+60*random.Float64(), 4+12*random.Float64()
		for range 1 + random.IntN(4) { // syllables of a word
			hiss, voice := int(0.06*spectrum.RateR), int((0.1+0.12*random.Float64())*spectrum.RateR)
			for i := at; i < min(len(x), at+hiss); i++ {
				x[i] = float32(0.04 * random.NormFloat64())
			}
			for i := 0; i < voice && at+hiss+i < len(x); i++ {
				t, v := float64(i)/spectrum.RateR, 0.0
				for h := 1.0; h < bright; h++ {
					v += math.Sin(2*math.Pi*pitch*h*t*(1-0.3*t)) / h
				}
				x[at+hiss+i] = float32(0.3 * v * math.Sin(math.Pi*float64(i)/float64(voice)))
			}
			at += hiss + voice
		}
		at += int((0.1 + 0.2*random.Float64()) * spectrum.RateR)
	}
	return x
}

func TestBabbleIsMoreLikeSpeechThanALoop(t *testing.T) {
	t.Parallel()
	pad := loop
	pad.drums, pad.pad = 0, 0.2
	speech := *perceptual.Scores(hear(babble(8))).Speechiness.Value
	for what, s := range map[string]song{"loop": loop, "pad": pad} {
		if music := *perceptual.Scores(hear(s.sound())).Speechiness.Value; speech < 0.5 || music > speech-0.3 {
			t.Errorf("babble has %.3f, the %s %.3f", speech, what, music)
		}
	}
}

// TestSpeechIsToldFromMusic lets espeak-ng speak and compares with the music of
// the corpus. The table of soundbench does the same with more voices.
func TestSpeechIsToldFromMusic(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"espeak-ng", "ffmpeg"} {
		if _, err := exec.LookPath(tool); err != nil || testing.Short() {
			t.Skipf("needs %s and not -short", tool)
		}
	}
	root := os.Getenv("MELODYUD_CORPUS")
	if root == "" {
		root = "../../../../shared/corpus"
	}
	music, err := filepath.Glob(filepath.Join(root, "music", "*.*"))
	if err != nil || len(music) == 0 {
		t.Skip("no corpus at " + root)
	}
	var spoken, played []float64
	for _, voice := range []string{"en-us", "en-gb+f3", "de", "fr-fr+m4"} {
		wav := filepath.Join(t.TempDir(), strings.ReplaceAll(voice, "+", "-")+".wav")
		text := "It was a bright cold day in spring, and the clocks were striking. Nobody in the house had slept, but everybody said good morning."
		if out, err := exec.Command("espeak-ng", "-v", voice, "-w", wav, text).CombinedOutput(); err != nil {
			t.Skipf("espeak-ng: %v %s", err, out)
		}
		spoken = append(spoken, speechiness(t, wav))
	}
	for _, path := range music {
		played = append(played, speechiness(t, path))
	}
	below := 0
	for _, s := range spoken {
		for _, p := range played {
			if p < s {
				below++
			}
		}
	}
	if auc := float64(below) / float64(len(spoken)*len(played)); auc < 0.95 {
		t.Errorf("AUC %.3f: speech %.3f, music %.3f", auc, spoken, played)
	}
}

// speechiness is of a file's first 15 s.
func speechiness(t *testing.T, path string) float64 {
	t.Helper()
	raw, err := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-t", "15", "-i", path, "-ac", "1", "-ar", "22050", "-f", "s16le", "-").Output()
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	x := make([]float32, len(raw)/2)
	for i := range x {
		x[i] = float32(int16(uint16(raw[2*i])|uint16(raw[2*i+1])<<8)) / 32768
	}
	return *perceptual.Scores(hear(x)).Speechiness.Value
}
