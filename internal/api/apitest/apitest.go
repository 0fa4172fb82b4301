// Package apitest puts services behind a real HTTP server for tests, and asks them as
// people would.
package apitest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/ticket"
)

// The people of tests: two creators, two listeners and an operator.
var (
	Nora = api.Principal{User: "usr_01NORA", Name: "Nora", Roles: []api.Role{api.RoleCreator}, Tier: ticket.Free}
	Emil = api.Principal{User: "usr_01EMIL", Name: "Emil", Roles: []api.Role{api.RoleCreator}, Tier: ticket.Free}
	Lisa = api.Principal{User: "usr_01LISA", Name: "Lisa", Roles: []api.Role{api.RoleListener}, Tier: ticket.Free}
	Paul = api.Principal{User: "usr_01PAUL", Name: "Paul", Roles: []api.Role{api.RoleListener}, Tier: ticket.Premium}
	Olga = api.Principal{User: "usr_01OLGA", Name: "Olga", Roles: []api.Role{api.RoleOps}, Tier: ticket.Free}
)

// People signs in each of them by their name.
type People []api.Principal

// Everybody returns all people of tests.
func Everybody() People { return People{Nora, Emil, Lisa, Paul, Olga} }

// Authenticate implements what api.Config asks for.
func (all People) Authenticate(_ context.Context, secret string) (api.Principal, error) {
	for _, p := range all {
		if p.Name == secret {
			return p, nil
		}
	}
	return api.Principal{}, melodyud.ErrUnauthenticated
}

// Claims believes everybody: the key "usr_01NORA:creator" is that user's, with that
// role.
type Claims struct{}

// Authenticate implements what api.Config asks for.
func (Claims) Authenticate(_ context.Context, secret string) (api.Principal, error) {
	user, role, _ := strings.Cut(secret, ":")
	return api.Principal{User: melodyud.UserID(user), Roles: []api.Role{api.Role(role)}}, nil
}

type service interface{ Register(r *api.Router) }

// Server is an API under test.
type Server struct {
	*httptest.Server
	t testing.TB
}

// Serve starts an API of services, which ends with the test.
func Serve(t testing.TB, c api.Config, services ...service) *Server {
	t.Helper()
	router, err := api.NewRouter(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range services {
		s.Register(router)
	}
	server := httptest.NewServer(router.Handler())
	t.Cleanup(server.Close)
	return &Server{server, t}
}

// Do sends a request with key, if that is not empty, and returns the answer. A body is
// JSON; header are names and values in turn.
func (s *Server) Do(key, method, path, body string, header ...string) (status int, answer string, answered http.Header) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := s.Client().Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(raw), res.Header
}

// JSON is Do without a body; it returns the object of the answer, empty if there is
// none.
func (s *Server) JSON(key, method, path string) (status int, answer map[string]any) {
	s.t.Helper()
	status, body, _ := s.Do(key, method, path, "")
	answer = map[string]any{}
	if body != "" {
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			s.t.Fatal(err)
		}
	}
	return status, answer
}
