package api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/ticket"
)

type keys map[string]api.Principal

func (k keys) Authenticate(_ context.Context, secret string) (api.Principal, error) {
	if secret == "broken" {
		return api.Principal{}, fmt.Errorf("%w: database is down", melodyud.ErrUnavailable)
	}
	p, ok := k[secret]
	if !ok {
		return p, melodyud.Refuse(melodyud.ErrUnauthenticated, "auth.key", "This key is not known.")
	}
	return p, nil
}

var ada = api.Principal{User: "usr_ada", Name: "Ada", Roles: []api.Role{api.RoleCreator}, Tier: ticket.Premium}

type fixture struct {
	*api.Router
	log     *bytes.Buffer
	metrics *prometheus.Registry
	handler http.Handler
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{log: &bytes.Buffer{}, metrics: prometheus.NewRegistry()}
	r, err := api.NewRouter(api.Config{
		Auth: keys{"mk_ada": ada}, Metrics: f.metrics, Logger: slog.New(slog.NewJSONHandler(f.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Router, f.handler = r, r.Handler()
	return f
}

func (f *fixture) do(req *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, req)
	return w
}

func (f *fixture) get(path string, headers ...string) *httptest.ResponseRecorder {
	return f.do(request(http.MethodGet, path, headers...))
}

func request(method, path string, headers ...string) *http.Request {
	req := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return req
}

func problem(t *testing.T, w *httptest.ResponseRecorder, status int) api.Problem {
	t.Helper()
	var p api.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("body %q: %v", w.Body, err)
	}
	if w.Code != status || p.Status != status {
		t.Errorf("status %d, body says %d, want %d", w.Code, p.Status, status)
	}
	if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("content type %q", ct)
	}
	if p.Code == "" || p.Detail == "" || p.Title == "" || p.Type != "about:blank" {
		t.Errorf("incomplete problem %+v", p)
	}
	return p
}

// failing registers an operation and a plain handler that both fail with err.
func (f *fixture) failing(err error) {
	huma.Get(f.API, "/op", func(context.Context, *struct{}) (*struct{}, error) { return nil, api.Fail(err) })
	f.Mux.HandleFunc("GET /plain", func(w http.ResponseWriter, r *http.Request) { api.WriteProblem(w, r, err) })
}

func TestEveryKindHasItsStatusAndOnlyRefusalsShowTheirText(t *testing.T) { // design.md section 4
	t.Parallel()
	for _, c := range []struct {
		err    error
		status int
		code   string
		detail string // substring; "" means: the error's text must be hidden
	}{
		{melodyud.Refuse(melodyud.ErrInvalid, "title.long", "Shorten it."), 400, "title.long", "Shorten it."},
		{fmt.Errorf("secret: %w", melodyud.ErrUnauthenticated), 401, "unauthenticated", ""},
		{fmt.Errorf("secret: %w", melodyud.ErrForbidden), 403, "forbidden", ""},
		{fmt.Errorf("secret: %w", melodyud.ErrNotFound), 404, "not-found", ""},
		{fmt.Errorf("secret: %w", melodyud.ErrConflict), 409, "conflict", ""},
		{fmt.Errorf("secret: %w", melodyud.ErrTooLarge), 413, "too-large", ""},
		{fmt.Errorf("secret: %w", melodyud.ErrLimited), 429, "limited", ""},
		{fmt.Errorf("secret: %w", melodyud.ErrUnavailable), 503, "unavailable", ""},
		{errors.New("secret"), 500, "internal", ""},
		{fmt.Errorf("secret: %w", context.DeadlineExceeded), 503, "unavailable", ""},
		{melodyud.Refuse(melodyud.ErrNotFound, "x", "Gone.").Because(melodyud.ErrUnavailable), 404, "x", "Gone."},
		{&api.Problem{Status: 460, Title: "Checksum Mismatch", Code: "sum", Detail: "Differs."}, 460, "sum", "Differs."},
		{api.WithStatus(melodyud.Refuse(melodyud.ErrInvalid, "v", "Old."), 412), 412, "v", "Old."},
	} {
		f := newFixture(t)
		f.failing(c.err)
		for _, path := range []string{"/op", "/plain"} {
			w := f.get(path)
			p := problem(t, w, c.status)
			if p.Code != c.code || !strings.Contains(p.Detail, c.detail) || strings.Contains(w.Body.String(), "secret") {
				t.Errorf("%s: %v became %+v", path, c.err, p)
			}
			if after := w.Header().Get("Retry-After"); (after != "") != (c.status == 429 || c.status == 503) {
				t.Errorf("%d has Retry-After %q", c.status, after)
			}
			if (p.Incident != "") != (c.status == 500) || !strings.Contains(f.log.String(), p.Incident) {
				t.Errorf("%d: incident %q, log %s", c.status, p.Incident, f.log)
			}
			if auth := w.Header().Get("WWW-Authenticate"); (auth != "") != (c.status == 401) {
				t.Errorf("%d has WWW-Authenticate %q", c.status, auth)
			}
		}
		if c.status == 500 && !strings.Contains(f.log.String(), "secret") {
			t.Error("the log does not know the cause")
		}
	}
}

type busy struct{ error }

func (busy) RetryAfter() time.Duration { return 90500 * time.Millisecond }
func (b busy) Unwrap() error           { return b.error }

func TestErrorMaySayWhenToTryAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.failing(busy{melodyud.ErrLimited})
	if after := f.get("/plain").Header().Get("Retry-After"); after != "91" {
		t.Errorf("Retry-After %q", after)
	}
}

