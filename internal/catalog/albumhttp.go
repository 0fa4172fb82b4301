package catalog

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
)

func (s *Service) registerAlbums(r *api.Router) {
	huma.Register(r.API, api.Operation("albums", "list-albums", http.MethodGet, "/v1/albums", "List albums",
		"Published tracks of one creator with the same album title are an album. Newest album first.", 400, 401, 403, 422), s.listAlbums)
	huma.Register(r.API, api.Operation("albums", "get-album", http.MethodGet, "/v1/albums/{id}", "Show an album and its tracks",
		"In order of disc and track number, unnumbered tracks behind; at most 100.", 401, 403, 404), s.getAlbum)
}

// The JSON forms of albums.
type (
	album struct {
		ID       melodyud.AlbumID `json:"id" example:"alb_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
		Title    string           `json:"title" example:"Harbour"`
		Artist   string           `json:"artist" example:"Nora Vale" doc:"Empty when its tracks have several."`
		Count    int              `json:"track_count" doc:"Published tracks." example:"9"`
		Duration float64          `json:"duration_seconds" example:"2412.7"`
		Cover    melodyud.TrackID `json:"cover_track,omitempty" doc:"A track whose cover stands for the album; absent: none has one."`
	}
	albumPage struct {
		Albums []album          `json:"albums"`
		Next   melodyud.AlbumID `json:"next,omitempty" doc:"The cursor of the next page; absent on the last one."`
	}
	albumWithTracks struct { // huma does not see into embedded unexported structs
		ID       melodyud.AlbumID `json:"id" example:"alb_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
		Title    string           `json:"title" example:"Harbour"`
		Artist   string           `json:"artist" example:"Nora Vale" doc:"Empty when its tracks have several."`
		Count    int              `json:"track_count" doc:"Published tracks." example:"9"`
		Duration float64          `json:"duration_seconds" example:"2412.7"`
		Cover    melodyud.TrackID `json:"cover_track,omitempty" doc:"A track whose cover stands for the album; absent: none has one."`
		Tracks   []api.Track      `json:"tracks"`
	}
)

type (
	albumInput struct {
		ID string `path:"id" maxLength:"64" doc:"The album's id." example:"alb_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
	}
	albumsInput struct {
		Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50" doc:"Most albums in one answer."`
		Cursor string `query:"cursor" maxLength:"64" doc:"The next of the page before; empty for the first page." example:"alb_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
	}
	albumsOutput struct{ Body albumPage }
	albumOutput  struct{ Body albumWithTracks }
)

func viewOfAlbum(a Album) album {
	return album{a.ID, a.Title, a.Artist, a.Count, a.Duration.Seconds(), a.Cover}
}

func (s *Service) listAlbums(ctx context.Context, in *albumsInput) (*albumsOutput, error) {
	if _, err := listener(ctx); err != nil {
		return nil, api.Fail(err)
	}
	page, err := s.Albums(ctx, in.Limit, melodyud.AlbumID(in.Cursor))
	if err != nil {
		return nil, api.Fail(err)
	}
	out := albumPage{Albums: []album{}, Next: page.Next}
	for _, a := range page.Albums {
		out.Albums = append(out.Albums, viewOfAlbum(a))
	}
	return &albumsOutput{out}, nil
}

func (s *Service) getAlbum(ctx context.Context, in *albumInput) (*albumOutput, error) {
	if _, err := listener(ctx); err != nil {
		return nil, api.Fail(err)
	}
	a, tracks, err := s.Album(ctx, melodyud.AlbumID(in.ID))
	if err != nil {
		return nil, api.Fail(err)
	}
	return &albumOutput{albumWithTracks{
		a.ID, a.Title, a.Artist, a.Count, a.Duration.Seconds(), a.Cover, api.TracksOf(tracks, false),
	}}, nil
}
