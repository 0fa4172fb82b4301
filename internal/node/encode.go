package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/packager"
	"github.com/melodyud/melodyud/packager/elementary"
	"github.com/melodyud/melodyud/transcode"
)

// EncodeConfig says how to encode a local file into one other.
type EncodeConfig struct {
	// Out is the file to write; its ending says what is made: .m4a and .mp4 a
	// track file, .aac AAC in ADTS, .flac native FLAC. It is replaced when whole.
	Out string
	// Codec defaults to what the ending suggests: FLAC for .flac, else AAC.
	Codec melodyud.Codec
	// Bitrate of AAC in bit/s, 16,000 to 320,000. Default 128,000.
	Bitrate int

	Encoder   string        // of AAC; empty: the default
	FFmpeg    string        // path; "" looks in PATH, "-" none
	Child     []string      // command of the decoding child; default: this binary's
	Progress  func(float64) // hears fractions of the work done; may be nil
	LogOutput io.Writer     // default: discarded
}

// Encoded says what an encode made and what it cost.
type Encoded struct {
	File        string          `json:"file"`
	Size        int64           `json:"size"` // bytes
	Codec       melodyud.Codec  `json:"codec"`
	SampleRate  int             `json:"sample_rate"`
	Channels    int             `json:"channels"`
	BitDepth    int             `json:"bit_depth,omitempty"`
	Samples     int64           `json:"samples"` // presented, at SampleRate
	Priming     int64           `json:"priming"` // samples a decoder gives before the first; a track file tells it to drop them
	Packets     int64           `json:"packets"`
	Bitrate     int             `json:"bitrate"`      // bit/s of the packets alone, over the presented samples
	PeakBitrate int             `json:"peak_bitrate"` // the same over the busiest 4 s
	Source      melodyud.Source `json:"source"`
	Warnings    []string        `json:"warnings,omitempty"`
	Seconds     float64         `json:"seconds"` // of sound
	WallSeconds float64         `json:"wall_seconds"`
	CPUSeconds  float64         `json:"cpu_seconds"` // of this process and its children, measuring included
	Realtime    float64         `json:"x_realtime"`  // seconds of sound per second of wall time
}

const (
	leastBitrate   = 16_000
	mostBitrate    = 320_000
	defaultBitrate = 128_000
)

func (c *EncodeConfig) fill() error {
	ending := strings.ToLower(filepath.Ext(c.Out))
	held := map[string][]melodyud.Codec{
		".m4a": {melodyud.CodecAAC, melodyud.CodecFLAC}, ".mp4": {melodyud.CodecAAC, melodyud.CodecFLAC},
		".aac": {melodyud.CodecAAC}, ".flac": {melodyud.CodecFLAC},
	}[ending]
	if held == nil {
		return fmt.Errorf("%w: %s: its ending must say what to write: .m4a, .mp4, .aac or .flac", melodyud.ErrInvalid, c.Out)
	}
	if c.Codec == "" {
		c.Codec = held[0]
	}
	fits := false
	for _, codec := range held {
		fits = fits || codec == c.Codec
	}
	if !fits {
		return fmt.Errorf("%w: a file ending in %s cannot hold %s: use .m4a for either, .aac for AAC, .flac for FLAC", melodyud.ErrInvalid, ending, c.Codec)
	}
	if c.Codec == melodyud.CodecFLAC {
		c.Bitrate = 0
		return nil
	}
	if c.Bitrate == 0 {
		c.Bitrate = defaultBitrate
	}
	if c.Bitrate < leastBitrate || c.Bitrate > mostBitrate {
		return fmt.Errorf("%w: a bitrate of %d bit/s: AAC takes 16k to 320k", melodyud.ErrInvalid, c.Bitrate)
	}
	return nil
}

