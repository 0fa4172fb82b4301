package signing

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/melodyud/melodyud/internal/api"
)

// Register hangs the operations on r.
func (s *Service) Register(r *api.Router) {
	const path = "/v1/ops/ticket-keys"
	huma.Register(r.API, operation("list-ticket-keys", http.MethodGet, path, http.StatusOK, "List the keys that sign playback URLs",
		"Newest first, without their secrets."), s.getKeys)
	huma.Register(r.API, operation("rotate-ticket-keys", http.MethodPost, path, http.StatusCreated, "Sign playback URLs with a new key",
		"Every process accepts the new key within a second, and signs with it a few seconds later. The old one stays good: nobody who listens notices.",
		http.StatusConflict), s.postKey)
	huma.Register(r.API, operation("retire-ticket-key", http.MethodDelete, path+"/{id}", http.StatusNoContent, "Retire a key that signed playback URLs",
		"Its URLs stop at every edge within two seconds. While some may still be in use it is refused, unless now is set: for a key that leaked.",
		http.StatusNotFound, http.StatusConflict), s.deleteKey)
}

func operation(id, method, path string, status int, summary, description string, errors ...int) huma.Operation {
	o := api.Operation("ops", id, method, path, summary, description, append(errors, 401, 403)...)
	o.DefaultStatus = status
	return o
}

type (
	ticketKeysOutput struct {
		Body struct {
			Keys []ticketKey `json:"keys"`
		}
	}
	ticketKeyOutput struct{ Body ticketKey }
	retireInput     struct {
		ID  string `path:"id" maxLength:"64" doc:"The key's id." example:"k20260301-120000"`
		Now bool   `query:"now" doc:"Retire it even while its URLs may be in use."`
	}
	ticketKey Key
)

func (s *Service) getKeys(ctx context.Context, _ *struct{}) (*ticketKeysOutput, error) {
	if _, err := api.Require(ctx, api.RoleOps); err != nil {
		return nil, api.Fail(err)
	}
	keys, err := s.List(ctx)
	if err != nil {
		return nil, api.Fail(err)
	}
	out := &ticketKeysOutput{}
	out.Body.Keys = []ticketKey{}
	for _, k := range keys {
		out.Body.Keys = append(out.Body.Keys, ticketKey(k))
	}
	return out, nil
}

func (s *Service) postKey(ctx context.Context, _ *struct{}) (*ticketKeyOutput, error) {
	who, err := api.Require(ctx, api.RoleOps)
	if err != nil {
		return nil, api.Fail(err)
	}
	k, err := s.Rotate(ctx)
	if err != nil {
		return nil, api.Fail(err)
	}
	s.c.Logger.InfoContext(ctx, "ticket key made", "key", k.ID, "by", string(who.User))
	return &ticketKeyOutput{ticketKey(k)}, nil
}

func (s *Service) deleteKey(ctx context.Context, in *retireInput) (*struct{}, error) {
	who, err := api.Require(ctx, api.RoleOps)
	if err != nil {
		return nil, api.Fail(err)
	}
	if err := s.Retire(ctx, in.ID, in.Now); err != nil {
		return nil, api.Fail(err)
	}
	s.c.Logger.InfoContext(ctx, "ticket key retired", "key", in.ID, "by", string(who.User))
	return nil, nil
}
