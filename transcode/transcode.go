// Package transcode renders a creator's file in one pass over its sound: the
// master is decoded once, in a child process, and its samples fan out to the
// meters, the waveform and every encoder at the same time. Memory is bounded by
// the block and not by the track, but for some 8 kB a second, for an hour, in which
// beats are found; nothing uncompressed is stored.
//
//	decode.Stream -- blocks --+-- meters, waveform
//	                          +-- features
//	                          +-- [resample] -- FLAC ----------- media.Sink
//	                          +-- down-mix, resample --+-- AAC -- media.Sink
//	                                                   +-- AAC -- media.Sink
//
// The same file and settings give the same bytes, whatever the scheduling.
package transcode

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/transcode/decode"
	"github.com/melodyud/melodyud/transcode/encode"
	"github.com/melodyud/melodyud/transcode/features"
	"github.com/melodyud/melodyud/transcode/features/model"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// Facts, Cover and Limits are the decoder's.
type (
	Facts  = decode.Facts
	Cover  = decode.Cover
	Limits = decode.Limits
)

// The AAC encoders a Config may name.
const (
	EncoderBuiltin = "builtin" // package aac: one analysis for all bit rates
	EncoderFFmpeg  = "ffmpeg"  // ffmpeg's, a process for each rendition
)

// Config says how an Engine works. The zero Config is usable.
type Config struct {
	// Child is the command that runs decode.ChildMain. Default: this executable
	// with the argument "child".
	Child []string
	// Encoder makes the AAC renditions: "builtin" or "ffmpeg". Default "builtin".
	Encoder string
	// FFmpeg decodes what we cannot, and encodes if Encoder says so: a path, ""
	// to look in PATH, "-" for none.
	FFmpeg string
	// Limits bounds what a master may be and cost. Zero fields mean the
	// decoder's defaults.
	Limits Limits
	// Models are directories of model packs; each adds an embedding to the features.
	Models []string
	// Logger hears of decoders that died. Default: discarded.
	Logger *slog.Logger
}

// Engine renders tracks. It holds no state between calls and is safe for
// concurrent use.
type Engine struct {
	decode   decode.Config
	encoder  string
	ffmpeg   string // the encoder's, when it is used
	aac      string // the AAC encoder and its version
	features features.Config
	open     func(context.Context, *os.File) (source, error)
}

// source is a master being decoded.
type source interface {
	pcm.Source
	Facts() decode.Facts
	Close() error
}

// New returns an Engine. It fails with ErrInvalid on an unknown Encoder or one
// that is not installed, and on a model pack that cannot be used.
func New(cfg Config) (*Engine, error) {
	e := &Engine{
		decode:  decode.Config{Child: cfg.Child, FFmpeg: cfg.FFmpeg, Limits: cfg.Limits, Logger: cfg.Logger},
		encoder: cfg.Encoder,
	}
	switch e.encoder {
	case "", EncoderBuiltin:
		e.encoder, e.aac = EncoderBuiltin, aacVersion
	case EncoderFFmpeg:
		if err := e.useFFmpeg(cfg.FFmpeg); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("%w: unknown AAC encoder %q: use builtin or ffmpeg", melodyud.ErrInvalid, cfg.Encoder)
	}
	for _, dir := range cfg.Models {
		pack, err := model.Load(os.DirFS(dir))
		if err != nil {
			return nil, fmt.Errorf("%w: model pack %s: %w", melodyud.ErrInvalid, dir, err)
		}
		e.features.Models = append(e.features.Models, pack)
	}
	e.open = func(ctx context.Context, f *os.File) (source, error) { return decode.Start(ctx, e.decode, f) }
	return e, nil
}

