package sound

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/melodyud/melodyud/internal/api"
)

func (s *Service) registerOps(r *api.Router) {
	op := func(id, method, path, summary, description string, errors ...int) huma.Operation {
		o := operation(id, path, summary, description, append(errors, 401, 403)...)
		o.Method, o.Tags = method, []string{"operations"}
		return o
	}
	huma.Register(r.API, op("start-reanalysis", http.MethodPost, "/v1/ops/reanalyses", "Listen to tracks again",
		"Published tracks are listened to anew from their stored masters, while nothing more urgent waits. Nothing is rendered again.", 422), s.startReanalysis)
	huma.Register(r.API, op("list-reanalyses", http.MethodGet, "/v1/ops/reanalyses", "Show how far listening again is",
		"The last 100, the latest first."), s.listReanalyses)
	export := op("export-features", http.MethodGet, "/v1/ops/features.parquet", "Get all features as Parquet",
		"One row for each published track that was listened to.")
	export.Responses = bytesOf("The file.", parquetType)
	huma.Register(r.API, export, s.exportFeatures)
	huma.Register(r.API, op("cancel-reanalysis", http.MethodDelete, "/v1/ops/reanalyses/{id}", "Stop listening again",
		"What was heard so far stays.", 404), s.cancelReanalysis)
}

type reanalysisInput struct {
	Body struct {
		_       struct{} `additionalProperties:"false"`
		Where   string   `json:"where" maxLength:"300" doc:"Which tracks: all, track=…, owner=…, analyzer_version < N, joined by \"and\"." example:"analyzer_version < 5"`
		PerHour int64    `json:"per_hour,omitempty" minimum:"0" maximum:"10000000" doc:"Most tracks an hour; 0: as fast as the workers can." example:"3600"`
	}
}

type reanalysisOutput struct{ Body Reanalysis }

func (s *Service) startReanalysis(ctx context.Context, in *reanalysisInput) (*reanalysisOutput, error) {
	if _, err := api.Require(ctx, api.RoleOps); err != nil {
		return nil, api.Fail(err)
	}
	which, err := ParseWhere(in.Body.Where)
	if err != nil {
		return nil, api.Fail(err)
	}
	return answer(s.Start(ctx, which, in.Body.PerHour))
}

func answer(r Reanalysis, err error) (*reanalysisOutput, error) {
	if err != nil {
		return nil, api.Fail(err)
	}
	return &reanalysisOutput{r}, nil
}

type reanalysesOutput struct {
	Body struct {
		Reanalyses []Reanalysis `json:"reanalyses"`
	}
}

func (s *Service) listReanalyses(ctx context.Context, _ *struct{}) (*reanalysesOutput, error) {
	if _, err := api.Require(ctx, api.RoleOps); err != nil {
		return nil, api.Fail(err)
	}
	all, err := s.Reanalyses(ctx)
	if err != nil {
		return nil, api.Fail(err)
	}
	out := &reanalysesOutput{}
	out.Body.Reanalyses = append([]Reanalysis{}, all...)
	return out, nil
}

type cancelInput struct {
	ID string `path:"id" maxLength:"64" doc:"The reanalysis's id."`
}

func (s *Service) cancelReanalysis(ctx context.Context, in *cancelInput) (*reanalysisOutput, error) {
	if _, err := api.Require(ctx, api.RoleOps); err != nil {
		return nil, api.Fail(err)
	}
	return answer(s.Cancel(ctx, in.ID))
}