func TestErrorsOfOperationsThatForgotFailDoNotLeak(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	huma.Get(f.API, "/raw", func(context.Context, *struct{}) (*struct{}, error) { return nil, errors.New("secret") })
	w := f.get("/raw")
	p := problem(t, w, 500)
	if strings.Contains(w.Body.String(), "secret") || p.Incident == "" || !strings.Contains(f.log.String(), p.Incident) {
		t.Errorf("body %s log %s", w.Body, f.log)
	}
}

func TestInvalidRequestNamesTheDefectWithoutEchoingValues(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	huma.Post(f.API, "/v", func(_ context.Context, in *struct {
		Body struct {
			Key string `json:"key" maxLength:"5"`
		}
	}) (*struct{}, error) {
		return nil, nil
	})
	req := httptest.NewRequest(http.MethodPost, "/v", strings.NewReader(`{"key":"mk_topsecret"}`))
	w := f.do(req)
	p := problem(t, w, 422)
	if len(p.Errors) != 1 || p.Errors[0].Location != "body.key" || strings.Contains(w.Body.String()+f.log.String(), "topsecret") {
		t.Errorf("%s %s", w.Body, f.log)
	}
}

func TestPanicIsA500WithAnIncident(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Mux.HandleFunc("GET /boom", func(http.ResponseWriter, *http.Request) { panic("secret") })
	w := f.get("/boom")
	if p := problem(t, w, 500); p.Incident == "" || strings.Contains(w.Body.String(), "secret") ||
		strings.Count(f.log.String(), p.Incident) != 2 {
		t.Errorf("%s %s", w.Body, f.log)
	}
}

func TestPanicInMidAnswerCutsTheConnection(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Mux.HandleFunc("GET /half", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		panic("late")
	})
	server := httptest.NewServer(f.handler)
	defer server.Close()
	res, err := server.Client().Get(server.URL + "/half")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.ReadAll(res.Body); err == nil {
		t.Error("the client took half an answer for a whole one")
	}
}

