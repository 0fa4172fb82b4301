package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/melodyud/melodyud/transcode/features/rhythm"
	"github.com/melodyud/melodyud/transcode/features/spectrum"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// hear returns the rhythm of a file.
func hear(ctx context.Context, path string) (rhythm.Result, error) {
	front, err := spectrum.NewFront(stereo)
	if err != nil {
		return rhythm.Result{}, err
	}
	p := pulse{rhythm.New(), spectrum.NewSTFT(spectrum.SizeR, spectrum.HopR)}
	if err := listen(ctx, path, func(b pcm.Block) { front.Write(b, p.write, ignore) }); err != nil {
		return rhythm.Result{}, err
	}
	front.Close(p.write, ignore)
	return p.result(), nil
}

func ignore([]float32) {}

// pulse is a tracker behind its transform.
type pulse struct {
	tracker *rhythm.Tracker
	frames  *spectrum.STFT
}

func (p pulse) write(x []float32) { p.frames.Write(x, p.tracker.Frame) }

func (p pulse) result() rhythm.Result {
	p.frames.Close(p.tracker.Frame)
	return p.tracker.Result()
}

// value is what p points at, or 0.
func value(p *float64) float64 {
	if p == nil {
		return 0
	}
	return *p
}

// tempoScore gathers what a tempo tracker got right.
type tempoScore struct {
	n, one, two int
	f           []float64
	confident   []judged
	worst       float64 // octave error in BPM
	meters      int
	bars        []float64
}

type judged struct {
	confidence float64
	right      bool
}

func (s *tempoScore) add(c clip, bpm float64, beats []float64) {
	one, two := tempoRight(bpm, c.BPM)
	s.n++
	if one {
		s.one++
	}
	if two {
		s.two++
	}
	s.worst = max(s.worst, octaveError(bpm, c.BPM))
	if len(c.Beats) > 0 {
		s.f = append(s.f, beatF(beats, c.Beats))
	}
}

// addOurs adds also what only we report.
func (s *tempoScore) addOurs(c clip, r rhythm.Result) {
	s.add(c, value(r.Tempo), r.Beats)
	one, _ := tempoRight(value(r.Tempo), c.BPM)
	s.confident = append(s.confident, judged{value(r.TempoConfidence), one})
	if r.Meter != nil && (*r.Meter == 4 || *r.Meter == 2) {
		s.meters++
	}
	var downs []float64
	for _, i := range r.Downbeats {
		downs = append(downs, r.Beats[i])
	}
	s.bars = append(s.bars, barPrecision(downs, c.Down))
}

// barPrecision is the share of downbeats after 5 s that are among the truth's,
// which for SYN-A holds every second beat.
func barPrecision(got, truth []float64) float64 {
	got, right := from(got, beatsFrom), 0
	for _, t := range got {
		if slices.ContainsFunc(truth, func(d float64) bool { return math.Abs(d-t) <= beatTolerance }) {
			right++
		}
	}
	return float64(right) / float64(max(1, len(got)))
}

// halves returns Accuracy1 of the more and the less confident half.
func (s *tempoScore) halves() (sure, unsure float64) {
	slices.SortStableFunc(s.confident, func(a, b judged) int {
		switch {
		case a.confidence > b.confidence:
			return -1
		case a.confidence < b.confidence:
			return 1
		}
		return 0
	})
	of := func(js []judged) float64 {
		n := 0.0
		for _, j := range js {
			if j.right {
				n++
			}
		}
		return n / float64(max(1, len(js)))
	}
	half := len(s.confident) / 2
	return of(s.confident[:half]), of(s.confident[half:])
}

// goals are the gates and targets of one flavour.
type goals struct{ one, two, f [2]float64 }

var tempoGoals = map[string]goals{
	"piano": {one: [2]float64{0.58, 0.75}, two: [2]float64{0.94, 0.98}, f: [2]float64{0.72, 0.80}},
	"band":  {one: [2]float64{0.64, 0.80}, two: [2]float64{0.98, 1.00}, f: [2]float64{0.77, 0.87}},
}

func tempoTable(ctx context.Context, b *bench) ([]row, error) {
	return b.tempoRows(ctx, fontTuned, b.others)
}

func heldOutTable(ctx context.Context, b *bench) ([]row, error) {
	return b.tempoRows(ctx, fontHeldOut, false)
}

func (b *bench) tempoRows(ctx context.Context, font string, others bool) ([]row, error) {
	var rows []row
	for _, flavour := range []string{"piano", "band"} {
		clips, err := b.synA(ctx, flavour, font)
		if err != nil {
			return rows, err
		}
		s := tempoScore{}
		for _, c := range clips {
			r, err := hear(ctx, c.Path)
			if err != nil {
				return rows, err
			}
			s.addOurs(c, r)
		}
		name := "SYN-A " + flavour
		if font == fontHeldOut {
			name += " TimGM6mb"
		}
		rows = append(rows, s.rows(name, tempoGoals[flavour])...)
		if others {
			rows = append(rows, b.otherTempi(ctx, name, clips)...)
		}
	}
	return rows, nil
}

func (s *tempoScore) rows(data string, g goals) []row {
	sure, unsure := s.halves()
	confidence := row{metric: "Accuracy1 sure - unsure", data: data, n: s.n, value: sure - unsure}
	return []row{
		share("tempo Accuracy1", data, s.one, s.n).must(atLeast(g.one[0]), atLeast(g.one[1])),
		share("tempo Accuracy2", data, s.two, s.n).must(atLeast(g.two[0]), atLeast(g.two[1])),
		mean("beat F 70 ms", data, s.f).must(atLeast(g.f[0]), atLeast(g.f[1])),
		confidence.must(atLeast(0), bound{}),
		share("meter 4", data, s.meters, s.n),
		mean("downbeat precision", data, s.bars),
	}
}

