package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/node"
)

// engine is what both local commands let one choose.
type engine struct {
	FFmpeg string `name:"ffmpeg" env:"MELODYUD_FFMPEG" placeholder:"PATH" help:"ffmpeg for formats the built-in decoders do not know; - for none. Default: the one in PATH, if any."`
}

type renderCmd struct {
	engine
	File    string          `arg:"" type:"existingfile" help:"Audio file."`
	Out     string          `required:"" type:"path" placeholder:"DIR" help:"Directory for track files, manifest, playlists and features. Made when absent."`
	Ladder  melodyud.Ladder `env:"MELODYUD_LADDER" default:"aac-64,aac-96,aac-160,aac-256,flac" help:"Qualities to make."`
	Encoder string          `env:"MELODYUD_ENCODER" enum:"${encoders}" default:"${encoder}" help:"AAC encoder: ${encoders}."`
	JSON    bool            `help:"Print JSON."`
}

func (cmd renderCmd) Run(ctx context.Context, s std) error {
	f, err := os.Open(cmd.File)
	if err != nil {
		return err
	}
	defer f.Close()
	show, done := percent(s, cmd.JSON)
	r, err := node.Render(ctx, f, node.RenderConfig{
		Out: cmd.Out, Ladder: cmd.Ladder, Encoder: cmd.Encoder, FFmpeg: cmd.FFmpeg, Progress: show, LogOutput: s.err,
	})
	done()
	if err != nil {
		return refused(err)
	}
	if cmd.JSON {
		return printJSON(s.out, r)
	}
	fmt.Fprintf(s.out, "%s: %s of %s, %d Hz, %d channels, into %s\n",
		cmd.File, clock(time.Duration(r.Seconds*float64(time.Second))), r.Manifest.Source.Codec,
		r.Manifest.Source.SampleRate, r.Manifest.Source.Channels, cmd.Out)
	for _, rendition := range r.Manifest.Renditions {
		fmt.Fprintf(s.out, "  %-8s %8.1f kB  %4d kbit/s\n", rendition.Name,
			float64(rendition.Size)/1000, rendition.AverageBandwidth/1000)
	}
	fmt.Fprintf(s.out, "wall %.2f s, cpu %.2f s, %.1f x realtime, peak memory %.0f MB (decoder %.0f MB)\n",
		r.WallSeconds, r.CPUSeconds, r.Realtime, float64(r.PeakBytes)/1e6, float64(r.ChildPeakBytes)/1e6)
	return nil
}

// percent shows a fraction as a bar on a terminal and not at all elsewhere.
func percent(s std, quiet bool) (show func(float64), done func()) {
	f, ok := s.err.(*os.File)
	if quiet || !ok || !term.IsTerminal(int(f.Fd())) {
		return func(float64) {}, func() {}
	}
	bar := progressbar.NewOptions(1000, progressbar.OptionSetWriter(s.err),
		progressbar.OptionSetDescription("rendering"), progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	return func(x float64) { _ = bar.Set(int(1000 * x)) }, func() { _ = bar.Finish() }
}

// refused gives a refusal its exit code and says nothing but its code and
// sentence.
func refused(err error) error {
	if r, ok := melodyud.AsRefusal(err); ok {
		return coded{exitRefused, r.Code + ": " + r.Text}
	}
	return err
}

type probeCmd struct {
	engine
	node.SoundLimits `embed:""`

	Files []string `arg:"" name:"file" type:"existingfile" help:"Audio files."`
	JSON  bool     `help:"Print one JSON object a file."`
}

// Help is printed under the flags.
func (probeCmd) Help() string {
	return "Each file is decoded to its end, as an upload would be. Exit code 3 if any file would be refused."
}

func (cmd probeCmd) Run(ctx context.Context, s std) error {
	var worst error
	for _, name := range cmd.Files {
		v, err := cmd.one(ctx, s, name)
		if err != nil {
			return err
		}
		if v.Verdict == "refuse" {
			worst = coded{code: exitRefused}
		}
		if err := cmd.print(s.out, v); err != nil {
			return err
		}
	}
	return worst
}

func (cmd probeCmd) one(ctx context.Context, s std, name string) (node.Verdict, error) {
	f, err := os.Open(name)
	if err != nil {
		return node.Verdict{}, err
	}
	defer f.Close()
	v, err := node.Probe(ctx, f, node.ProbeConfig{FFmpeg: cmd.FFmpeg, Limits: cmd.SoundLimits, LogOutput: s.err})
	v.File = name
	return v, err
}

func (cmd probeCmd) print(w io.Writer, v node.Verdict) error {
	if cmd.JSON {
		return printJSON(w, v)
	}
	if v.Verdict == "refuse" {
		_, err := fmt.Fprintf(w, "%s: refuse %s: %s\n", v.File, v.Code, v.Text)
		return err
	}
	_, err := fmt.Fprintf(w, "%s: accept %s %s, %s, %d Hz, %d channels\n", v.File, v.Source.Container, v.Source.Codec,
		clock(time.Duration(v.Seconds*float64(time.Second))), v.Source.SampleRate, v.Source.Channels)
	for _, warning := range v.Warnings {
		_, werr := fmt.Fprintf(w, "  warning: %s\n", warning)
		err = errors.Join(err, werr)
	}
	return err
}
