// Package decision lets creators say what shall become of an upload whose very
// bytes they have published before.
package decision

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/ingest"
	"github.com/melodyud/melodyud/internal/api"
)

// uploads is the state machine of package ingest.
type uploads interface {
	Decide(ctx context.Context, owner melodyud.UserID, id string, keep bool) (ingest.View, error)
}

// Desk takes decisions. It keeps nothing itself.
type Desk struct{ uploads uploads }

// New returns a Desk for uploads, which is required.
func New(uploads uploads) (*Desk, error) {
	if uploads == nil {
		return nil, fmt.Errorf("%w: decisions need uploads", melodyud.ErrInvalid)
	}
	return &Desk{uploads}, nil
}

// Register hangs the operation on r.
func (d *Desk) Register(r *api.Router) {
	huma.Register(r.API, huma.Operation{
		OperationID: "decide-upload", Method: http.MethodPost, Path: "/v1/uploads/{id}/decision",
		Summary: "Decide what becomes of a duplicate", Tags: []string{"uploads"},
		Description: "An upload in the state duplicate has the very bytes of a track of yours. Keep both, or discard the upload. " +
			"The key duplicates in Upload-Metadata, with the value keep or discard, answers beforehand.",
		Errors:   []int{401, 403, 404, 409, 422, 500, 503},
		Security: []map[string][]string{{"key": {}}, {"session": {}}},
	}, d.decide)
}

type input struct {
	ID   string `path:"id" maxLength:"64" doc:"The upload's id." example:"upl_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
	Body struct {
		Keep string `json:"keep" enum:"both,discard" doc:"both: it becomes a track of its own. discard: it is given up."`
	}
}

type output struct{ Body ingest.View }

func (d *Desk) decide(ctx context.Context, in *input) (*output, error) {
	who, err := api.Require(ctx, api.RoleCreator)
	if err != nil {
		return nil, api.Fail(err)
	}
	v, err := d.uploads.Decide(ctx, who.User, in.ID, in.Body.Keep == "both")
	if err != nil {
		return nil, api.Fail(err)
	}
	return &output{v}, nil
}
