package melodyud

import (
	"fmt"
	"strconv"
	"strings"
)

// Codec names how a rendition is coded.
type Codec string

// The codecs of the ladder.
const (
	CodecAAC  Codec = "aac"  // AAC-LC, mp4a.40.2
	CodecFLAC Codec = "flac" // lossless, fLaC
)

// Rung is one quality a ladder asks for.
type Rung struct {
	Codec   Codec
	Bitrate int // bits per second for AAC; 0 for FLAC, which needs what it needs
}

// Name is the rung's stable name, which players, telemetry and object names use:
// "aac-96", "flac".
func (r Rung) Name() string {
	if r.Codec == CodecFLAC {
		return "flac"
	}
	return fmt.Sprintf("%s-%d", r.Codec, r.Bitrate/1000)
}

// Ladder is the list of qualities made of every track, lowest first.
type Ladder []Rung

// DefaultLadder is AAC-LC at 64, 96, 160 and 256 kbit/s and FLAC.
func DefaultLadder() Ladder {
	return Ladder{
		{CodecAAC, 64_000}, {CodecAAC, 96_000}, {CodecAAC, 160_000}, {CodecAAC, 256_000},
		{Codec: CodecFLAC},
	}
}

// String writes the ladder as ParseLadder reads it: "aac-64,aac-96,flac".
func (l Ladder) String() string {
	names := make([]string, len(l))
	for i, r := range l {
		names[i] = r.Name()
	}
	return strings.Join(names, ",")
}

// MarshalText writes the ladder as String does.
func (l Ladder) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads what MarshalText writes; no text is no ladder.
func (l *Ladder) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*l = nil
		return nil
	}
	parsed, err := ParseLadder(string(b))
	if err == nil {
		*l = parsed
	}
	return err
}

// ParseLadder reads a comma-separated list of rung names. AAC rates are
// 16 to 320 kbit/s; names must not repeat. Errors are ErrInvalid.
func ParseLadder(s string) (Ladder, error) {
	var l Ladder
	seen := map[string]bool{}
	for name := range strings.SplitSeq(s, ",") {
		r, err := parseRung(strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		if seen[r.Name()] {
			return nil, fmt.Errorf("%w: ladder names %s twice", ErrInvalid, r.Name())
		}
		seen[r.Name()] = true
		l = append(l, r)
	}
	return l, nil
}

func parseRung(name string) (Rung, error) {
	if name == "flac" {
		return Rung{Codec: CodecFLAC}, nil
	}
	rate, ok := strings.CutPrefix(name, "aac-")
	if !ok {
		return Rung{}, fmt.Errorf("%w: unknown rung %q: use aac-<kbit/s> or flac", ErrInvalid, name)
	}
	k, err := strconv.Atoi(rate)
	if err != nil || k < 16 || k > 320 {
		return Rung{}, fmt.Errorf("%w: rung %q: AAC rates are 16 to 320 kbit/s", ErrInvalid, name)
	}
	return Rung{CodecAAC, k * 1000}, nil
}
