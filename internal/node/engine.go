package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/ops"
	"github.com/melodyud/melodyud/transcode"
	"github.com/melodyud/melodyud/transcode/decode"
	"github.com/melodyud/melodyud/workers"
)

// ChildMain runs the decoding child: `melodyud child …`. It returns the exit code.
func ChildMain(args []string) int { return decode.ChildMain(args) }

// RenderConfig says how to render a local file.
type RenderConfig struct {
	Out       string          // directory, made when absent
	Ladder    melodyud.Ladder // empty: the default ladder
	Encoder   string          // of the AAC renditions; empty: the default
	FFmpeg    string          // path; "" looks in PATH, "-" none
	Child     []string        // command of the decoding child; default: this binary's
	Progress  func(float64)   // hears fractions of the work done; may be nil
	LogOutput io.Writer       // default: discarded
}

// Rendered says what a render made and what it cost.
type Rendered struct {
	Manifest       melodyud.Manifest `json:"manifest"`
	Tags           melodyud.Tags     `json:"tags"`
	Warnings       []string          `json:"warnings,omitempty"`
	Seconds        float64           `json:"seconds"` // of sound
	WallSeconds    float64           `json:"wall_seconds"`
	CPUSeconds     float64           `json:"cpu_seconds"`           // of this process and its children
	Realtime       float64           `json:"x_realtime"`            // seconds of sound per second of wall time
	FirstSegment   float64           `json:"first_segment_seconds"` // from the start to the first segment of the lowest rendition; of short tracks, to the end
	PeakBytes      int64             `json:"peak_bytes"`            // most resident memory of this process
	ChildPeakBytes int64             `json:"child_peak_bytes"`
}

// Render runs the whole engine on a local file, without a server. What is wrong
// with the file is a *melodyud.Refusal.
func Render(ctx context.Context, f *os.File, c RenderConfig) (Rendered, error) {
	engine, err := newEngine(transcode.Config{Child: c.Child, Encoder: c.Encoder, FFmpeg: c.FFmpeg}, c.LogOutput)
	if err != nil {
		return Rendered{}, err
	}
	if len(c.Ladder) == 0 {
		c.Ladder = melodyud.DefaultLadder()
	}
	sum, err := digest(f)
	if err != nil {
		return Rendered{}, err
	}
	began, before := time.Now(), cpuSeconds()
	made, err := workers.RenderFile(ctx, engine, f, sum, c.Out, c.Ladder, c.Progress)
	if err != nil {
		return Rendered{}, err
	}
	r := Rendered{
		Manifest: made.Manifest, Tags: made.Tags, Warnings: made.Warnings,
		Seconds: made.Manifest.Duration().Seconds(), WallSeconds: time.Since(began).Seconds(), CPUSeconds: cpuSeconds() - before,
		FirstSegment: made.FirstSegment.Seconds(),
		PeakBytes:    peak(syscall.RUSAGE_SELF), ChildPeakBytes: peak(syscall.RUSAGE_CHILDREN),
	}
	r.Realtime = r.Seconds / r.WallSeconds
	return r, nil
}

// Verdict is what Probe thinks of a file.
type Verdict struct {
	File     string            `json:"file"`
	Verdict  string            `json:"verdict"` // accept or refuse
	Code     string            `json:"code,omitempty"`
	Text     string            `json:"text,omitempty"`
	Source   *melodyud.Source  `json:"source,omitempty"`
	Seconds  float64           `json:"seconds,omitempty"`
	Loudness melodyud.Loudness `json:"loudness"`
	Tags     melodyud.Tags     `json:"tags"`
	Warnings []string          `json:"warnings,omitempty"`
}

// ProbeConfig says how to judge a local file.
type ProbeConfig struct {
	FFmpeg    string      // path; "" looks in PATH, "-" none
	Limits    SoundLimits // zero fields: as a server has them by default
	LogOutput io.Writer   // default: discarded
}

// Probe decodes a file to its end and says whether an upload of it would be
// accepted. The error is only for what is not the file's fault.
func Probe(ctx context.Context, f *os.File, c ProbeConfig) (Verdict, error) {
	if err := c.Limits.check(); err != nil {
		return Verdict{}, err
	}
	engine, err := newEngine(transcode.Config{FFmpeg: c.FFmpeg, Limits: c.Limits.decoding()}, c.LogOutput)
	if err != nil {
		return Verdict{}, err
	}
	report, err := engine.Examine(ctx, f)
	if r, ok := melodyud.AsRefusal(err); ok {
		return Verdict{Verdict: "refuse", Code: r.Code, Text: r.Text}, nil
	}
	if err != nil {
		return Verdict{}, err
	}
	return Verdict{
		Verdict: "accept", Source: &report.Source, Seconds: float64(report.Samples) / float64(report.SampleRate),
		Loudness: report.Loudness, Tags: report.Tags, Warnings: report.Warnings,
	}, nil
}

// newEngine adds a log of warnings to c, if there is an output for it.
func newEngine(c transcode.Config, logOutput io.Writer) (*transcode.Engine, error) {
	if logOutput != nil {
		var err error
		if c.Logger, err = ops.NewLogger(logOutput, "text", "warn"); err != nil {
			return nil, err
		}
	}
	return transcode.New(c)
}

func digest(f *os.File) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", f.Name(), err)
	}
	_, err := f.Seek(0, io.SeekStart)
	return hex.EncodeToString(h.Sum(nil)), err
}

// cpuSeconds is the processor time of this process and its finished children.
func cpuSeconds() float64 {
	total := 0.0
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			total += time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
		}
	}
	return total
}

// peak is the most resident memory in bytes; Linux counts it in KiB.
func peak(who int) int64 {
	var u syscall.Rusage
	if syscall.Getrusage(who, &u) != nil {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return u.Maxrss
	}
	return u.Maxrss * 1024
}

// Encoders lists the AAC encoders one may choose, the default first.
func Encoders() []string {
	return []string{transcode.EncoderBuiltin, transcode.EncoderFFmpeg}
}
