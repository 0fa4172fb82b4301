package sound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/sound/table"
)

const exportPage = 100

// Export writes the features of all published tracks to w as one Parquet file, as
// far as somebody listened to them, and returns how many rows it has.
func (s *Service) Export(ctx context.Context, w io.Writer) (rows int, err error) {
	out := table.NewWriter(w)
	for after := melodyud.TrackID(""); ; {
		tracks, err := s.c.Library.Heard(ctx, melodyud.Hearing{}, after, exportPage)
		if err != nil {
			return rows, err
		}
		for _, t := range tracks {
			after = t.ID
			written, err := s.export(ctx, out, t)
			if err != nil {
				return rows, err
			}
			rows += written
		}
		if len(tracks) < exportPage {
			return rows, out.Close()
		}
	}
}

func (s *Service) export(ctx context.Context, out *table.Writer, t melodyud.Track) (rows int, err error) {
	var f melodyud.Features
	err = objectstore.ReadJSON(ctx, s.c.Store, featureFolder(t)+featuresFile, maxDocument, &f)
	if errors.Is(err, melodyud.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("features of track %s: %w", t.ID, err)
	}
	return 1, out.Write(table.Of(table.Subject{
		Track: t.ID, Release: t.Release.ID, Owner: t.Owner, Title: t.Title, FeaturesHash: t.Release.FeaturesHash, Told: t.Release.Published,
	}, &f))
}

func (s *Service) exportFeatures(ctx context.Context, _ *struct{}) (*huma.StreamResponse, error) {
	if _, err := api.Require(ctx, api.RoleOps); err != nil {
		return nil, api.Fail(err)
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", parquetType)
		hc.SetHeader("Content-Disposition", `attachment; filename="features.parquet"`)
		hc.SetHeader("Cache-Control", "private, no-store")
		hc.SetStatus(http.StatusOK)
		if rows, err := s.Export(ctx, hc.BodyWriter()); err != nil {
			s.c.Logger.ErrorContext(ctx, "export of features failed", "rows", rows, "error", err)
			panic(http.ErrAbortHandler) // the client must not take half a file for a whole one
		}
	}}, nil
}
