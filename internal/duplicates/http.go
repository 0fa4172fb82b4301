package duplicates

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
)

// Register hangs the service's operations on r.
func (s *Service) Register(r *api.Router) {
	huma.Register(r.API, api.Operation("duplicates", "list-duplicates", http.MethodGet, "/v1/tracks/{id}/duplicates", "List what may be the same recording",
		"Tracks that sound like this one. Your own are named; of others' you learn only that there is one. Operators see all.",
		401, 403, 404), s.listDuplicates)
	dismiss := api.Operation("duplicates", "dismiss-duplicate", http.MethodPost, "/v1/tracks/{id}/duplicates/{other}", "Dismiss a duplicate",
		"Says that both tracks may stay. The pair is not shown as open again, until one of them gets other audio.", 401, 403, 404)
	dismiss.DefaultStatus = http.StatusNoContent
	huma.Register(r.API, dismiss, s.dismissDuplicate)
	huma.Register(r.API, api.Operation("duplicates", "list-all-duplicates", http.MethodGet, "/v1/duplicates", "List all pairs that may be the same",
		"For operators.", 401, 403, 422), s.listAll)
}

type duplicate struct {
	Track  *duplicateTrack `json:"track,omitempty" doc:"The other track; absent when it is somebody else's."`
	Kind   Kind            `json:"kind" enum:"recording,review,speed" doc:"recording: the same recording. review: much alike. speed: perhaps the same, faster or slower."`
	Offset float64         `json:"offset_seconds" doc:"Where in this track the other one begins; negative: it begins before." example:"-1.86"`
	Score  float64         `json:"score" doc:"The share of the fingerprint that differs; for speed how alike they sound." example:"0.0123"`
	Speed  float64         `json:"speed" doc:"How much faster the other one is than this one." example:"1"`
	State  State           `json:"state" enum:"open,dismissed"`
	Found  time.Time       `json:"found"`
}

type duplicateTrack struct {
	ID    melodyud.TrackID `json:"id" example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
	Title string           `json:"title" example:"Morning Light"`
}

type duplicatesInput struct {
	ID string `path:"id" maxLength:"64" doc:"The track's id." example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
}

type duplicatesOutput struct {
	Body struct {
		Duplicates []duplicate `json:"duplicates" doc:"The most alike first; at most 100."`
	}
}

// manager returns who asks if they may manage tracks.
func manager(ctx context.Context) (api.Principal, error) {
	return api.Require(ctx, api.RoleOps, api.RoleCreator)
}

func (s *Service) listDuplicates(ctx context.Context, in *duplicatesInput) (*duplicatesOutput, error) {
	who, err := manager(ctx)
	if err != nil {
		return nil, api.Fail(err)
	}
	id := melodyud.TrackID(in.ID)
	if _, err := s.c.Catalog.Track(ctx, who, id); err != nil {
		return nil, api.Fail(err)
	}
	pairs, err := s.Pairs(ctx, id)
	if err != nil {
		return nil, api.Fail(err)
	}
	out := &duplicatesOutput{}
	out.Body.Duplicates = []duplicate{} // never null in JSON
	for _, p := range pairs {
		d, err := s.seen(ctx, who, id, p)
		if err != nil {
			return nil, api.Fail(err)
		}
		out.Body.Duplicates = append(out.Body.Duplicates, d)
	}
	return out, nil
}

// seen is a pair as the owner of one of its tracks may see it.
func (s *Service) seen(ctx context.Context, who api.Principal, id melodyud.TrackID, p Pair) (duplicate, error) {
	d := duplicate{Kind: p.Kind, Offset: p.Offset, Score: p.Score, Speed: p.Speed, State: p.State, Found: p.Found}
	other := p.Second
	if id == p.Second {
		other, d.Offset, d.Speed = p.First, -p.Offset, 1/p.Speed
	}
	t, err := s.c.Catalog.Track(ctx, who, other)
	switch {
	case errors.Is(err, melodyud.ErrNotFound), errors.Is(err, melodyud.ErrForbidden):
		return d, nil
	case err != nil:
		return d, err
	}
	d.Track = &duplicateTrack{t.ID, t.Title}
	return d, nil
}

type dismissInput struct {
	ID    string `path:"id" maxLength:"64" doc:"The track's id." example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
	Other string `path:"other" maxLength:"64" doc:"The other track's id." example:"trk_01J9ZQ9B2C4D6E8F0G2H4J6K8M"`
}

// dismissDuplicate asks for both tracks: who may not manage the other one does not
// even learn its id.
func (s *Service) dismissDuplicate(ctx context.Context, in *dismissInput) (*struct{}, error) {
	who, err := manager(ctx)
	if err != nil {
		return nil, api.Fail(err)
	}
	for _, id := range []string{in.ID, in.Other} {
		if _, err := s.c.Catalog.Track(ctx, who, melodyud.TrackID(id)); err != nil {
			return nil, api.Fail(err)
		}
	}
	return nil, api.Fail(s.Dismiss(ctx, who.User, melodyud.TrackID(in.ID), melodyud.TrackID(in.Other)))
}

type allInput struct {
	State  string `query:"state" enum:"open,dismissed" default:"open" doc:"Only pairs in this state."`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50" doc:"Most pairs in one answer."`
	Cursor string `query:"cursor" maxLength:"128" doc:"The next of the page before; empty for the first page."`
}

type pair struct {
	First       melodyud.TrackID `json:"first" doc:"The older track." example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
	FirstOwner  melodyud.UserID  `json:"first_owner"`
	Second      melodyud.TrackID `json:"second" example:"trk_01J9ZQ9B2C4D6E8F0G2H4J6K8M"`
	SecondOwner melodyud.UserID  `json:"second_owner"`
	Kind        Kind             `json:"kind" enum:"recording,review,speed"`
	Offset      float64          `json:"offset_seconds" doc:"Where in the first the second begins."`
	Score       float64          `json:"score"`
	Speed       float64          `json:"speed"`
	State       State            `json:"state" enum:"open,dismissed"`
	Found       time.Time        `json:"found"`
}

type allOutput struct {
	Body struct {
		Pairs []pair `json:"pairs"`
		Next  string `json:"next,omitempty" doc:"The cursor of the next page; absent on the last one."`
	}
}

func (s *Service) listAll(ctx context.Context, in *allInput) (*allOutput, error) {
	if _, err := api.Require(ctx, api.RoleOps); err != nil {
		return nil, api.Fail(err)
	}
	first, second, _ := strings.Cut(in.Cursor, ".")
	pairs, err := s.Judged(ctx, State(in.State), melodyud.TrackID(first), melodyud.TrackID(second), in.Limit+1)
	if err != nil {
		return nil, api.Fail(err)
	}
	out := &allOutput{}
	out.Body.Pairs = []pair{} // never null in JSON
	if len(pairs) > in.Limit {
		pairs = pairs[:in.Limit]
		last := pairs[in.Limit-1]
		out.Body.Next = string(last.First) + "." + string(last.Second)
	}
	for _, p := range pairs {
		out.Body.Pairs = append(out.Body.Pairs, pair{
			p.First, p.FirstOwner, p.Second, p.SecondOwner, p.Kind, p.Offset, p.Score, p.Speed, p.State, p.Found,
		})
	}
	return out, nil
}
