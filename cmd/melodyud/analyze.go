package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/node"
)

type analyzeCmd struct {
	engine
	File   string   `arg:"" type:"existingfile" help:"Audio file."`
	JSON   bool     `help:"Print everything as JSON."`
	Models []string `type:"existingdir" env:"MELODYUD_MODELS" placeholder:"DIR,…" help:"Directories of model packs, which add embeddings."`
	Plot   string   `type:"path" placeholder:"OUT.png" help:"Draw waveform, sections, beats, spectrogram and key."`
}

// Help is printed under the flags.
func (analyzeCmd) Help() string {
	return "Hears the same as a server does when it renders a track: loudness, tempo, beats, key, timbre, sections, fingerprint."
}

func (cmd analyzeCmd) Run(ctx context.Context, s std) error {
	f, err := os.Open(cmd.File)
	if err != nil {
		return err
	}
	defer f.Close()
	show, done := percent(s, cmd.JSON)
	config := node.AnalyzeConfig{FFmpeg: cmd.FFmpeg, Models: cmd.Models, Progress: show, LogOutput: s.err}
	a, err := cmd.analyze(ctx, f, config)
	done()
	if err != nil {
		return refused(err)
	}
	if cmd.JSON {
		return printJSON(s.out, a)
	}
	return summarize(s.out, cmd.File, a)
}

// analyze writes the plot only once it is whole.
func (cmd analyzeCmd) analyze(ctx context.Context, f *os.File, c node.AnalyzeConfig) (a node.Analyzed, err error) {
	if cmd.Plot == "" {
		return node.Analyze(ctx, f, c)
	}
	part := cmd.Plot + ".part"
	out, err := os.Create(part)
	if err != nil {
		return a, err
	}
	c.Plot = out
	a, err = node.Analyze(ctx, f, c)
	if closing := out.Close(); err == nil {
		err = closing
	}
	if err != nil {
		_ = os.Remove(part) // the error that led here says more
		return a, err
	}
	return a, os.Rename(part, cmd.Plot)
}

// fact is a line of the summary.
type fact struct{ name, value string }

func summarize(w io.Writer, name string, a node.Analyzed) error {
	f := &a.Features
	lines := []fact{
		{"", fmt.Sprintf("%s: %s, %s, %d Hz, %d channels", name, clock(time.Duration(f.Duration*float64(time.Second))),
			a.Source.Codec, f.SampleRate, f.Channels)},
		{"loudness", loudnessLine(f.Loudness)}, {"tempo", tempoLine(f.Rhythm)}, {"beats", beatsLine(f.Rhythm)}, {"key", keyLine(f.Tonal)},
		{"timbre", timbreLine(f.Timbre)}, {"sections", sectionsLine(f.Structure)}, {"character", scoresLine(f.Perceptual)},
		{"fingerprint", printLine(f.Fingerprint)},
	}
	for _, r := range f.Quality.Remarks {
		lines = append(lines, fact{"remark", r.Text})
	}
	for _, text := range a.Warnings {
		lines = append(lines, fact{"warning", text})
	}
	lines = append(lines, fact{"", fmt.Sprintf("analyzer %s, %.2f s of processor time, %.0f x realtime with decoding", f.Version, a.CPUSeconds, a.Realtime)})
	for _, l := range lines {
		text := l.value
		if l.name != "" {
			text = fmt.Sprintf("  %-12s %s", l.name, l.value)
		}
		if _, err := fmt.Fprintln(w, text); err != nil {
			return err
		}
	}
	return nil
}

// joined writes what is known, or why nothing is.
func joined(reason string, parts ...string) string {
	var known []string
	for _, p := range parts {
		if p != "" {
			known = append(known, p)
		}
	}
	if len(known) > 0 {
		return strings.Join(known, ", ")
	}
	if reason == "" {
		return "-"
	}
	return "- (" + strings.ReplaceAll(reason, "_", " ") + ")"
}

// number formats v unless it is not known.
func number(format string, v *float64) string {
	if v == nil {
		return ""
	}
	return fmt.Sprintf(format, *v)
}

func loudnessLine(l melodyud.Loudness) string {
	return joined("silent", number("%.1f LUFS", l.Integrated), number("range %.1f LU", l.Range), number("true peak %.1f dBTP", l.TruePeak))
}

func tempoLine(r melodyud.Rhythm) string {
	return joined(r.Reason, number("%.1f BPM", r.Tempo), number("confidence %.2f", r.TempoConfidence),
		number("or %.1f BPM", r.TempoAlt), number("stability %.2f", r.TempoStability))
}

func beatsLine(r melodyud.Rhythm) string {
	if len(r.Beats) == 0 {
		return joined(r.Reason)
	}
	meter := ""
	if r.Meter != nil {
		meter = fmt.Sprintf("%d in a bar", *r.Meter)
	}
	return joined("", fmt.Sprint(len(r.Beats)), meter, fmt.Sprintf("the first at %.2f s", r.Beats[0]), number("%.1f onsets a second", r.OnsetRate))
}

var noteNames = [12]string{"C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"}

func keyName(key, mode int) string {
	return noteNames[((key%12)+12)%12] + map[bool]string{true: " major", false: " minor"}[mode == 1]
}

func keyLine(t melodyud.Tonal) string {
	if t.Key == nil || t.Mode == nil {
		return joined(t.Reason)
	}
	alt := ""
	if t.KeyAlt != nil {
		alt = "or " + keyName(t.KeyAlt.Key, t.KeyAlt.Mode)
	}
	return joined("", keyName(*t.Key, *t.Mode), t.Camelot, number("confidence %.2f", t.KeyConfidence), alt, number("tuning %+.0f cents", t.TuningCents))
}

func timbreLine(t melodyud.Timbre) string {
	return joined(t.Reason, number("centroid %.0f Hz", t.Centroid), number("85 %% below %.0f Hz", t.Rolloff85), number("flatness %.2f", t.Flatness))
}

func sectionsLine(s melodyud.Structure) string {
	var starts []string
	for _, one := range s.Sections {
		starts = append(starts, clock(time.Duration(one.Start*float64(time.Second))))
	}
	return joined(s.Reason, strings.Join(starts, " "))
}

func scoresLine(p melodyud.Perceptual) string {
	var parts []string
	for _, s := range []struct {
		name  string
		score melodyud.Score
	}{
		{"energy", p.Energy}, {"danceability", p.Danceability}, {"valence", p.Valence}, {"acousticness", p.Acousticness},
		{"instrumentalness", p.Instrumentalness}, {"speechiness", p.Speechiness}, {"liveness", p.Liveness},
	} {
		parts = append(parts, number(s.name+" %.2f", s.score.Value))
	}
	return joined(p.Reason, parts...)
}

func printLine(f melodyud.Fingerprint) string {
	text := f.Chromaprint
	if len(text) > 32 {
		text = text[:32] + "…"
	}
	return joined(f.Reason, text)
}
