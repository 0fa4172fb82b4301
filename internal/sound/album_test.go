package sound_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
)

// AlbumTracks implements the tracks: one album of all there are.
func (s shelf) AlbumTracks(_ context.Context, _ api.Principal, id melodyud.AlbumID) ([]melodyud.Track, error) {
	if id != "alb_all" {
		return nil, melodyud.Refuse(melodyud.ErrNotFound, "album.not-found", "There is no such album.")
	}
	var all []melodyud.Track
	for _, track := range slices.Sorted(maps.Keys(s)) {
		all = append(all, s[track])
	}
	return all, nil
}

func TestTheLoudnessOfAnAlbumIsGatedOverAllItsTracks(t *testing.T) { // LOUD-5
	t.Parallel()
	w := newWorld(t)
	levels := func(lufs float64, n int) (b melodyud.LoudnessBlocks) {
		for range n {
			b.Add(lufs)
		}
		return b
	}
	peaks := []float64{-3, -0.5}
	w.heard("quiet", melodyud.Features{Loudness: melodyud.Loudness{TruePeak: &peaks[0]}}, melodyud.Analysis{Loudness: levels(-36.05, 200)})
	w.heard("loud", melodyud.Features{Loudness: melodyud.Loudness{TruePeak: &peaks[1]}}, melodyud.Analysis{Loudness: levels(-23.05, 600)})
	w.track("nobody-listened")
	status, body, _ := w.get("/v1/albums/alb_all/loudness")
	if want := `"integrated_lufs":-23.05,"true_peak_dbtp":-0.5,"track_count":2}`; status != 200 || !strings.Contains(body, want) {
		t.Errorf("%d %s", status, body)
	}
	if status, body, _ := w.get("/v1/albums/alb_none/loudness"); status != 404 || !strings.Contains(body, "album.not-found") {
		t.Errorf("%d %s", status, body)
	}
}
