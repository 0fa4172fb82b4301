package catalog

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
)

func (s *Service) registerReleases(r *api.Router) {
	huma.Register(r.API, api.Operation("tracks", "list-releases", http.MethodGet, "/v1/tracks/{id}/releases", "List the releases of one of your tracks",
		"A track gets a release each time its audio is replaced: upload a file with the track's id as \"replaces\". Latest first.",
		401, 403, 404), s.listReleases)
	huma.Register(r.API, api.Operation("tracks", "restore-release", http.MethodPost, "/v1/tracks/{id}/releases/{release}/restore", "Let listeners hear an older release again",
		"The track's id, address and plays stay. A replacement still being prepared is dropped: restoring the current release does only that.",
		401, 403, 404, 409), s.restoreRelease)
}

type (
	releaseView struct {
		ID        melodyud.ReleaseID `json:"id" example:"rel_01J9ZQ9B2C4D6E8F0G2H4J6K8M"`
		Number    int                `json:"number" doc:"1 for the first."`
		Duration  float64            `json:"duration_seconds" example:"214.36"`
		Published time.Time          `json:"published"`
		Current   bool               `json:"current" doc:"Whether it is what listeners hear."`
		FileName  string             `json:"file_name" example:"morning-light.flac"`
		Master    api.Master         `json:"master"`
	}
	releasesOutput struct {
		Body struct {
			Releases []releaseView `json:"releases"`
		}
	}
	releaseInput struct {
		ID      string `path:"id" maxLength:"64" doc:"The track's id." example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
		Release string `path:"release" maxLength:"64" doc:"The release's id." example:"rel_01J9ZQ9B2C4D6E8F0G2H4J6K8M"`
	}
)

func (s *Service) listReleases(ctx context.Context, in *trackInput) (*releasesOutput, error) {
	who, err := creator(ctx)
	if err != nil {
		return nil, api.Fail(err)
	}
	current, all, err := s.Releases(ctx, who, in.id())
	if err != nil {
		return nil, api.Fail(err)
	}
	out := &releasesOutput{}
	out.Body.Releases = make([]releaseView, len(all))
	for i, r := range all {
		out.Body.Releases[i] = releaseView{
			ID: r.ID, Number: r.Number, Duration: r.Duration.Seconds(), Published: r.Published, Current: r.ID == current,
			FileName: r.FileName, Master: api.Master{SHA256: r.Master.SHA256, Size: r.Master.Size},
		}
	}
	return out, nil
}

func (s *Service) restoreRelease(ctx context.Context, in *releaseInput) (*trackOutput, error) {
	who, err := api.Require(ctx, api.RoleCreator)
	if err != nil {
		return nil, api.Fail(err)
	}
	return answer(s.Restore(ctx, who, melodyud.TrackID(in.ID), melodyud.ReleaseID(in.Release)))
}
