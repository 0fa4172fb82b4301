package node

import (
	"fmt"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode"
)

// SoundLimits is what a creator's file may be. They may be narrowed, not widened:
// what lies beyond the defaults cannot be played as a stream.
type SoundLimits struct {
	MinDuration time.Duration `env:"MELODYUD_MIN_DURATION" default:"1s" help:"Shortest sound taken."`
	MaxDuration time.Duration `env:"MELODYUD_MAX_DURATION" default:"12h" help:"Longest sound taken."`
	MinRate     int           `env:"MELODYUD_MIN_RATE" default:"8000" help:"Lowest sample rate taken, in Hz."`
	MaxRate     int           `env:"MELODYUD_MAX_RATE" default:"192000" help:"Highest sample rate taken, in Hz."`
	MaxChannels int           `env:"MELODYUD_MAX_CHANNELS" default:"8" help:"Most channels taken."`
}

// The bounds of SoundLimits. They are the defaults, too, but for longest.
const (
	shortest    = time.Second
	longest     = 24 * time.Hour // of a stream: package fmp4
	maxDuration = 12 * time.Hour
	lowestRate  = 8000
	highestRate = 192000
	mostChans   = 8
)

// check fills defaults and refuses limits that nothing can meet.
func (l *SoundLimits) check() error {
	fill(&l.MinDuration, shortest)
	fill(&l.MaxDuration, maxDuration)
	fill(&l.MinRate, lowestRate)
	fill(&l.MaxRate, highestRate)
	fill(&l.MaxChannels, mostChans)
	switch {
	case l.MinDuration < 0 || l.MaxDuration < l.MinDuration || l.MaxDuration > longest:
		return fmt.Errorf("%w: --min-duration and --max-duration go from 0 to %s, the smaller first", melodyud.ErrInvalid, longest)
	case l.MinRate < lowestRate || l.MaxRate < l.MinRate || l.MaxRate > highestRate:
		return fmt.Errorf("%w: --min-rate and --max-rate go from %d to %d, the smaller first", melodyud.ErrInvalid, lowestRate, highestRate)
	case l.MaxChannels < 1 || l.MaxChannels > mostChans:
		return fmt.Errorf("%w: --max-channels goes from 1 to %d", melodyud.ErrInvalid, mostChans)
	}
	return nil
}

func fill[T comparable](v *T, fallback T) {
	var zero T
	if *v == zero {
		*v = fallback
	}
}

func (l SoundLimits) decoding() transcode.Limits {
	return transcode.Limits{
		MinDuration: l.MinDuration, MaxDuration: l.MaxDuration,
		MinRate: l.MinRate, MaxRate: l.MaxRate, MaxChannels: l.MaxChannels,
	}
}
