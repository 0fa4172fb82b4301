package sound

import (
	"context"
	"errors"
	"math"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
)

func (s *Service) registerAlbums(r *api.Router) {
	huma.Register(r.API, operation("get-album-loudness", "/v1/albums/{id}/loudness", "Get the loudness of an album",
		"Gated over the blocks of all its tracks together (BS.1770-4), for players that turn a whole album up or down by one gain.",
		401, 403, 404), s.albumLoudness)
}

type albumInput struct {
	ID string `path:"id" maxLength:"64" doc:"The album's id." example:"alb_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
}

type albumLoudness struct {
	Integrated *float64 `json:"integrated_lufs" doc:"Null: silence, or nobody has listened yet." example:"-11.2"`
	TruePeak   *float64 `json:"true_peak_dbtp" doc:"The highest of all tracks." example:"-0.3"`
	Tracks     int      `json:"track_count" doc:"Tracks of the album that are part of it." example:"9"`
}

type albumOutput struct{ Body albumLoudness }

func (s *Service) albumLoudness(ctx context.Context, in *albumInput) (*albumOutput, error) {
	who, err := anybody(ctx)
	if err != nil {
		return nil, api.Fail(err)
	}
	tracks, err := s.c.Tracks.AlbumTracks(ctx, who, melodyud.AlbumID(in.ID))
	if err != nil {
		return nil, api.Fail(err)
	}
	var out albumOutput
	var blocks melodyud.LoudnessBlocks
	for _, t := range tracks {
		if err := s.join(ctx, t, &blocks, &out.Body); err != nil {
			return nil, api.Fail(err)
		}
	}
	out.Body.Integrated = blocks.Integrated()
	return &out, nil
}

// join adds what was heard of a track, if somebody listened to it.
func (s *Service) join(ctx context.Context, t melodyud.Track, blocks *melodyud.LoudnessBlocks, sum *albumLoudness) error {
	var f melodyud.Features
	var a melodyud.Analysis
	err := s.read(ctx, t, featuresFile, &f)
	if err == nil {
		err = s.read(ctx, t, analysisFile, &a)
	}
	if errors.Is(err, errUnheard) {
		return nil
	}
	if err != nil {
		return err
	}
	sum.Tracks++
	blocks.Join(a.Loudness)
	if p := f.Loudness.TruePeak; p != nil {
		highest := *p
		if sum.TruePeak != nil {
			highest = math.Max(*p, *sum.TruePeak)
		}
		sum.TruePeak = &highest
	}
	return nil
}
