package node_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/fixtures"
	"github.com/melodyud/melodyud/internal/node"
)

func wavFile(t *testing.T, spec fixtures.Spec) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "x.wav"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if err := fixtures.WAV(f, spec); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestEveryLimitReachesTheDecoder(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		limits node.SoundLimits
		spec   fixtures.Spec
		want   string
	}{
		"a second by default":       {node.SoundLimits{}, fixtures.Spec{Samples: 44100}, ""},
		"less by default":           {node.SoundLimits{}, fixtures.Spec{Samples: 44099}, "audio.too-short"},
		"less, allowed":             {node.SoundLimits{MinDuration: time.Millisecond}, fixtures.Spec{Samples: 441}, ""},
		"longer than allowed":       {node.SoundLimits{MaxDuration: 2 * time.Second}, fixtures.Spec{Samples: 2*44100 + 1}, "audio.too-long"},
		"slower than allowed":       {node.SoundLimits{MinRate: 44100}, fixtures.Spec{Rate: 32000, Samples: 64000}, "audio.bad-rate"},
		"slower than any":           {node.SoundLimits{}, fixtures.Spec{Rate: 7999, Samples: 16000}, "audio.bad-rate"},
		"faster than allowed":       {node.SoundLimits{MaxRate: 48000}, fixtures.Spec{Rate: 96000, Samples: 192000}, "audio.bad-rate"},
		"faster than any":           {node.SoundLimits{}, fixtures.Spec{Rate: 192001, Samples: 200000}, "audio.bad-rate"},
		"more channels than wanted": {node.SoundLimits{MaxChannels: 2}, fixtures.Spec{Channels: 3, Samples: 44100}, "audio.too-many-channels"},
		"more channels than any":    {node.SoundLimits{}, fixtures.Spec{Channels: 9, Samples: 44100}, "audio.too-many-channels"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := node.Probe(t.Context(), wavFile(t, tc.spec), node.ProbeConfig{FFmpeg: "-", Limits: tc.limits})
			if err != nil || v.Code != tc.want {
				t.Errorf("got %q %v, want %q", v.Code, err, tc.want)
			}
		})
	}
}

func TestLimitsThatNothingMeetsAreRefused(t *testing.T) {
	t.Parallel()
	for _, l := range []node.SoundLimits{
		{MinDuration: time.Hour, MaxDuration: time.Minute}, {MaxDuration: 25 * time.Hour}, {MinDuration: -1},
		{MinRate: 96000, MaxRate: 48000}, {MaxRate: 384000}, {MinRate: 4000}, {MaxChannels: 9}, {MaxChannels: -1},
	} {
		if _, err := node.Probe(t.Context(), nil, node.ProbeConfig{Limits: l}); !errors.Is(err, melodyud.ErrInvalid) {
			t.Errorf("%+v: %v", l, err)
		}
	}
}
