package playback

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/ticket"
)

const (
	shortestPreview = 5 * time.Second
	longestPreview  = 30 * time.Second

	maxManifest = 16 << 20 // bytes of JSON; what the edge reads
	maxFeatures = 4 << 20
)

func (s *Service) registerPreview(r *api.Router) {
	huma.Register(r.API, api.Operation("tracks", "preview-track", http.MethodPost, "/v1/tracks/{id}/preview", "Ask for a preview",
		"Up to 30 seconds in HLS, for every listener. It begins at the segment boundary nearest to where the creator, "+
			"or else we, chose, and has as many whole segments as fit. The URL plays nothing else of the track.",
		401, 403, 404, 409), s.previewTrack)
}

type previewInput struct {
	ID string `path:"id" maxLength:"64" doc:"The track's id." example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
}

type preview struct {
	URL      string    `json:"url" doc:"HLS, AAC renditions." example:"/p/djEK.b2s/trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X/rel_01J9ZQ9B2C4D6E8F0G2H4J6K8M/preview/segments/15-22/index.m3u8"`
	Start    float64   `json:"start_seconds" doc:"Where in the track it begins." example:"59.907"`
	Duration float64   `json:"duration_seconds" doc:"How long it lasts, exactly." example:"27.957"`
	Chosen   bool      `json:"chosen" doc:"Whether the creator chose the start."`
	Expires  time.Time `json:"expires" doc:"The URL stops working then."`
	Session  string    `json:"session" doc:"Names this play session in telemetry."`
}

type previewOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         preview
}

func (s *Service) previewTrack(ctx context.Context, in *previewInput) (*previewOutput, error) {
	who, r, err := s.playable(ctx, in.ID)
	if err != nil {
		return nil, api.Fail(err)
	}
	p, err := s.preview(ctx, who, r)
	if err != nil {
		return nil, api.Fail(err)
	}
	return &previewOutput{CacheControl: "private, no-store", Body: p}, nil
}

func (s *Service) preview(ctx context.Context, who api.Principal, r melodyud.Track) (preview, error) {
	c, _, err := s.admit(ctx, who, "", r)
	if err != nil {
		return preview{}, err
	}
	m, err := s.manifest(ctx, r)
	if err != nil {
		return preview{}, err
	}
	wanted, err := s.previewStart(ctx, r)
	if err != nil {
		return preview{}, err
	}
	from, to := m.Excerpt(wanted, s.c.PreviewLength)
	// The least anybody may have: whatever was paid for, it is the same preview.
	c.Prefix, c.Tier, c.Ads = ticket.PreviewPrefix(r.ID, r.Release.ID, from, to), ticket.Free, ticket.NoAds
	a, err := s.sign(c, s.c.PauseAllowanceFree)
	if err != nil {
		return preview{}, fmt.Errorf("preview of track %s: %w", r.ID, err)
	}
	start, length := m.Span(from, to)
	return preview{
		URL: s.folder(a) + "index.m3u8", Start: start.Seconds(), Duration: length.Seconds(), Chosen: r.PreviewStart != nil,
		Expires: a.claims.Expires, Session: a.claims.Session,
	}, nil
}

// manifest reads what r's release is made of.
func (s *Service) manifest(ctx context.Context, r melodyud.Track) (*melodyud.Manifest, error) {
	var m melodyud.Manifest
	if err := objectstore.ReadJSON(ctx, s.c.Store, "media/"+r.Release.RenderHash+"/manifest.json", maxManifest, &m); err != nil {
		return nil, fmt.Errorf("track %s: %w", r.ID, err)
	}
	if len(m.Segments) == 0 || m.SampleRate <= 0 || len(m.Renditions) == 0 {
		return nil, fmt.Errorf("manifest of track %s: no segments or renditions", r.ID)
	}
	return &m, nil
}

// previewStart is where the creator wants the preview to begin, or where we think
// it should: what was heard in the render, or else a third into the track.
func (s *Service) previewStart(ctx context.Context, r melodyud.Track) (time.Duration, error) {
	if r.PreviewStart != nil {
		return *r.PreviewStart, nil
	}
	var f melodyud.Features
	folder := "features/" + r.Release.FeaturesHash
	if r.Release.FeaturesHash == "" {
		folder = "media/" + r.Release.RenderHash // where they were kept before they had a folder of their own
	}
	err := objectstore.ReadJSON(ctx, s.c.Store, folder+"/features.json", maxFeatures, &f)
	if err != nil && !errors.Is(err, melodyud.ErrNotFound) {
		return 0, fmt.Errorf("track %s: %w", r.ID, err)
	}
	if f.PreviewStart != nil && *f.PreviewStart >= 0 && *f.PreviewStart <= r.Release.Duration.Seconds() {
		return time.Duration(*f.PreviewStart * float64(time.Second)), nil
	}
	return max(0, min(r.Release.Duration/3, r.Release.Duration-s.c.PreviewLength)), nil
}
