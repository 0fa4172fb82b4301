package decode

import (
	"log/slog"
	"time"

	"github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// Facts is what is known of a master before its sound is read.
type Facts struct {
	Source     melodyud.Source
	SampleRate int   // Hz
	Channels   int   // 1..8, in WAV order
	BitDepth   int   // of pcm.Format: 8..24, or 0 where samples are not integers
	Samples    int64 // per channel; -1 unknown until the end
	Tags       melodyud.Tags
	Cover      Cover
	// Warnings are English sentences about what was odd but did no harm, at most
	// maxWarnings of them. More may be there after the last block.
	Warnings []string
}

// Cover is the picture a file carries: a JPEG or a PNG by its content, at most
// MaxCover bytes and 6,000 pixels a side. The zero Cover means none.
type Cover struct {
	MIME string // "image/jpeg", "image/png" or ""
	Data []byte
}

// MaxCover is the most bytes a Cover may have.
const MaxCover = 5 << 20

const (
	maxWarnings = 16
	maxWarning  = 300
)

// Config says how masters are decoded. The zero Config is usable.
type Config struct {
	// Child is the command that runs ChildMain with the arguments that follow.
	// Default: this executable, "child".
	Child []string
	// FFmpeg is the converter for what we cannot decode ourselves: a path, "" to
	// look in PATH, "-" for none.
	FFmpeg string
	Limits Limits
	// Logger hears of children that died. Default: discarded.
	Logger *slog.Logger
}

// Limits bounds what one master may be and may cost. Zero fields mean the
// default.
type Limits struct {
	MinDuration time.Duration `json:"min"`      // default 0: at least one sample
	MaxDuration time.Duration `json:"max"`      // default 12 h
	MinRate     int           `json:"min_rate"` // Hz, default 8,000
	MaxRate     int           `json:"max_rate"` // Hz, default 192,000
	MaxChannels int           `json:"channels"` // default 8, which is also the most
	MaxMemory   int64         `json:"memory"`   // bytes of writable memory of one child, default 512 MiB
	// MaxCPU is the processor time one child may use. Default: 60 s, and 10 s for
	// every 10 MiB of the file, and a second for every minute of MaxDuration.
	MaxCPU time.Duration `json:"cpu"`
	// MaxStall is how long a child may stay silent while it is asked for more.
	// Default 60 s.
	MaxStall time.Duration `json:"-"`
}

func (l Limits) filled(size int64) Limits {
	l.MaxDuration = or(l.MaxDuration, 12*time.Hour)
	l.MinRate = or(l.MinRate, 8000)
	l.MaxRate = or(l.MaxRate, 192000)
	l.MaxChannels = min(or(l.MaxChannels, maxChannels), maxChannels)
	l.MaxMemory = or(l.MaxMemory, 512<<20)
	l.MaxStall = or(l.MaxStall, time.Minute)
	scaled := time.Minute + time.Duration(size>>20)*time.Second + l.MaxDuration/60
	l.MaxCPU = or(l.MaxCPU, scaled)
	return l
}

func or[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

const (
	maxChannels = 8
	// blockLen is the samples per channel of a full block: small enough to stay in
	// cache, large enough that framing costs nothing.
	blockLen = 1 << 13
)

// sound is one decoder at work. Read keeps the contract of pcm.Source.
type sound interface {
	Read() (pcm.Block, error)
}

// warner is a sound that can say at its end what was odd.
type warner interface {
	warnings() []string
}
