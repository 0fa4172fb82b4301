package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/features/spectrum"
	"github.com/melodyud/melodyud/transcode/features/tonal"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// tones is a listener behind its transform.
type tones struct {
	listener *tonal.Listener
	frames   *spectrum.STFT
}

func newTones() tones {
	return tones{tonal.New(), spectrum.NewSTFT(spectrum.SizeT, spectrum.HopT)}
}

func (t tones) write(x []float32) { t.frames.Write(x, t.listener.Frame) }

func (t tones) result() tonal.Result {
	t.frames.Close(t.listener.Frame)
	return t.listener.Result()
}

// hearTones returns key and tuning of a file, which ffmpeg may change before.
func hearTones(ctx context.Context, path string, options ...string) (melodyud.Tonal, error) {
	front, err := spectrum.NewFront(stereo)
	if err != nil {
		return melodyud.Tonal{}, err
	}
	t := newTones()
	if err := listen(ctx, path, func(b pcm.Block) { front.Write(b, ignore, t.write) }, options...); err != nil {
		return melodyud.Tonal{}, err
	}
	front.Close(ignore, t.write)
	return t.result().Tonal, nil
}

// faster raises sound by semitones, and its speed.
func faster(semitones float64) []string {
	return []string{"-af", fmt.Sprintf("aresample=44100,asetrate=%d", int(math.Round(44100*math.Exp2(semitones/12))))}
}

// parseKey reads "Ab:min", "C major" and the like.
func parseKey(s string) (k melodyud.KeyGuess, ok bool) {
	if s == "" || s[0] < 'A' || s[0] > 'G' {
		return k, false
	}
	k.Key = [...]int{9, 11, 0, 2, 4, 5, 7}[s[0]-'A']
	s = s[1:]
	for ; strings.HasPrefix(s, "b"); s = s[1:] {
		k.Key += 11
	}
	for ; strings.HasPrefix(s, "#"); s = s[1:] {
		k.Key++
	}
	k.Key %= 12
	mode := strings.Trim(s, ": \t\r")
	if strings.HasPrefix(mode, "maj") {
		k.Mode = 1
	}
	return k, strings.HasPrefix(mode, "m")
}

// keyScore is MIREX's, as mir_eval has it.
func keyScore(got, truth melodyud.KeyGuess) float64 {
	above := (got.Key - truth.Key + 12) % 12
	switch {
	case got == truth:
		return 1
	case got.Mode == truth.Mode && above == 7:
		return 0.5
	case got.Mode != truth.Mode && above == 9-6*(1-truth.Mode):
		return 0.3
	case got.Mode != truth.Mode && above == 0:
		return 0.2
	}
	return 0
}

// keyScorerTable checks keyScore on mir_eval's own pairs.
func keyScorerTable(_ context.Context, b *bench) ([]row, error) {
	dir := filepath.Join(b.corpus, "mir-eval", "key")
	outputs, err := filepath.Glob(filepath.Join(dir, "output*.json"))
	if err != nil || len(outputs) == 0 {
		return nil, errors.Join(err, fmt.Errorf("no pairs of mir_eval in %s", dir))
	}
	worst := 0.0
	for _, output := range outputs {
		n := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(output), "output"), ".json")
		want := map[string]float64{}
		file, err := os.ReadFile(output)
		if err == nil {
			err = json.Unmarshal(file, &want)
		}
		truth, err2 := keyIn(filepath.Join(dir, "ref"+n+".txt"))
		got, err3 := keyIn(filepath.Join(dir, "est"+n+".txt"))
		if err := errors.Join(err, err2, err3); err != nil {
			return nil, err
		}
		worst = max(worst, math.Abs(keyScore(got, truth)-want["Weighted Score"]))
	}
	return []row{row{metric: "key score off mir_eval's", data: "mir-eval", n: len(outputs), value: worst}.must(atMost(1e-9), bound{})}, nil
}

func keyIn(path string) (melodyud.KeyGuess, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return melodyud.KeyGuess{}, err
	}
	line := string(file)
	for strings.HasPrefix(line, "#") { // a comment
		_, line, _ = strings.Cut(line, "\n")
	}
	k, ok := parseKey(strings.Join(strings.Fields(line), " "))
	if !ok {
		return k, fmt.Errorf("%s: no key in %q", path, line)
	}
	return k, nil
}

