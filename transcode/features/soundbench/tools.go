package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// tempoTool is another tempo tracker: what it says of a file, and its beats if it
// has any.
type tempoTool struct {
	name  string
	needs []string
	most  int // clips it is run on; 0 for all
	hear  func(context.Context, *bench, clip) (bpm float64, beats []float64, err error)
}

var tempoTools = []tempoTool{
	{"aubio", []string{"aubiotrack"}, 0, aubio},
	{"bpm-tools", []string{"bpm", "sox"}, 0, bpmTools},
	{"essentia", []string{"node"}, 16, essentia},
}

// otherTempi are the rows of the tools that are installed.
func (b *bench) otherTempi(ctx context.Context, data string, clips []clip) []row {
	var rows []row
	for _, tool := range tempoTools {
		of := clips
		if tool.most > 0 && tool.most < len(of) {
			of = of[:tool.most]
		}
		s, err := tool.score(ctx, b, of)
		if err != nil {
			fmt.Printf("  SKIPPED: %s: %v\n", tool.name, err)
			continue
		}
		rows = append(rows, share("tempo Accuracy1", data, s.one, s.n).by(tool.name), share("tempo Accuracy2", data, s.two, s.n).by(tool.name))
		if len(s.f) > 0 && tool.name != "bpm-tools" {
			rows = append(rows, mean("beat F 70 ms", data, s.f).by(tool.name))
		}
	}
	return rows
}

func (t *tempoTool) score(ctx context.Context, b *bench, clips []clip) (s tempoScore, err error) {
	for _, name := range t.needs {
		if _, err := exec.LookPath(name); err != nil {
			return s, err
		}
	}
	for _, c := range clips {
		bpm, beats, err := t.hear(ctx, b, c)
		if err != nil {
			return s, err
		}
		s.add(c, bpm, beats)
	}
	return s, nil
}

// aubio takes the median interval of aubiotrack's beats.
func aubio(ctx context.Context, b *bench, c clip) (float64, []float64, error) {
	out, err := b.said(ctx, "aubio-"+filepath.Base(c.Path), "aubiotrack", c.Path)
	beats := numbers(out)
	if err != nil || len(beats) < 2 {
		return 0, nil, err
	}
	var gaps []float64
	for i := range beats[1:] {
		gaps = append(gaps, beats[i+1]-beats[i])
	}
	slices.Sort(gaps)
	return 60 / gaps[len(gaps)/2], beats, nil
}

// bpmTools is bpm-tag's way without its tags.
func bpmTools(ctx context.Context, b *bench, c clip) (float64, []float64, error) {
	out, err := b.said(ctx, "bpm-"+filepath.Base(c.Path), "sh", "-c", `sox "$1" -t raw -r 44100 -e float -c 1 -b 32 - 2>/dev/null | bpm`, "sh", c.Path)
	if v := numbers(out); err == nil && len(v) > 0 {
		return v[0], nil, nil
	}
	return 0, nil, err
}

//go:embed essentia.js
var essentiaScript []byte

// essentia runs essentia.js where somebody installed it in the cache, by
// `npm install --prefix .cache/sound essentia.js@0.1.3`. It is an oracle for
// measurements and no dependency: its licence is AGPL.
func essentia(ctx context.Context, b *bench, c clip) (float64, []float64, error) {
	if _, err := os.Stat(filepath.Join(b.cache, "node_modules", "essentia.js")); err != nil {
		return 0, nil, fmt.Errorf("essentia.js is not installed in %s", b.cache)
	}
	script := filepath.Join(b.cache, "essentia-oracle.cjs")
	if err := os.WriteFile(script, essentiaScript, 0o666); err != nil {
		return 0, nil, err
	}
	out, err := b.said(ctx, "essentia-"+filepath.Base(c.Path), "node", script, c.Path)
	if err != nil {
		return 0, nil, err
	}
	first, rest, _ := strings.Cut(out, "\n")
	v := numbers(first)
	if len(v) == 0 {
		return 0, nil, fmt.Errorf("essentia said %q", first)
	}
	return v[0], numbers(rest), nil
}
