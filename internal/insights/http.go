package insights

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
)

const countedDoc = "A play counts once 30 seconds of the track were heard at normal rate; jumping ahead, " +
	"hearing a part again and ads add nothing. A track under 30 seconds counts at its end. "

// Register hangs the service's operations on r.
func (s *Service) Register(r *api.Router) {
	huma.Register(r.API, api.Operation("plays", "get-plays", http.MethodGet, "/v1/tracks/{id}/plays", "Show how often one of your tracks was played",
		countedDoc+"Counts are seconds behind. Operators may see any track.", 401, 403, 404, 422), s.getPlays)
	huma.Register(r.API, api.Operation("plays", "list-plays", http.MethodGet, "/v1/plays", "Show how often your tracks were played",
		countedDoc+"Tracks that are not yours are left out.", 401, 403, 422), s.listPlays)
	rebuild := api.Operation("plays", "rebuild-plays", http.MethodPost, "/v1/plays/rebuild", "Count all plays anew",
		"For operators. Forgets what was counted and counts the facts again; meanwhile numbers are too low.", 401, 403)
	rebuild.DefaultStatus = http.StatusAccepted
	huma.Register(r.API, rebuild, s.rebuild)
}

type numbers struct {
	Plays       int64   `json:"plays" doc:"Counted streams."`
	Listeners   int64   `json:"listeners" doc:"Different listeners with a counted stream; in a total, those of each day added up."`
	Completions int64   `json:"completions" doc:"Plays to the end, or of nine tenths of the track."`
	Skips       int64   `json:"skips" doc:"Plays that the listener left before the end."`
	EarlySkips  int64   `json:"early_skips" doc:"Skips before 30 seconds were heard."`
	Hours       float64 `json:"hours" doc:"How long it was heard; what one listener hears twice in one play is counted once." example:"1.25"`
}

type dayNumbers struct {
	Date string `json:"date" format:"date" doc:"A day in UTC." example:"2026-11-22"`
	numbers
}

type playsInput struct {
	ID   string `path:"id" maxLength:"64" doc:"The track's id." example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
	Days int    `query:"days" minimum:"1" maximum:"366" default:"30" doc:"How many days to list, up to today."`
}

type playsOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		Total numbers      `json:"total" doc:"Of all days there ever were."`
		Days  []dayNumbers `json:"days" doc:"The last days, oldest first, today last."`
	}
}

const noStore = "private, no-store"

func numbersOf(d Day) numbers {
	hours := float64(d.Heard.Milliseconds()) / float64(time.Hour.Milliseconds())
	return numbers{d.Plays, d.Listeners, d.Completions, d.Skips, d.EarlySkips, hours}
}

// manager returns who asks if they may manage tracks, and whose they may see: ""
// for everybody's.
func manager(ctx context.Context) (api.Principal, melodyud.UserID, error) {
	who, err := api.Require(ctx, api.RoleOps, api.RoleCreator)
	if who.Has(api.RoleOps) {
		return who, "", err
	}
	return who, who.User, err
}

func (s *Service) getPlays(ctx context.Context, in *playsInput) (*playsOutput, error) {
	who, _, err := manager(ctx)
	if err != nil {
		return nil, api.Fail(err)
	}
	id := melodyud.TrackID(in.ID)
	if _, err := s.c.Catalog.Track(ctx, who, id); err != nil {
		return nil, api.Fail(err)
	}
	days, all, err := s.Days(ctx, id, s.c.Now(), in.Days)
	if err != nil {
		return nil, api.Fail(err)
	}
	out := &playsOutput{CacheControl: noStore}
	out.Body.Total = numbersOf(all)
	for _, d := range days {
		out.Body.Days = append(out.Body.Days, dayNumbers{d.Date.Format(time.DateOnly), numbersOf(d)})
	}
	return out, nil
}

type countsInput struct {
	Tracks string `query:"tracks" required:"true" maxLength:"3200" doc:"Up to 100 tracks' ids, with commas between them." example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
	Days   int    `query:"days" minimum:"1" maximum:"90" default:"14" doc:"How many days to list, up to today."`
}

type count struct {
	Track melodyud.TrackID `json:"track"`
	Plays int64            `json:"plays" doc:"Counted streams of all days there ever were."`
	Days  []int64          `json:"days" doc:"Counted streams of the last days, oldest first, today last."`
}

type countsOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		Plays []count `json:"plays"`
	}
}

const mostTracks = 100

var errMany = melodyud.Refuse(melodyud.ErrInvalid, "plays.too-many-tracks", "Ask for the plays of at most 100 tracks at a time.")

func (s *Service) listPlays(ctx context.Context, in *countsInput) (*countsOutput, error) {
	_, owner, err := manager(ctx)
	if err != nil {
		return nil, api.Fail(err)
	}
	var ids []melodyud.TrackID
	for one := range strings.SplitSeq(in.Tracks, ",") {
		ids = append(ids, melodyud.TrackID(one))
	}
	if len(ids) > mostTracks {
		return nil, api.Fail(errMany)
	}
	counts, err := s.Counts(ctx, owner, ids, s.c.Now(), in.Days)
	if err != nil {
		return nil, api.Fail(err)
	}
	out := &countsOutput{CacheControl: noStore}
	out.Body.Plays = []count{} // never null in JSON
	for _, c := range counts {
		out.Body.Plays = append(out.Body.Plays, count{c.Track, c.Plays, c.PlaysByDay})
	}
	return out, nil
}

func (s *Service) rebuild(ctx context.Context, _ *struct{}) (*struct{}, error) {
	if _, err := api.Require(ctx, api.RoleOps); err != nil {
		return nil, api.Fail(err)
	}
	return nil, api.Fail(s.Rebuild(ctx))
}
