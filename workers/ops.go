package workers

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/queue"
)

// Register hangs the operators' view of the pipeline on r.
func (s *Service) Register(r *api.Router) {
	huma.Register(r.API, api.Operation("operations", "show-queues", http.MethodGet, "/v1/ops/queues", "Show what is waiting",
		"The steps are counted from the rows and are the truth; the queues are doorbells and may have lost some.", 401, 403), s.showQueues)
	huma.Register(r.API, api.Operation("operations", "list-dead", http.MethodGet, "/v1/ops/dead", "List what was given up",
		"Tracks whose work failed at every attempt, the latest first, with the reason. Retry them once the reason is gone.", 401, 403, 422), s.listDead)
	retry := api.Operation("operations", "retry-track", http.MethodPost, "/v1/ops/tracks/{id}/retry", "Try a track again",
		"Makes a dead letter, or a track that waits for its next attempt, due at once with all attempts back.", 401, 403, 404, 409)
	retry.DefaultStatus = http.StatusNoContent
	huma.Register(r.API, retry, s.retryTrack)
}

type queuesBody struct {
	Steps          []melodyud.StepBacklog `json:"steps" doc:"What is owed to tracks, by the rows."`
	Dead           int                    `json:"dead" doc:"Dead letters waiting for a person."`
	Queues         []queue.Depth          `json:"queues" doc:"What waits in the queue."`
	QueueReachable bool                   `json:"queue_reachable"`
}

type queuesOutput struct{ Body queuesBody }

func (s *Service) showQueues(ctx context.Context, _ *struct{}) (*queuesOutput, error) {
	if _, err := api.Require(ctx, api.RoleOps); err != nil {
		return nil, api.Fail(err)
	}
	b, err := s.c.Catalog.Backlog(ctx)
	if err != nil {
		return nil, api.Fail(err)
	}
	probe, cancel := context.WithTimeout(ctx, ringPatience)
	defer cancel()
	depths, err := s.c.Queue.Depths(probe) // the rows are shown also when the queue is away
	return &queuesOutput{queuesBody{
		Steps: orEmpty(b.Steps), Dead: b.Dead, Queues: orEmpty(depths), QueueReachable: err == nil,
	}}, nil
}

// orEmpty makes a list that JSON does not write as null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

type deadInput struct {
	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type deadBody struct {
	Dead []melodyud.DeadLetter `json:"dead"`
}

type deadOutput struct{ Body deadBody }

func (s *Service) listDead(ctx context.Context, in *deadInput) (*deadOutput, error) {
	if _, err := api.Require(ctx, api.RoleOps); err != nil {
		return nil, api.Fail(err)
	}
	letters, err := s.c.Catalog.Dead(ctx, in.Limit)
	if err != nil {
		return nil, api.Fail(err)
	}
	return &deadOutput{deadBody{orEmpty(letters)}}, nil
}

type retryInput struct {
	ID string `path:"id" maxLength:"64" doc:"The track's id." example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
}

func (s *Service) retryTrack(ctx context.Context, in *retryInput) (*struct{}, error) {
	if _, err := api.Require(ctx, api.RoleOps); err != nil {
		return nil, api.Fail(err)
	}
	return nil, api.Fail(s.c.Catalog.Retry(ctx, melodyud.TrackID(in.ID)))
}