// keyResults gathers what was right.
type keyResults struct {
	scores    []float64
	exact     int
	confident []judged
	wrong     []string
}

func (r *keyResults) add(name string, t melodyud.Tonal, truth melodyud.KeyGuess) {
	score, got := 0.0, melodyud.KeyGuess{Key: -1}
	if t.Key != nil {
		got = melodyud.KeyGuess{Key: *t.Key, Mode: *t.Mode}
		score = keyScore(got, truth)
	}
	r.scores = append(r.scores, score)
	r.confident = append(r.confident, judged{value(t.KeyConfidence), got == truth})
	if got == truth {
		r.exact++
		return
	}
	r.wrong = append(r.wrong, fmt.Sprintf("%s %s->%s", name, spell(truth), spell(got)))
}

func spell(k melodyud.KeyGuess) string {
	if k.Key < 0 {
		return "none"
	}
	name := [...]string{"C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"}[k.Key]
	if k.Mode == 0 {
		name += "m"
	}
	return name
}

func (r *keyResults) rows(data string, gate, target bound) []row {
	weighted := mean("key weighted", data, r.scores).must(gate, target)
	weighted.note = strings.Join(r.wrong, " ")
	return []row{weighted, share("key exact", data, r.exact, len(r.scores))}
}

// keyConfidence is the row of whether sure answers are right more often.
func keyConfidence(data string, all []judged) row {
	s := tempoScore{confident: all}
	sure, unsure := s.halves()
	return row{metric: "exact, sure - unsure", data: data, n: len(all), value: sure - unsure}.must(atLeast(0), bound{})
}

// keyGoals are gate and target of each flavour of SYN-A.
var keyGoals = map[string][2]float64{"piano": {0.84, 0.93}, "band": {0.88, 0.90}}

// keyTable is about the keys of SYN-A, with both sound fonts.
func keyTable(ctx context.Context, b *bench) ([]row, error) {
	var rows []row
	var all []judged
	var scores []float64
	for _, font := range []string{fontTuned, fontHeldOut} {
		for _, flavour := range []string{"piano", "band"} {
			clips, err := b.synA(ctx, flavour, font)
			if err != nil {
				return rows, err
			}
			var r keyResults
			for _, c := range clips {
				t, err := hearTones(ctx, c.Path)
				truth, ok := parseKey(c.Key)
				if err != nil || !ok {
					return rows, errors.Join(err, fmt.Errorf("%s has the key %q", c.Name, c.Key))
				}
				r.add(c.Name, t, truth)
			}
			name, gate := "SYN-A "+flavour, atLeast(keyGoals[flavour][0])
			if font == fontHeldOut { // n is too small to fail on it alone
				name, gate = name+" TimGM6mb", bound{}
			}
			rows = append(rows, r.rows(name, gate, atLeast(keyGoals[flavour][1]))...)
			scores = append(scores, r.scores...)
			if b.others {
				rows = append(rows, b.essentiaKeys(ctx, name, clips)...)
			}
			all = append(all, r.confident...)
		}
	}
	whole := mean("key weighted", "SYN-A, both fonts", scores).must(atLeast(0.86), atLeast(0.91))
	return append(rows, whole, keyConfidence("SYN-A, both fonts", all)), nil
}

//go:embed essentia-key.js
var essentiaKeyScript []byte

// essentiaKeys are the rows of Essentia's KeyExtractor, where somebody installed
// essentia.js: see essentia.
func (b *bench) essentiaKeys(ctx context.Context, data string, clips []clip) []row {
	var r keyResults
	for _, c := range clips {
		got, err := b.essentiaKey(ctx, c)
		if err != nil {
			fmt.Printf("  SKIPPED: essentia: %v\n", err)
			return nil
		}
		truth, _ := parseKey(c.Key)
		r.add(c.Name, melodyud.Tonal{Key: &got.Key, Mode: &got.Mode}, truth)
	}
	var rows []row
	for _, row := range r.rows(data, bound{}, bound{}) {
		rows = append(rows, row.by("essentia"))
	}
	return rows
}

