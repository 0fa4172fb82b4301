package ads

import (
	"context"
	"math"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
)

// Register hangs the service's operations on r.
func (s *Service) Register(r *api.Router) {
	huma.Register(r.API, api.Operation("ads", "list-ads", http.MethodGet, "/v1/ads", "List the house ads",
		"With what is heard of each, and what it waits for.", 401, 403), s.listAds)
	huma.Register(r.API, api.Operation("ads", "add-ad", http.MethodPost, "/v1/ads", "Name a track a house ad",
		"Upload the ad as a track first. From then on it is in no list of listeners, and never again; it is rendered as loud as music and heard "+
			"once its status is ready. Naming it again changes what is said of it.", 400, 401, 403, 404, 409, 422), s.addAd)
	remove := api.Operation("ads", "remove-ad", http.MethodDelete, "/v1/ads/{track}", "Remove a house ad",
		"Nobody hears it any more. Its track stays out of listeners' lists: withdraw it if it is not needed.", 401, 403, 404)
	remove.DefaultStatus = http.StatusNoContent
	huma.Register(r.API, remove, s.removeAd)
}

type ad struct {
	Track      melodyud.TrackID `json:"track" doc:"Names the ad." example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
	Title      string           `json:"title" example:"Strings that last"`
	Advertiser string           `json:"advertiser" example:"Vale Guitars"`
	Active     bool             `json:"active" doc:"Whether it is to be heard."`
	Weight     int              `json:"weight" minimum:"1" maximum:"10" doc:"How often, in proportion to the others."`
	Added      time.Time        `json:"added"`
	Status     Status           `json:"status" enum:"ready,preparing,levelling,unmatched,too-long,gone,unreadable" doc:"ready: it can be heard. preparing: its track is worked on. levelling: it is about to be rendered as loud as music. unmatched: it is silent, or too quiet for that. gone: its track was refused or withdrawn."`
	Duration   float64          `json:"duration_seconds,omitempty" example:"20.04"`
	Loudness   *float64         `json:"loudness_lufs,omitempty" doc:"As it is rendered now." example:"-14.02"`
	Gain       float64          `json:"gain_db" doc:"What it is rendered with." example:"4.31"`

	Impressions int64 `json:"impressions" doc:"How often players told that it began to be heard."`
	Completions int64 `json:"completions" doc:"How often they told that it was heard to its end."`
	Errors      int64 `json:"errors" doc:"How often they told that it could not be played."`
}

func viewOf(a Ad) ad {
	v := ad{
		Track: a.Track, Title: a.Title, Advertiser: a.Advertiser, Active: a.Active, Weight: a.Weight, Added: a.Added,
		Status: a.Status, Duration: a.Duration.Seconds(), Gain: float64(a.Gain) / 100,
		Impressions: a.Impressions, Completions: a.Completions, Errors: a.Errors,
	}
	if a.Loudness != nil {
		v.Loudness = new(math.Round(*a.Loudness*100) / 100)
	}
	return v
}

type adsOutput struct {
	Body struct {
		Ads []ad `json:"ads"`
	}
}

func (s *Service) listAds(ctx context.Context, _ *struct{}) (*adsOutput, error) {
	if _, err := api.Require(ctx, api.RoleOps); err != nil {
		return nil, api.Fail(err)
	}
	all, err := s.Ads(ctx)
	if err != nil {
		return nil, api.Fail(err)
	}
	out := &adsOutput{}
	out.Body.Ads = []ad{} // never null in JSON
	for _, a := range all {
		out.Body.Ads = append(out.Body.Ads, viewOf(a))
	}
	return out, nil
}

type addInput struct {
	Body struct {
		_          struct{} `additionalProperties:"false"`
		Track      string   `json:"track" maxLength:"64" doc:"The id of the ad's track." example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
		Title      string   `json:"title,omitempty" maxLength:"300" doc:"Default: the track's." example:"Strings that last"`
		Advertiser string   `json:"advertiser,omitempty" maxLength:"300" doc:"Whose ad it is; listeners read it. Default: the track's artist." example:"Vale Guitars"`
		Active     *bool    `json:"active,omitempty" doc:"false: keep it, but let nobody hear it. Default true."`
		Weight     int      `json:"weight,omitempty" minimum:"0" maximum:"10" doc:"How often, in proportion to the others; default 1."`
	}
}

type adOutput struct{ Body ad }

func (s *Service) addAd(ctx context.Context, in *addInput) (*adOutput, error) {
	if _, err := api.Require(ctx, api.RoleOps); err != nil {
		return nil, api.Fail(err)
	}
	b := in.Body
	a, err := s.Add(ctx, Ad{
		Track: melodyud.TrackID(b.Track), Title: b.Title, Advertiser: b.Advertiser,
		Active: b.Active == nil || *b.Active, Weight: max(b.Weight, 1),
	})
	if err != nil {
		return nil, api.Fail(err)
	}
	return &adOutput{viewOf(a)}, nil
}

type removeInput struct {
	Track string `path:"track" maxLength:"64" doc:"The id of the ad's track." example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
}

func (s *Service) removeAd(ctx context.Context, in *removeInput) (*struct{}, error) {
	if _, err := api.Require(ctx, api.RoleOps); err != nil {
		return nil, api.Fail(err)
	}
	if err := s.Remove(ctx, melodyud.TrackID(in.Track)); err != nil {
		return nil, api.Fail(err)
	}
	return nil, nil
}