func TestPrincipalComesFromKeyOrCookie(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Mux.HandleFunc("GET /who", func(w http.ResponseWriter, r *http.Request) {
		p, err := api.Require(r.Context(), api.RoleCreator)
		if err != nil {
			api.WriteProblem(w, r, err)
			return
		}
		_, _ = io.WriteString(w, p.Name)
	})
	f.Mux.HandleFunc("GET /ops", func(w http.ResponseWriter, r *http.Request) {
		if _, err := api.Require(r.Context(), api.RoleOps); err != nil {
			api.WriteProblem(w, r, err)
		}
	})
	for _, c := range []struct {
		path   string
		header []string
		status int
	}{
		{"/who", nil, 401},
		{"/who", []string{"Authorization", "Bearer mk_ada"}, 200},
		{"/who", []string{"Authorization", "bearer  mk_ada"}, 200},
		{"/who", []string{"Authorization", "Basic mk_ada"}, 401},
		{"/who", []string{"Authorization", "Bearer mk_eve"}, 401},
		{"/who", []string{"Cookie", "melodyud_session=mk_ada"}, 200},
		{"/who", []string{"Cookie", "melodyud_session=old"}, 401},
		{"/who", []string{"Cookie", "melodyud_session=mk_ada", "Authorization", "Bearer mk_eve"}, 401},
		{"/who", []string{"Authorization", "Bearer broken"}, 503},
		{"/ops", []string{"Authorization", "Bearer mk_ada"}, 403},
	} {
		if w := f.get(c.path, c.header...); w.Code != c.status {
			t.Errorf("%v: %d, want %d", c.header, w.Code, c.status)
		}
	}
	if strings.Contains(f.log.String(), "mk_") {
		t.Error("a key is in the log")
	}
}

func TestAccountsAreNotAskedWhenNobodyWantsToKnow(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Mux.HandleFunc("GET /p/{ticket}/", func(http.ResponseWriter, *http.Request) {})
	if w := f.get("/p/t/x", "Authorization", "Bearer broken"); w.Code != 200 {
		t.Errorf("segments depend on the accounts: %d", w.Code)
	}
}

func TestPrincipalCanBeSetForHandlersWithoutRouter(t *testing.T) {
	t.Parallel()
	p, ok := api.PrincipalFrom(api.WithPrincipal(t.Context(), ada))
	if !ok || p.User != ada.User {
		t.Errorf("%+v %v", p, ok)
	}
	if _, ok := api.PrincipalFrom(t.Context()); ok {
		t.Error("an empty context has a principal")
	}
}

func TestForeignSitesCannotUseTheCookie(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Mux.HandleFunc("/do", func(http.ResponseWriter, *http.Request) {})
	for _, c := range []struct {
		method string
		header []string
		status int
	}{
		{"POST", []string{"Cookie", "melodyud_session=mk_ada", "Sec-Fetch-Site", "cross-site"}, 403},
		{"DELETE", []string{"Cookie", "melodyud_session=mk_ada", "Origin", "https://evil.example"}, 403},
		{"POST", []string{"Cookie", "melodyud_session=mk_ada", "Sec-Fetch-Site", "same-origin"}, 200},
		{"POST", []string{"Cookie", "melodyud_session=mk_ada"}, 200},
		{"GET", []string{"Cookie", "melodyud_session=mk_ada", "Sec-Fetch-Site", "cross-site"}, 200},
		{"POST", []string{"Authorization", "Bearer mk_ada", "Cookie", "melodyud_session=x", "Origin", "https://other.example"}, 200},
		{"POST", []string{"Origin", "https://player.example"}, 200},
	} {
		if w := f.do(request(c.method, "/do", c.header...)); w.Code != c.status {
			t.Errorf("%s %v: %d, want %d", c.method, c.header, w.Code, c.status)
		}
	}
}

func TestEveryAnswerCarriesSecurityHeadersAndAnID(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, path := range []string{"/docs", "/openapi.json", "/nowhere"} {
		h := f.get(path).Header()
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" ||
			!strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") || len(h.Get("X-Request-ID")) < 16 {
			t.Errorf("%s: %v", path, h)
		}
	}
}

