package accounts

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/ticket"
)

// Register hangs sign-in, session, key and who-am-I operations on r.
func (s *Service) Register(r *api.Router) {
	r.Mux.HandleFunc("GET /signin", s.serveSignIn)
	huma.Register(r.API, huma.Operation{
		OperationID: "sign-in", Method: http.MethodPost, Path: "/v1/session", Summary: "Sign a browser in with a key",
		Tags: []string{"accounts"}, Middlewares: huma.Middlewares{sameOrigin},
	}, s.postSession)
	huma.Register(r.API, huma.Operation{
		OperationID: "sign-out", Method: http.MethodDelete, Path: "/v1/session", Summary: "Sign this browser out",
		Tags: []string{"accounts"}, DefaultStatus: http.StatusNoContent,
	}, s.deleteSession)
	huma.Register(r.API, huma.Operation{
		OperationID: "me", Method: http.MethodGet, Path: "/v1/me", Summary: "Who am I?", Tags: []string{"accounts"}, Security: anyKey(),
	}, s.getMe)
	s.registerKeys(r)
}

func (s *Service) registerKeys(r *api.Router) {
	huma.Register(r.API, huma.Operation{
		OperationID: "list-keys", Method: http.MethodGet, Path: "/v1/ops/keys", Summary: "List API keys", Tags: []string{"ops"}, Security: anyKey(),
	}, s.getKeys)
	huma.Register(r.API, huma.Operation{
		OperationID: "create-key", Method: http.MethodPost, Path: "/v1/ops/keys", Summary: "Create an API key for a new user",
		Description: "The answer holds the secret. It is shown this once.",
		Tags:        []string{"ops"}, DefaultStatus: http.StatusCreated, Security: anyKey(),
	}, s.postKey)
	huma.Register(r.API, huma.Operation{
		OperationID: "revoke-key", Method: http.MethodDelete, Path: "/v1/ops/keys/{id}", Summary: "Revoke an API key and its sessions",
		Tags: []string{"ops"}, DefaultStatus: http.StatusNoContent, Security: anyKey(),
	}, s.deleteKey)
}

func anyKey() []map[string][]string { return []map[string][]string{{"key": {}}, {"session": {}}} }

// sameOrigin keeps other sites from signing a browser in under a name of theirs.
func sameOrigin(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		api.WriteProblem(w, r, melodyud.Refuse(melodyud.ErrForbidden, "auth.cross-origin",
			"Sign in on this server's own page.").Because(err))
		return
	}
	next(ctx)
}

// serveSignIn is where sign-in links lead. It answers people, not programs.
func (s *Service) serveSignIn(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	_, session, err := s.signIn(r.Context(), r.RemoteAddr, r.URL.Query().Get("key"))
	if err == nil {
		http.SetCookie(w, s.cookie(session, r.TLS != nil))
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	if refusal, ok := melodyud.AsRefusal(err); ok {
		status := http.StatusUnauthorized
		if errors.Is(err, melodyud.ErrLimited) {
			status = http.StatusTooManyRequests
		}
		http.Error(w, refusal.Text, status)
		return
	}
	api.WriteProblem(w, r, err)
}

// Me is who a request comes from.
type Me struct {
	User  melodyud.UserID `json:"user"`
	Name  string          `json:"name"`
	Roles []api.Role      `json:"roles"`
	Tier  ticket.Tier     `json:"tier" enum:"free,premium"`
}

func meOf(p api.Principal) Me { return Me{User: p.User, Name: p.Name, Roles: p.Roles, Tier: p.Tier} }

type signInInput struct {
	Body struct {
		Key string `json:"key" maxLength:"200" doc:"An API key (mk_…)."`
	}
	address string
	tls     bool
}

// Resolve implements huma.Resolver: it notes where the request came from.
func (i *signInInput) Resolve(ctx huma.Context) []error {
	i.address, i.tls = ctx.RemoteAddr(), ctx.TLS() != nil
	return nil
}

type signInOutput struct {
	SetCookie string `header:"Set-Cookie"`
	Body      Me
}

func (s *Service) postSession(ctx context.Context, in *signInInput) (*signInOutput, error) {
	p, session, err := s.signIn(ctx, in.address, in.Body.Key)
	if err != nil {
		return nil, api.Fail(err)
	}
	return &signInOutput{SetCookie: s.cookie(session, in.tls).String(), Body: meOf(p)}, nil
}

type signOutInput struct {
	Session string `cookie:"melodyud_session"`
}

type signOutOutput struct {
	SetCookie string `header:"Set-Cookie"`
}

func (s *Service) deleteSession(ctx context.Context, in *signOutInput) (*signOutOutput, error) {
	if err := s.closeSession(ctx, in.Session); err != nil {
		return nil, api.Fail(err)
	}
	return &signOutOutput{SetCookie: s.cookie("", false).String()}, nil
}

type meOutput struct{ Body Me }

func (s *Service) getMe(ctx context.Context, _ *struct{}) (*meOutput, error) {
	p, err := api.RequireAny(ctx)
	if err != nil {
		return nil, api.Fail(err)
	}
	return &meOutput{Body: meOf(p)}, nil
}

const maxListed = 1000

type keysOutput struct {
	Body struct {
		Keys []Key `json:"keys"`
	}
}

func (s *Service) getKeys(ctx context.Context, _ *struct{}) (*keysOutput, error) {
	if _, err := api.Require(ctx, api.RoleOps); err != nil {
		return nil, api.Fail(err)
	}
	keys, err := s.List(ctx, maxListed)
	if err != nil {
		return nil, api.Fail(err)
	}
	out := &keysOutput{}
	out.Body.Keys = keys
	return out, nil
}

type createKeyInput struct {
	Body struct {
		Name  string      `json:"name" minLength:"1" maxLength:"100"`
		Roles []api.Role  `json:"roles" minItems:"1" maxItems:"3" enum:"creator,listener,ops"`
		Tier  ticket.Tier `json:"tier,omitempty" enum:"free,premium" default:"free"`
	}
}

type createKeyOutput struct {
	Body struct {
		Key
		Secret string `json:"secret" doc:"Shown this once. Hand it over on a safe way."`
	}
}

func (s *Service) postKey(ctx context.Context, in *createKeyInput) (*createKeyOutput, error) {
	if _, err := api.Require(ctx, api.RoleOps); err != nil {
		return nil, api.Fail(err)
	}
	k, secret, err := s.Create(ctx, in.Body.Name, in.Body.Roles, in.Body.Tier)
	if err != nil {
		return nil, api.Fail(err)
	}
	s.config.Logger.Info("key created", "key", k.ID, "user", string(k.User), "roles", joinRoles(k.Roles))
	out := &createKeyOutput{}
	out.Body.Key, out.Body.Secret = k, secret
	return out, nil
}

type keyInput struct {
	ID string `path:"id" maxLength:"64"`
}

func (s *Service) deleteKey(ctx context.Context, in *keyInput) (*struct{}, error) {
	if _, err := api.Require(ctx, api.RoleOps); err != nil {
		return nil, api.Fail(err)
	}
	if err := s.Revoke(ctx, in.ID); err != nil {
		return nil, api.Fail(err)
	}
	s.config.Logger.Info("key revoked", "key", in.ID)
	return nil, nil
}
