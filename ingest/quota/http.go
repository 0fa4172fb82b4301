package quota

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
)

const opsPath = "/v1/ops/quotas/{user}"

// Register hangs the quota's operations on r.
func (s *Service) Register(r *api.Router) {
	huma.Register(r.API, operation("quota", http.MethodGet, "/v1/quota", "What you use and what is left", "uploads",
		"Unfinished uploads reserve their size. Cancelled, expired and refused ones, and withdrawn tracks, give it back. "+
			"The length of a track is known once it is rendered; until then it is guessed from its size."), s.getOwn)
	huma.Register(r.API, operation("get-quota", http.MethodGet, opsPath, "What a creator uses and what is left", "ops", ""), s.getQuota)
	huma.Register(r.API, operation("set-quota", http.MethodPut, opsPath, "Give a creator limits of their own", "ops",
		"What is left out has the server's default; 0 is no limit."), s.putQuota)
	reset := operation("reset-quota", http.MethodDelete, opsPath, "Give a creator the default limits", "ops", "")
	reset.DefaultStatus = http.StatusNoContent
	huma.Register(r.API, reset, s.deleteQuota)
}

func operation(id, method, path, summary, tag, description string) huma.Operation {
	return api.Operation(tag, id, method, path, summary, description, 401, 403, 422)
}

// Quota is a quota as its owner sees it.
type Quota struct {
	Bytes   QuotaBytes   `json:"bytes"`
	Hours   QuotaHours   `json:"hours"`
	Uploads QuotaUploads `json:"uploads_today"`
}

// QuotaBytes is room for files.
type QuotaBytes struct {
	Used     int64  `json:"used" doc:"The files of your tracks."`
	Reserved int64  `json:"reserved" doc:"Your uploads under way."`
	Limit    *int64 `json:"limit,omitempty" doc:"Absent: none."`
}

// QuotaHours is room for sound.
type QuotaHours struct {
	Used     float64  `json:"used" doc:"The sound of your tracks."`
	Reserved float64  `json:"reserved" doc:"Guessed of what is not rendered yet."`
	Limit    *float64 `json:"limit,omitempty" doc:"Absent: none."`
}

// QuotaUploads is how often one may upload.
type QuotaUploads struct {
	Used   int64     `json:"used" doc:"Started today, but for those that came to nothing."`
	Limit  *int64    `json:"limit,omitempty" doc:"Absent: none."`
	Resets time.Time `json:"resets" doc:"When the next day begins."`
}

func viewOf(u Use) Quota {
	v := Quota{
		Bytes:   QuotaBytes{Used: u.Bytes, Reserved: u.Reserved, Limit: orNone(u.Limits.Bytes)},
		Hours:   QuotaHours{Used: u.Sound.Hours(), Reserved: u.Expected.Hours()},
		Uploads: QuotaUploads{Used: u.Uploads, Limit: orNone(u.Limits.Uploads), Resets: u.Resets},
	}
	if u.Limits.Sound > 0 {
		v.Hours.Limit = new(u.Limits.Sound.Hours())
	}
	return v
}

func orNone(limit int64) *int64 {
	if limit == 0 {
		return nil
	}
	return &limit
}

type output struct {
	CacheControl string `header:"Cache-Control"`
	Body         Quota
}

type input struct {
	User string `path:"user" maxLength:"64" pattern:"^usr_[0-9A-Za-z]+$" example:"usr_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
}

type setInput struct {
	User string `path:"user" maxLength:"64" pattern:"^usr_[0-9A-Za-z]+$" example:"usr_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
	Body struct {
		_       struct{} `additionalProperties:"false"`
		Bytes   *int64   `json:"bytes,omitempty" minimum:"0" example:"1000000000000"`
		Hours   *float64 `json:"hours,omitempty" minimum:"0" maximum:"1000000" example:"100"`
		Uploads *int64   `json:"uploads_a_day,omitempty" minimum:"0" example:"50"`
	}
}

func (s *Service) show(ctx context.Context, owner melodyud.UserID) (*output, error) {
	u, err := s.Use(ctx, s.config.DB, owner)
	if err != nil {
		return nil, api.Fail(err)
	}
	return &output{CacheControl: "no-store", Body: viewOf(u)}, nil
}

func (s *Service) getOwn(ctx context.Context, _ *struct{}) (*output, error) {
	who, err := api.Require(ctx, api.RoleCreator)
	if err != nil {
		return nil, api.Fail(err)
	}
	return s.show(ctx, who.User)
}

func (s *Service) getQuota(ctx context.Context, in *input) (*output, error) {
	if _, err := api.Require(ctx, api.RoleOps); err != nil {
		return nil, api.Fail(err)
	}
	return s.show(ctx, melodyud.UserID(in.User))
}

func (s *Service) putQuota(ctx context.Context, in *setInput) (*output, error) {
	who, err := api.Require(ctx, api.RoleOps)
	if err != nil {
		return nil, api.Fail(err)
	}
	l := Limits{unchanged, unchanged, unchanged}
	if in.Body.Bytes != nil {
		l.Bytes = *in.Body.Bytes
	}
	if in.Body.Hours != nil {
		l.Sound = time.Duration(*in.Body.Hours * float64(time.Hour))
	}
	if in.Body.Uploads != nil {
		l.Uploads = *in.Body.Uploads
	}
	if err := s.Override(ctx, melodyud.UserID(in.User), l); err != nil {
		return nil, api.Fail(err)
	}
	s.config.Logger.Info("quota set", "user", in.User, "by", string(who.User))
	return s.show(ctx, melodyud.UserID(in.User))
}

func (s *Service) deleteQuota(ctx context.Context, in *input) (*struct{}, error) {
	if _, err := api.Require(ctx, api.RoleOps); err != nil {
		return nil, api.Fail(err)
	}
	return nil, api.Fail(s.Reset(ctx, melodyud.UserID(in.User)))
}
