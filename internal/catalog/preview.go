package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/ticket"
)

const (
	shortestPreview = 5 * time.Second
	longestPreview  = 30 * time.Second

	maxManifest = 16 << 20 // bytes of JSON; what the edge reads
	maxFeatures = 4 << 20
)

func (s *Service) registerPreview(r *api.Router) {
	huma.Register(r.API, operation("preview-track", http.MethodPost, "/v1/tracks/{id}/preview", "Ask for a preview",
		"Up to 30 seconds in HLS, for every listener. It begins at the segment boundary nearest to where the creator, "+
			"or else we, chose, and has as many whole segments as fit. The URL plays nothing else of the track.",
		401, 403, 404, 409), s.previewTrack)
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

func (s *Service) previewTrack(ctx context.Context, in *trackInput) (*previewOutput, error) {
	_, r, err := s.playable(ctx, in.ID)
	if err != nil {
		return nil, api.Fail(err)
	}
	p, err := s.preview(ctx, r)
	if err != nil {
		return nil, api.Fail(err)
	}
	return &previewOutput{CacheControl: "private, no-store", Body: p}, nil
}

func (s *Service) preview(ctx context.Context, r *row) (preview, error) {
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
	a, err := s.admit(r, ticket.PreviewPrefix(r.ID, r.Release.ID, from, to), ticket.Free, s.c.PauseAllowanceFree)
	if err != nil {
		return preview{}, err
	}
	start, length := m.Span(from, to)
	return preview{
		URL: a.base + "index.m3u8", Start: start.Seconds(), Duration: length.Seconds(), Chosen: r.PreviewStart != nil,
		Expires: a.expires, Session: a.session,
	}, nil
}

// manifest reads what r's release is made of.
func (s *Service) manifest(ctx context.Context, r *row) (*melodyud.Manifest, error) {
	var m melodyud.Manifest
	if err := s.readJSON(ctx, r, "media/"+r.Release.RenderHash+"/manifest.json", maxManifest, &m); err != nil {
		return nil, err
	}
	if len(m.Segments) == 0 || m.SampleRate <= 0 || len(m.Renditions) == 0 {
		return nil, fmt.Errorf("manifest of track %s: no segments or renditions", r.ID)
	}
	return &m, nil
}

// previewStart is where the creator wants the preview to begin, or where we think
// it should: what was heard in the render, or else a third into the track.
func (s *Service) previewStart(ctx context.Context, r *row) (time.Duration, error) {
	if r.PreviewStart != nil {
		return *r.PreviewStart, nil
	}
	var f melodyud.Features
	folder := "features/" + r.Release.FeaturesHash
	if r.Release.FeaturesHash == "" {
		folder = "media/" + r.Release.RenderHash // where they were kept before they had a folder of their own
	}
	err := s.readJSON(ctx, r, folder+"/features.json", maxFeatures, &f)
	if err != nil && !errors.Is(err, melodyud.ErrNotFound) {
		return 0, err
	}
	if f.PreviewStart != nil && *f.PreviewStart >= 0 && *f.PreviewStart <= r.Release.Duration.Seconds() {
		return time.Duration(*f.PreviewStart * float64(time.Second)), nil
	}
	return max(0, min(r.Release.Duration/3, r.Release.Duration-s.c.PreviewLength)), nil
}

// readJSON reads an object that belongs to r's release, of limit bytes at most.
func (s *Service) readJSON(ctx context.Context, r *row, key string, limit int64, out any) error {
	body, info, err := s.c.Store.Open(ctx, key, 0, -1)
	if err != nil {
		return fmt.Errorf("open %s of track %s: %w", key, r.ID, err)
	}
	defer body.Close()
	if info.Size > limit {
		return fmt.Errorf("%s of track %s has %d bytes", key, r.ID, info.Size)
	}
	if err := json.NewDecoder(io.LimitReader(body, limit)).Decode(out); err != nil {
		return fmt.Errorf("read %s of track %s: %w", key, r.ID, err)
	}
	return nil
}

var errPreviewTooEarly = melodyud.Refuse(melodyud.ErrConflict, "track.preview-too-early",
	"The preview can be chosen once the track is published: until then its length is not known.")

// ChoosePreview sets where the preview of who's own track begins, in seconds; -1
// leaves the choice to us again. Errors: ErrNotFound, ErrConflict for a track that
// is not published, ErrInvalid for a start that leaves no room.
func (s *Service) ChoosePreview(ctx context.Context, who api.Principal, id melodyud.TrackID, start float64) error {
	err := s.c.Database.InTx(ctx, func(tx database.Tx) error {
		r, err := s.mine(ctx, tx, who, id)
		switch {
		case err != nil:
			return err
		case r.State == melodyud.StateWithdrawn:
			return errWithdrawn
		case r.Release == nil:
			return errPreviewTooEarly
		}
		ms, err := startFor(start, r.Release.Duration, s.c.PreviewLength)
		if err != nil {
			return err
		}
		return s.set(ctx, tx, id, `preview_ms = ?`, ms)
	})
	if err == nil {
		s.feed.Poke()
	}
	return err
}

// startFor checks a start in seconds and returns it in milliseconds.
func startFor(start float64, track, length time.Duration) (ms int64, err error) {
	if start == -1 {
		return -1, nil
	}
	latest := max(0, track-length).Seconds()
	if !(start >= 0 && start <= latest+0.0005) {
		return 0, melodyud.Refuse(melodyud.ErrInvalid, "track.preview-start", fmt.Sprintf(
			"The preview lasts up to %g seconds: let it begin between 0 and %.3f seconds, or write -1 to leave the choice to us.",
			length.Seconds(), latest))
	}
	return int64(math.Round(start * 1000)), nil
}