func (e *Engine) useFFmpeg(name string) error {
	if name == "" || name == "-" {
		name = "ffmpeg"
	}
	var err error
	if e.ffmpeg, err = exec.LookPath(name); err != nil {
		return fmt.Errorf("%w: the AAC encoder is set to ffmpeg, which is not installed: %w", melodyud.ErrInvalid, err)
	}
	if e.aac, err = encode.FFmpegVersion(context.Background(), e.ffmpeg); err != nil {
		return fmt.Errorf("%w: %w", melodyud.ErrInvalid, err)
	}
	return nil
}

// CoverSizes are the longest sides, in pixels, of the pictures of a Cover.
var CoverSizes = decode.CoverSizes

// Versions of what decides a rendition's bytes. Any change that alters output
// must count one of them up, for objects never change under a name.
const (
	decoderVersion = "decode4" // resampling, folding and covers, too
	flacVersion    = "flac2"
	aacVersion     = "aac1"
)

// LevelVersion names what a Job's Gain does to sound; it decides the bytes of what
// is rendered with one.
const LevelVersion = "level1"

// Version names everything that decides a render's bytes besides the master, the
// ladder and the gain. It is part of the render hash.
func (e *Engine) Version() string {
	return decoderVersion + "/" + flacVersion + "/" + e.aac
}

// Analyzer names everything that decides what is heard of a master: the analyzer's
// version, and a hash of what is configured. It is no part of the render hash, so
// that a new analyzer need not render again.
func (e *Engine) Analyzer() (version int, params string) {
	return features.Version, e.features.ParamsHash()
}

// Probe judges a file by its headers, quickly. What is wrong with it is a
// *melodyud.Refusal. A file that passes may still turn out broken further in.
func (e *Engine) Probe(ctx context.Context, f *os.File) (Facts, error) {
	src, err := e.open(ctx, f)
	if err != nil {
		return Facts{}, err
	}
	facts := src.Facts()
	return facts, src.Close()
}

// Examine decodes the whole file and measures it, without encoding anything:
// the verdict that Render would come to. The Report's Grid tells how it would be
// rendered; of the features it has the loudness alone.
func (e *Engine) Examine(ctx context.Context, f *os.File) (Report, error) {
	return e.Render(ctx, f, Job{deaf: true})
}

// Listen decodes the whole file and hears what there is to hear, without encoding
// anything: the Report has the features that Render would find. progress may be nil.
func (e *Engine) Listen(ctx context.Context, f *os.File, progress func(fraction float64)) (Report, error) {
	return e.Render(ctx, f, Job{Progress: progress})
}

// Job is what to render and where to.
type Job struct {
	// Ladder is the list of renditions; none means only measuring.
	Ladder melodyud.Ladder
	// Open returns the sink of one stream. It is called once for each rung, in
	// the ladder's order, before the first packet; then each sink is used by one
	// goroutine of its own.
	Open func(media.Stream) (media.Sink, error)
	// Progress hears now and then, from one goroutine, how much of the work is
	// done: 0 to 1. It hears nothing of files that do not say how long they are.
	// May be nil.
	Progress func(fraction float64)

	// Gain, in hundredths of a decibel, makes the sound louder or quieter before
	// anything hears it, as pcm.Level does (NORM-1); 0 leaves it as it is.
	Gain int

	// Tap, if not nil, hears every block of the sound, from one goroutine. Blocks are
	// valid only during the call.
	Tap func(pcm.Block)

	deaf bool // measure only
}

// Report is what a render has found out.
type Report struct {
	Source     melodyud.Source
	Grid       media.Grid
	SampleRate int   // Hz, of the lossless timeline: Grid.Lossless.Rate
	Samples    int64 // per channel, at SampleRate
	Loudness   melodyud.Loudness
	Features   melodyud.Features
	Analysis   melodyud.Analysis
	Tags       melodyud.Tags
	Cover      Cover  // JPEGs, one for each of CoverSizes; none without a picture
	Waveform   []byte // audiowaveform, version 2, 8 bits: 512 samples a pixel or more
	Overview   []byte // the same in 1,000 pixels
	Warnings   []string
}
