package api

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"

	melodyud "github.com/melodyud/melodyud"
)

type authenticator interface {
	// Authenticate returns whose secret this is: an API key or a browser session.
	// Unknown, revoked and expired ones are ErrUnauthenticated.
	Authenticate(ctx context.Context, secret string) (Principal, error)
}

// Config configures a Router.
type Config struct {
	Title   string // of the OpenAPI document; default "MelodyUD"
	Version string // of the OpenAPI document; default "dev"

	Auth    authenticator         // nil: nobody is ever signed in
	Logger  *slog.Logger          // default: discards
	Metrics prometheus.Registerer // default: a private registry

	// ContentSecurityPolicy is the header of every response that sets none itself.
	// Default: DefaultPolicy.
	ContentSecurityPolicy string
	// Now is the clock of the access log. Default time.Now.
	Now func() time.Time
}

// DefaultPolicy fits web pages whose scripts and styles are files of this server
// and whose players use Media Source Extensions and workers from blobs.
const DefaultPolicy = "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; worker-src 'self' blob:; " +
	"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// SessionCookie is the cookie that carries a browser's session secret.
const SessionCookie = "melodyud_session"

// Router is where services hang their handlers.
type Router struct {
	API huma.API       // operations; OpenAPI 3.1 at /openapi.json, readable at /docs
	Mux *http.ServeMux // plain handlers, with method and path patterns

	config  Config
	metrics *metrics
	forgery *http.CrossOriginProtection
	spec    func() ([]byte, error)
}

// NewRouter returns a router that serves its own documentation and nothing else yet.
func NewRouter(c Config) (*Router, error) {
	c = c.withDefaults()
	m, err := newMetrics(c.Metrics)
	if err != nil {
		return nil, fmt.Errorf("register api metrics: %w", err)
	}
	mux := http.NewServeMux()
	r := &Router{
		API: humago.New(mux, humaConfig(c)), Mux: mux,
		config: c, metrics: m, forgery: http.NewCrossOriginProtection(),
	}
	r.spec = sync.OnceValues(func() ([]byte, error) { return json.MarshalIndent(r.API.OpenAPI(), "", "  ") })
	if err := r.registerDocs(); err != nil {
		return nil, err
	}
	return r, nil
}

func (c Config) withDefaults() Config {
	if c.Title == "" {
		c.Title = "MelodyUD"
	}
	if c.Version == "" {
		c.Version = "dev"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.ContentSecurityPolicy == "" {
		c.ContentSecurityPolicy = DefaultPolicy
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Auth == nil {
		c.Auth = nobody{}
	}
	return c
}

type nobody struct{}

func (nobody) Authenticate(context.Context, string) (Principal, error) {
	return Principal{}, melodyud.ErrUnauthenticated
}

// humaConfig leaves out huma's own document and page: its page loads a script
// from a foreign server.
func humaConfig(c Config) huma.Config {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI:        "3.1.0",
			Info:           &huma.Info{Title: c.Title, Version: c.Version},
			Components:     &huma.Components{Schemas: registry, SecuritySchemes: securitySchemes()},
			OnAddOperation: []huma.AddOpFunc{documentProblems},
		},
		Formats:       map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{transform},
	}
}

func securitySchemes() map[string]*huma.SecurityScheme {
	return map[string]*huma.SecurityScheme{
		"key":     {Type: "http", Scheme: "bearer", Description: "An API key (mk_…)."},
		"session": {Type: "apiKey", In: "cookie", Name: SessionCookie, Description: "A browser that signed in."},
	}
}

// Operation describes an operation for who is signed in, which can fail with one of
// the statuses errors or for reasons of ours.
func Operation(tag, id, method, path, summary, description string, errors ...int) huma.Operation {
	return huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary, Description: description,
		Tags: []string{tag}, Errors: append(errors, 500, 503),
		Security: []map[string][]string{{"key": {}}, {"session": {}}},
	}
}

// OpenAPI returns the document as /openapi.json serves it. It is made once: call
// it after all services have registered.
func (r *Router) OpenAPI() ([]byte, error) { return r.spec() }
