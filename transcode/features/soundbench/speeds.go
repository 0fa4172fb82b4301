package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/duplicates"
	"github.com/melodyud/melodyud/transcode/features"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// speeds are ffmpeg's filters for a copy at another speed: with the pitch kept, and
// as from a record player.
var speeds = []struct{ name, filter string }{
	{"faster-1.05", "atempo=1.05"},
	{"slower-0.94", "atempo=0.94"},
	{"record-1.04", "asetrate=45864,aresample=44100"},
}

const spedUpClips = 25

// speedsTable looks up copies at other speeds, which fingerprints do not show.
func speedsTable(ctx context.Context, b *bench) ([]row, error) {
	clips, err := b.synA(ctx, "band", fontTuned)
	if err != nil {
		return nil, err
	}
	clips = clips[:min(len(clips), spedUpClips)]
	s, end, err := openIndex(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	for i, c := range clips {
		if err := b.publishHeard(ctx, s, trackOf("A", i), c, "same", "anull"); err != nil {
			return nil, err
		}
	}
	var rows []row
	wrong, n := 0, 0
	for _, speed := range speeds {
		found := 0
		for i, c := range clips {
			id := trackOf("B", n)
			n++
			if err := b.publishHeard(ctx, s, id, c, speed.name, speed.filter); err != nil {
				return nil, err
			}
			pairs, err := s.Pairs(ctx, id)
			if err != nil {
				return nil, err
			}
			for _, p := range pairs {
				if p.First == trackOf("A", i) {
					found++
				} else {
					wrong++
				}
			}
			if err := s.Forget(ctx, id); err != nil {
				return nil, err
			}
		}
		rows = append(rows, share("found "+speed.name, "SYN-A band", found, len(clips)))
	}
	return append(rows, share("false matches", "SYN-A band", wrong, n).must(atMost(0), bound{})), nil
}

// publishHeard indexes what is heard of a clip through a filter.
func (b *bench) publishHeard(ctx context.Context, s *duplicates.Service, id melodyud.TrackID, c clip, name, filter string) error {
	path, err := b.made(fmt.Sprintf("%s-%s-%d.json", c.Name, name, features.Version), func(to string) error {
		a, err := features.New(stereo, features.Source{}, features.Config{})
		if err != nil {
			return err
		}
		if err := listen(ctx, c.Path, func(block pcm.Block) { a.Write(block) }, "-af", filter); err != nil {
			return err
		}
		f, d := a.Close(features.Measured{})
		d.Segments = nil
		raw, err := json.Marshal([]any{f, d})
		if err != nil {
			return err
		}
		return os.WriteFile(to, raw, 0o666)
	})
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var f melodyud.Features
	var d melodyud.Analysis
	if err := json.Unmarshal(raw, &[]any{&f, &d}); err != nil {
		return err
	}
	return s.Learn(ctx, melodyud.TrackFact{Track: id, Owner: "usr_1", Release: "rel_1", FeaturesHash: "f"}, f, d)
}