// Encode decodes a local file and encodes it once, into one file. What is wrong
// with the file is a *melodyud.Refusal, what is wrong with c ErrInvalid. Nothing
// is left at c.Out after an error that was not there before.
func Encode(ctx context.Context, f *os.File, c EncodeConfig) (made Encoded, err error) {
	if err := c.fill(); err != nil {
		return Encoded{}, err
	}
	engine, err := newEngine(transcode.Config{Child: c.Child, Encoder: c.Encoder, FFmpeg: c.FFmpeg}, c.LogOutput)
	if err != nil {
		return Encoded{}, err
	}
	dir, err := workshop(f, c.Out)
	if err != nil {
		return Encoded{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	began, before := time.Now(), cpuSeconds()
	e := &encoding{engine: engine, config: c, dir: dir}
	if err := e.run(ctx, f); err != nil {
		return Encoded{}, err
	}
	made = e.made()
	made.WallSeconds, made.CPUSeconds = time.Since(began).Seconds(), cpuSeconds()-before
	made.Realtime = made.Seconds / made.WallSeconds
	return made, nil
}

// workshop makes a directory beside out, on the same file system.
func workshop(in *os.File, out string) (string, error) {
	if there, err := os.Stat(out); err == nil {
		source, err := in.Stat()
		switch {
		case err != nil:
			return "", fmt.Errorf("look at %s: %w", in.Name(), err)
		case os.SameFile(source, there):
			return "", fmt.Errorf("%w: %s is the file to read: write to another one", melodyud.ErrInvalid, out)
		case there.IsDir():
			return "", fmt.Errorf("%w: %s is a directory: name a file in it", melodyud.ErrInvalid, out)
		}
	}
	dir, err := os.MkdirTemp(filepath.Dir(out), ".melodyud-encode-*")
	if err != nil {
		return "", fmt.Errorf("write %s: %w", out, err)
	}
	return dir, nil
}

// encoding is one Encode at work.
type encoding struct {
	engine *transcode.Engine
	config EncodeConfig
	dir    string
	count  *packetCounter
	report transcode.Report
	size   int64
}

func (e *encoding) run(ctx context.Context, f *os.File) error {
	facts, err := e.engine.Probe(ctx, f)
	if err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("rewind %s: %w", f.Name(), err)
	}
	whole := filepath.Join(e.dir, "whole")
	if ending := strings.ToLower(filepath.Ext(e.config.Out)); ending == ".aac" || ending == ".flac" {
		err = e.writeElementary(ctx, f, whole)
	} else {
		whole, err = e.writeTrackFile(ctx, f, media.NewGrid(facts.SampleRate))
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(whole)
	if err != nil {
		return fmt.Errorf("write %s: %w", e.config.Out, err)
	}
	e.size = info.Size()
	if err := os.Rename(whole, e.config.Out); err != nil {
		return fmt.Errorf("write %s: %w", e.config.Out, err)
	}
	return nil
}

// render encodes f into the sink that open gives.
func (e *encoding) render(ctx context.Context, f *os.File, open func(media.Stream) (media.Sink, error)) (err error) {
	e.report, err = e.engine.Render(ctx, f, transcode.Job{
		Ladder:   melodyud.Ladder{{Codec: e.config.Codec, Bitrate: e.config.Bitrate}},
		Progress: e.config.Progress,
		Open: func(s media.Stream) (media.Sink, error) {
			sink, err := open(s)
			e.count = &packetCounter{Sink: sink, stream: s}
			return e.count, err
		},
	})
	return err
}

func (e *encoding) writeElementary(ctx context.Context, f *os.File, name string) error {
	out, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("write %s: %w", e.config.Out, err)
	}
	err = e.render(ctx, f, func(s media.Stream) (media.Sink, error) {
		if s.Codec == melodyud.CodecFLAC {
			return elementary.NewFLAC(out, s)
		}
		return elementary.NewADTS(out, s)
	})
	return errors.Join(err, out.Close())
}

func (e *encoding) writeTrackFile(ctx context.Context, f *os.File, grid media.Grid) (name string, err error) {
	pack, err := packager.Create(e.dir, grid)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, pack.Close()) }()
	if err := e.render(ctx, f, pack.Open); err != nil {
		return "", err
	}
	m, err := pack.Seal(packager.Meta{
		Source: e.report.Source, Loudness: e.report.Loudness,
		SampleRate: e.report.SampleRate, Samples: e.report.Samples,
	})
	if err != nil {
		return "", err
	}
	return filepath.Join(e.dir, m.Renditions[0].File), nil
}

func (e *encoding) made() Encoded {
	s, r := e.count.stream, e.report
	return Encoded{
		File: e.config.Out, Size: e.size,
		Codec: s.Codec, SampleRate: s.SampleRate, Channels: s.Channels, BitDepth: s.BitDepth,
		Samples: e.count.samples, Priming: s.Priming, Packets: int64(len(e.count.sizes)),
		Bitrate: e.count.average(), PeakBitrate: e.count.peak(),
		Source: r.Source, Warnings: r.Warnings,
		Seconds: float64(e.count.samples) / float64(s.SampleRate),
	}
}

// packetCounter counts what passes to a sink.
type packetCounter struct {
	media.Sink
	stream  media.Stream
	sizes   []int32 // bytes of each packet
	samples int64   // presented
}

// WritePacket implements media.Sink.
func (c *packetCounter) WritePacket(p media.Packet) error {
	c.sizes = append(c.sizes, int32(len(p.Data)))
	return c.Sink.WritePacket(p)
}

// Finish implements media.Sink.
func (c *packetCounter) Finish(e media.Ending) error {
	c.samples = e.Samples
	return c.Sink.Finish(e)
}

// average is the bitrate of all packets in bit/s.
func (c *packetCounter) average() int {
	var total int64
	for _, n := range c.sizes {
		total += int64(n)
	}
	return int(8 * total * int64(c.stream.SampleRate) / max(1, c.samples))
}

// peak is the bitrate of the busiest 4 s in bit/s; the average of shorter streams.
func (c *packetCounter) peak() int {
	window := 4 * c.stream.SampleRate / c.stream.FrameSize
	if len(c.sizes) <= window {
		return c.average()
	}
	var sum, most int64
	for i, n := range c.sizes {
		sum += int64(n)
		if i >= window {
			sum -= int64(c.sizes[i-window])
		}
		most = max(most, sum)
	}
	return int(8 * most * int64(c.stream.SampleRate) / int64(window*c.stream.FrameSize))
}
