package catalog

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
)

// Register hangs the catalog's operations on r.
func (s *Service) Register(r *api.Router) {
	huma.Register(r.API, api.Operation("tracks", "list-tracks", http.MethodGet, "/v1/tracks", "List your tracks",
		"Newest first. Withdrawn tracks are left out unless asked for by state.", 400, 401, 403, 422), s.listTracks)
	huma.Register(r.API, api.Operation("tracks", "get-track", http.MethodGet, "/v1/tracks/{id}", "Show one of your tracks",
		"Operators may see any track.", 401, 403, 404), s.getTrack)
	huma.Register(r.API, api.Operation("tracks", "rename-track", http.MethodPatch, "/v1/tracks/{id}", "Rename a track or choose its preview",
		"Fields that are left out stay as they are. Text is put on one line, at most 300 characters.", 400, 401, 403, 404, 409, 422), s.renameTrack)
	withdraw := api.Operation("tracks", "withdraw-track", http.MethodDelete, "/v1/tracks/{id}", "Withdraw a track",
		"It can no longer be played and its files are deleted. This cannot be undone.", 401, 403, 404)
	withdraw.DefaultStatus = http.StatusNoContent
	huma.Register(r.API, withdraw, s.withdrawTrack)
	huma.Register(r.API, api.Operation("tracks", "list-catalog", http.MethodGet, "/v1/catalog", "List what can be played",
		"All published tracks, newest first.", 400, 401, 403, 422), s.listCatalog)
	s.registerReleases(r)
	s.registerAlbums(r)
	s.registerEvents(r)
}

type pageInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50" doc:"Most tracks in one answer."`
	Cursor string `query:"cursor" maxLength:"64" doc:"The next of the page before; empty for the first page." example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
}

type listInput struct { // huma does not see into embedded unexported structs
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50" doc:"Most tracks in one answer."`
	Cursor string `query:"cursor" maxLength:"64" doc:"The next of the page before; empty for the first page." example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
	State  string `query:"state" enum:"received,published,refused,withdrawn" doc:"Only tracks in this state."`
}

type trackPage struct {
	Tracks []api.Track      `json:"tracks"`
	Next   melodyud.TrackID `json:"next,omitempty" doc:"The cursor of the next page; absent on the last one."`
}

type pageOutput struct{ Body trackPage }

type trackOutput struct{ Body api.Track }

type trackInput struct {
	ID string `path:"id" maxLength:"64" doc:"The track's id." example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
}

func (i trackInput) id() melodyud.TrackID { return melodyud.TrackID(i.ID) }

type renameInput struct {
	ID   string `path:"id" maxLength:"64" doc:"The track's id." example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
	Body struct {
		_      struct{} `additionalProperties:"false"`
		Title  *string  `json:"title,omitempty" maxLength:"2000" example:"Morning Light"`
		Artist *string  `json:"artist,omitempty" maxLength:"2000" example:"Nora Vale"`
		Album  *string  `json:"album,omitempty" maxLength:"2000" example:"Harbour"`
		Disc   *int     `json:"disc,omitempty" doc:"Within the album, 1 to 9999; 0 for none." example:"1"`
		Number *int     `json:"number,omitempty" doc:"Within the disc, 1 to 9999; 0 for none." example:"3"`

		PreviewStart *float64 `json:"preview_start_seconds,omitempty" minimum:"-1" doc:"Where the preview begins; -1 leaves the choice to us." example:"61.5"`
	}
}

// creator returns who asks if they may look at tracks of their own; operators may.
func creator(ctx context.Context) (api.Principal, error) {
	return api.Require(ctx, api.RoleOps, api.RoleCreator)
}

// listener returns who asks if they may hear anything at all: what exactly, the
// track decides.
func listener(ctx context.Context) (api.Principal, error) {
	return api.Require(ctx, api.RoleOps, api.RoleCreator, api.RoleListener)
}

func (s *Service) listTracks(ctx context.Context, in *listInput) (*pageOutput, error) {
	who, err := api.Require(ctx, api.RoleCreator)
	if err != nil {
		return nil, api.Fail(err)
	}
	page := Page{Limit: in.Limit, Cursor: melodyud.TrackID(in.Cursor), State: melodyud.State(in.State)}
	return pageOf(true)(s.List(ctx, who, page))
}

func (s *Service) listCatalog(ctx context.Context, in *pageInput) (*pageOutput, error) {
	if _, err := listener(ctx); err != nil {
		return nil, api.Fail(err)
	}
	return pageOf(false)(s.Published(ctx, Page{Limit: in.Limit, Cursor: melodyud.TrackID(in.Cursor)}))
}

func pageOf(owner bool) func(Tracks, error) (*pageOutput, error) {
	return func(p Tracks, err error) (*pageOutput, error) {
		if err != nil {
			return nil, api.Fail(err)
		}
		return &pageOutput{trackPage{api.TracksOf(p.Tracks, owner), p.Next}}, nil
	}
}

func answer(t melodyud.Track, err error) (*trackOutput, error) {
	if err != nil {
		return nil, api.Fail(err)
	}
	return &trackOutput{api.TrackOf(t, true)}, nil
}

func (s *Service) getTrack(ctx context.Context, in *trackInput) (*trackOutput, error) {
	who, err := creator(ctx)
	if err != nil {
		return nil, api.Fail(err)
	}
	return answer(s.Track(ctx, who, in.id()))
}

func (s *Service) renameTrack(ctx context.Context, in *renameInput) (*trackOutput, error) {
	who, err := api.Require(ctx, api.RoleCreator)
	if err != nil {
		return nil, api.Fail(err)
	}
	id := melodyud.TrackID(in.ID)
	if in.Body.PreviewStart != nil {
		if err := s.ChoosePreview(ctx, who, id, *in.Body.PreviewStart); err != nil {
			return nil, api.Fail(err)
		}
	}
	return answer(s.Rename(ctx, who, id, Names{
		in.Body.Title, in.Body.Artist, in.Body.Album, in.Body.Disc, in.Body.Number,
	}))
}

func (s *Service) withdrawTrack(ctx context.Context, in *trackInput) (*struct{}, error) {
	who, err := api.Require(ctx, api.RoleCreator)
	if err != nil {
		return nil, api.Fail(err)
	}
	return nil, api.Fail(s.Withdraw(ctx, who, in.id()))
}