func TestRequestIDIsTakenOverOnlyIfWellFormed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for id, kept := range map[string]bool{
		"abc-12345": true, "short": false, "with space in it": false, strings.Repeat("a", 65): false, "inject\u2028line": false,
	} {
		if got := f.get("/docs", "X-Request-ID", id).Header().Get("X-Request-ID"); (got == id) != kept {
			t.Errorf("%q became %q", id, got)
		}
	}
}

func TestLogAndMetricsNameTheRouteAndNeverTheAddress(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Mux.HandleFunc("GET /p/{ticket}/{rest...}", func(http.ResponseWriter, *http.Request) {})
	f.get("/p/TICKET/trk/index.m3u8?key=mk_secret")
	f.get("/TICKET/nowhere")
	if log := f.log.String(); strings.Contains(log, "TICKET") || strings.Contains(log, "mk_secret") ||
		!strings.Contains(log, `"route":"GET /p/{ticket}/{rest...}"`) {
		t.Error(log)
	}
	all, err := f.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprint(all)
	if strings.Contains(text, "TICKET") || !strings.Contains(text, "unmatched") || !strings.Contains(text, "{ticket}") {
		t.Error(text)
	}
}

func TestUnknownAddressAndMethodAreProblems(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Mux.HandleFunc("GET /only", func(http.ResponseWriter, *http.Request) {})
	problem(t, f.get("/nowhere"), 404)
	w := f.do(request(http.MethodPost, "/only"))
	problem(t, w, 405)
	if allow := w.Header().Get("Allow"); !strings.Contains(allow, "GET") {
		t.Errorf("Allow %q", allow)
	}
}

func TestDocumentIsOpenAPI31AndKnowsProblems(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.failing(melodyud.ErrNotFound)
	var doc struct {
		OpenAPI    string `json:"openapi"`
		Paths      map[string]any
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(f.get("/openapi.json").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || doc.Paths["/op"] == nil || doc.Components.Schemas["Problem"] == nil ||
		doc.Components.Schemas["ErrorModel"] != nil {
		t.Errorf("%+v", doc)
	}
}

func TestDocsPageNeedsNoScriptAndNoOtherServer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.failing(melodyud.ErrNotFound)
	w := f.get("/docs")
	body := w.Body.String()
	if strings.Contains(body, "<script") || strings.Contains(body, "://") || !strings.Contains(body, "/op") ||
		!strings.Contains(body, "Problem") {
		t.Error(body)
	}
	_, style, _ := strings.Cut(body, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	policy := w.Header().Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, base64.StdEncoding.EncodeToString(sum[:])) {
		t.Errorf("the page's own style is not allowed by %q", policy)
	}
}

func TestNoGlobalStateOfHumaChanges(t *testing.T) {
	t.Parallel()
	newFixture(t)
	if _, ok := huma.NewError(400, "x").(*huma.ErrorModel); !ok {
		t.Error("huma.NewError was replaced")
	}
}

func TestServerBoundsHeaders(t *testing.T) { // faults.md C7
	t.Parallel()
	s := api.NewServer(http.NotFoundHandler())
	if s.ReadHeaderTimeout != 5*time.Second || s.IdleTimeout != time.Minute || s.MaxHeaderBytes != 16<<10 {
		t.Errorf("%+v", s)
	}
}

func TestDeadlineOfAnAbsentBodyDoesNotCancelTheConnection(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	huma.Register(f.API, huma.Operation{Method: "POST", Path: "/slow", BodyReadTimeout: 30 * time.Millisecond},
		func(ctx context.Context, _ *struct {
			Body *map[string]string `required:"false"`
		}) (*struct{}, error) {
			time.Sleep(100 * time.Millisecond)
			return nil, api.Fail(ctx.Err())
		})
	server := httptest.NewServer(f.handler)
	defer server.Close()
	for range 2 { // the second on the same connection
		res, err := server.Client().Post(server.URL+"/slow", "application/json", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != 204 {
			t.Errorf("a request that outlived its body's deadline was cancelled: %d", res.StatusCode)
		}
	}
}
