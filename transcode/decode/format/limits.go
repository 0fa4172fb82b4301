package format

import (
	"time"
)

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

// Filled returns l with the defaults in place for a file of size bytes.
func (l Limits) Filled(size int64) Limits {
	l.MaxDuration = or(l.MaxDuration, 12*time.Hour)
	l.MinRate = or(l.MinRate, 8000)
	l.MaxRate = or(l.MaxRate, 192000)
	l.MaxChannels = min(or(l.MaxChannels, MaxChannels), MaxChannels)
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
