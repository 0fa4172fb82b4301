package node

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode"
	"github.com/melodyud/melodyud/transcode/features/plot"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// AnalyzeConfig says how to listen to a local file.
type AnalyzeConfig struct {
	Plot      io.Writer     // takes a PNG picture of what was heard; nil: none is drawn
	Models    []string      // directories of model packs
	FFmpeg    string        // path; "" looks in PATH, "-" none
	Child     []string      // command of the decoding child; default: this binary's
	Progress  func(float64) // hears fractions of the work done; may be nil
	LogOutput io.Writer     // default: discarded
}

// Analyzed says what was heard of a file and what it cost.
type Analyzed struct {
	Source      melodyud.Source   `json:"source"`
	Tags        melodyud.Tags     `json:"tags"`
	Features    melodyud.Features `json:"features"`
	Analysis    melodyud.Analysis `json:"analysis"`
	Warnings    []string          `json:"warnings,omitempty"`
	WallSeconds float64           `json:"wall_seconds"`
	CPUSeconds  float64           `json:"cpu_seconds"` // of this process and its children
	Realtime    float64           `json:"x_realtime"`  // seconds of sound per second of processor time
	PeakBytes   int64             `json:"peak_bytes"`  // most resident memory of this process
}

// Analyze listens to a local file as a render would, without a server. What is
// wrong with the file is a *melodyud.Refusal.
func Analyze(ctx context.Context, f *os.File, c AnalyzeConfig) (Analyzed, error) {
	engine, err := newEngine(transcode.Config{FFmpeg: c.FFmpeg, Child: c.Child, Models: c.Models}, c.LogOutput)
	if err != nil {
		return Analyzed{}, err
	}
	sum, err := digest(f)
	if err != nil {
		return Analyzed{}, err
	}
	began, before := time.Now(), cpuSeconds()
	job := transcode.Job{Progress: c.Progress}
	var picture *plot.Spectrogram
	if c.Plot != nil {
		if picture, err = tap(ctx, engine, f, &job); err != nil {
			return Analyzed{}, err
		}
	}
	report, err := engine.Render(ctx, f, job)
	if err != nil {
		return Analyzed{}, err
	}
	report.Features.SourceSHA256 = sum
	a := Analyzed{
		Source: report.Source, Tags: report.Tags, Features: report.Features, Analysis: report.Analysis, Warnings: report.Warnings,
		WallSeconds: time.Since(began).Seconds(), CPUSeconds: cpuSeconds() - before, PeakBytes: peak(syscall.RUSAGE_SELF),
	}
	a.Realtime = a.Features.Duration / max(a.CPUSeconds, 1e-9)
	if picture != nil {
		picture.Close()
		err = plot.Draw(c.Plot, sheetOf(f.Name(), report, picture))
	}
	return a, err
}

// tap lets a spectrogram hear what job hears.
func tap(ctx context.Context, engine *transcode.Engine, f *os.File, job *transcode.Job) (*plot.Spectrogram, error) {
	facts, err := engine.Probe(ctx, f)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("rewind %s: %w", f.Name(), err)
	}
	picture, err := plot.NewSpectrogram(pcm.Format{Rate: facts.SampleRate, Channels: facts.Channels, BitDepth: facts.BitDepth})
	if err == nil {
		job.Tap = picture.Write
	}
	return picture, err
}

func sheetOf(file string, r transcode.Report, picture *plot.Spectrogram) plot.Sheet {
	s := plot.Sheet{Title: filepath.Base(file), Features: r.Features, Analysis: r.Analysis, Waveform: r.Waveform, Sound: picture}
	kind := r.Source.Container
	if r.Source.Codec != kind {
		kind += " " + r.Source.Codec
	}
	parts := []string{fmt.Sprintf("%s, %d Hz, %d channels", kind, r.Source.SampleRate, r.Source.Channels)}
	if r.Tags.Title != "" {
		s.Title = r.Tags.Title
		parts = append([]string{filepath.Base(file)}, parts...)
	}
	if r.Tags.Artist != "" {
		parts = append([]string{r.Tags.Artist}, parts...)
	}
	s.Subtitle = strings.Join(parts, "  ·  ")
	return s
}