func (b *bench) essentiaKey(ctx context.Context, c clip) (melodyud.KeyGuess, error) {
	if _, err := os.Stat(filepath.Join(b.cache, "node_modules", "essentia.js")); err != nil {
		return melodyud.KeyGuess{}, fmt.Errorf("essentia.js is not installed in %s", b.cache)
	}
	script := filepath.Join(b.cache, "essentia-key.cjs")
	if err := os.WriteFile(script, essentiaKeyScript, 0o666); err != nil {
		return melodyud.KeyGuess{}, err
	}
	out, err := b.said(ctx, "essentia-key-"+filepath.Base(c.Path), "node", script, c.Path)
	if err != nil {
		return melodyud.KeyGuess{}, err
	}
	key, ok := parseKey(out)
	if !ok {
		return key, fmt.Errorf("essentia said %q", out)
	}
	return key, nil
}

// keyCorpusTable is about the files of the corpus whose key is known.
func keyCorpusTable(ctx context.Context, b *bench) ([]row, error) {
	file, err := os.ReadFile(filepath.Join(b.corpus, "expected", "tempo-key.tsv"))
	if err != nil {
		return nil, err
	}
	var r keyResults
	for _, line := range strings.Split(string(file), "\n") {
		f := strings.Split(line, "\t")
		if len(f) < 3 {
			continue
		}
		truth, ok := parseKey(f[1])
		if !ok {
			continue
		}
		t, err := hearTones(ctx, filepath.Join(b.corpus, f[0]))
		if err != nil {
			return nil, err
		}
		r.add(strings.TrimSuffix(filepath.Base(f[0]), filepath.Ext(f[0])), t, truth)
	}
	return append(r.rows("tempo-key.tsv", atLeast(0.85), atLeast(0.92)), keyConfidence("tempo-key.tsv", r.confident)), nil
}

// transposed is how many clips of each flavour are transposed.
const transposed = 2

// transpositionTable is about sound that is raised: its key must follow, and its
// tuning.
func transpositionTable(ctx context.Context, b *bench) ([]row, error) {
	follow, n, worst, tuned := 0, 0, 0.0, 0
	for _, flavour := range []string{"piano", "band"} {
		clips, err := b.synA(ctx, flavour, fontTuned)
		if err != nil {
			return nil, err
		}
		for _, c := range clips[:min(transposed, len(clips))] {
			plain, err := hearTones(ctx, c.Path)
			if err != nil {
				return nil, err
			}
			for by := -5; by <= 6; by++ {
				t, err := hearTones(ctx, c.Path, faster(float64(by))...)
				if err != nil {
					return nil, err
				}
				n++
				if plain.Key != nil && t.Key != nil && *t.Key == (*plain.Key+by+12)%12 && *t.Mode == *plain.Mode {
					follow++
				}
			}
			for _, cents := range []float64{-40, -20, -7, 13, 31.77, 45} {
				t, err := hearTones(ctx, c.Path, faster(cents/100)...)
				if err != nil {
					return nil, err
				}
				tuned++
				worst = max(worst, math.Abs(math.Remainder(value(t.TuningCents)-value(plain.TuningCents)-cents, 100)))
			}
		}
	}
	return []row{
		share("key follows", "SYN-A by -5..6", follow, n).must(atLeast(0.97), atLeast(0.99)),
		row{metric: "worst tuning, cents", data: "SYN-A detuned", n: tuned, value: worst}.must(atMost(3), bound{}),
	}, nil
}

// atonalTable is about sound without notes: it must get no key.
func atonalTable(ctx context.Context, b *bench) ([]row, error) {
	keyless := []string{"real-music/speech*", "tempo-key/drums/*", "tempo-key/synthetic/beat-*", "tempo-key/impulses/*"}
	var wrong []string
	n := 0
	for _, pattern := range keyless {
		files, err := filepath.Glob(filepath.Join(b.corpus, pattern))
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			t, err := hearTones(ctx, f)
			if err != nil {
				return nil, err
			}
			n++
			if t.Key != nil || t.Reason == "" {
				wrong = append(wrong, filepath.Base(f))
			}
		}
	}
	r := row{metric: "key where none is", data: "speech drums clicks", n: n, value: float64(len(wrong)), note: strings.Join(wrong, " ")}
	return []row{r.must(atMost(0), bound{})}, nil
}