// clicksTable is about clicks at 40 to 220 BPM.
func clicksTable(context.Context, *bench) ([]row, error) {
	worst, octaves, n := 0.0, 0, 0
	var wrong []string
	for bpm := 40.0; bpm <= 220; bpm += 4.5 {
		n++
		r := click(bpm)
		got := value(r.Tempo)
		worst = max(worst, octaveError(got, bpm))
		if bpm >= 60 && bpm <= 180 && !near(got, bpm) {
			octaves++
			wrong = append(wrong, fmt.Sprintf("%g->%.1f", bpm, got))
		}
	}
	return []row{
		row{metric: "worst error, BPM", data: "clicks 40..220", n: n, value: worst}.must(atMost(0.05), bound{}),
		row{metric: "wrong octaves 60..180", data: "clicks 40..220", n: n, value: float64(octaves), note: strings.Join(wrong, " ")}.must(atMost(0), bound{}),
	}, nil
}

// click returns what we hear in 20 s of clicks.
func click(bpm float64) rhythm.Result {
	p := pulse{rhythm.New(), spectrum.NewSTFT(spectrum.SizeR, spectrum.HopR)}
	x := make([]float32, 20*spectrum.RateR)
	for at := 0.2; ; at += 60 / bpm {
		first := int(math.Round(at * spectrum.RateR))
		if first >= len(x) {
			break
		}
		for i := range min(440, len(x)-first) {
			x[first+i] = float32(0.5 * math.Exp(-float64(i)/90) * math.Sin(2*math.Pi*1500*float64(i)/spectrum.RateR))
		}
	}
	p.write(x)
	return p.result()
}

// realTable is about FOF-8.
func realTable(ctx context.Context, b *bench) ([]row, error) {
	clips, err := b.fofSongs(ctx)
	if err != nil {
		return nil, err
	}
	s, notes := tempoScore{}, []string{}
	for _, c := range clips {
		r, err := hear(ctx, c.Path)
		if err != nil {
			return nil, err
		}
		s.add(c, value(r.Tempo), r.Beats)
		notes = append(notes, fmt.Sprintf("%.0f->%.2f", c.BPM, value(r.Tempo)))
	}
	one := share("tempo Accuracy1", "FOF-8", s.one, s.n).must(bound{}, atLeast(6./8))
	one.note = strings.Join(notes, " ")
	rows := []row{
		one,
		share("tempo Accuracy2", "FOF-8", s.two, s.n).must(atLeast(1), bound{}),
		row{metric: "worst error, BPM", data: "FOF-8", n: s.n, value: s.worst}.must(atMost(0.1), bound{}),
	}
	if b.others {
		rows = append(rows, b.otherTempi(ctx, "FOF-8", clips)...)
	}
	return rows, nil
}

// corpusTable is about the files of the corpus whose tempo is known for sure.
func corpusTable(ctx context.Context, b *bench) ([]row, error) {
	file, err := os.ReadFile(filepath.Join(b.corpus, "expected", "tempo-key.tsv"))
	if err != nil {
		return nil, err
	}
	s, wrong := tempoScore{}, []string{}
	for _, line := range strings.Split(string(file), "\n") {
		f := strings.Split(line, "\t")
		if len(f) < 5 || f[4] != "high" {
			continue
		}
		bpm, err := strconv.ParseFloat(f[3], 64)
		if err != nil {
			continue
		}
		r, err := hear(ctx, filepath.Join(b.corpus, f[0]))
		if err != nil {
			return nil, err
		}
		s.add(clip{BPM: bpm}, value(r.Tempo), nil)
		if one, _ := tempoRight(value(r.Tempo), bpm); !one {
			wrong = append(wrong, fmt.Sprintf("%s %g->%.2f", strings.TrimSuffix(filepath.Base(f[0]), filepath.Ext(f[0])), bpm, value(r.Tempo)))
		}
	}
	one := share("tempo Accuracy1", "tempo-key.tsv", s.one, s.n)
	one.note = strings.Join(wrong, " ")
	return []row{one, share("tempo Accuracy2", "tempo-key.tsv", s.two, s.n)}, nil
}

// scorerTable checks the scorer itself on mir_eval's own pairs.
func scorerTable(_ context.Context, b *bench) ([]row, error) {
	dir := filepath.Join(b.corpus, "mir-eval", "beat")
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
		truth, err2 := times(filepath.Join(dir, "ref"+n+".txt"))
		got, err3 := times(filepath.Join(dir, "est"+n+".txt"))
		if err := errors.Join(err, err2, err3); err != nil {
			return nil, err
		}
		worst = max(worst, math.Abs(beatF(got, truth)-want["F-measure"]))
	}
	return []row{row{metric: "beat F off mir_eval's", data: "mir-eval", n: len(outputs), value: worst}.must(atMost(1e-9), bound{})}, nil
}

// times reads the first number of each line.
func times(path string) ([]float64, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return numbers(string(file)), nil
}

func numbers(lines string) []float64 {
	var out []float64
	for _, line := range strings.Split(lines, "\n") {
		if f := strings.Fields(line); len(f) > 0 {
			if v, err := strconv.ParseFloat(f[0], 64); err == nil {
				out = append(out, v)
			}
		}
	}
	return out
}
