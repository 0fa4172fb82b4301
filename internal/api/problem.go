package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
)

// Problem is the body of every error: RFC 9457 problem details with two members
// of ours, code and incident. It is an error itself, for handlers that need a
// status the kinds do not have.
type Problem struct {
	Type     string   `json:"type" example:"about:blank" doc:"Always about:blank: see code."`
	Title    string   `json:"title" example:"Conflict" doc:"The status in words."`
	Status   int      `json:"status" example:"409"`
	Code     string   `json:"code" example:"upload.offset" doc:"Stable name of the problem, for programs."`
	Detail   string   `json:"detail" doc:"A sentence for people: what is wrong and what to do."`
	Incident string   `json:"incident,omitempty" doc:"Present when the fault is ours: quote it to the operator."`
	Errors   []Defect `json:"errors,omitempty" doc:"Which parts of the request are wrong."`

	header http.Header
	cause  error // for the log only
}

// Defect is one wrong part of a request.
type Defect struct {
	Location string `json:"location,omitempty" example:"body.title"`
	Message  string `json:"message"`
}

// Error returns the code and the cause, for the log.
func (p *Problem) Error() string {
	if p.cause != nil {
		return p.Code + ": " + p.cause.Error()
	}
	return p.Code + ": " + p.Detail
}

// Unwrap gives the cause, which callers outside never see.
func (p *Problem) Unwrap() error { return p.cause }

// GetStatus is the HTTP status (huma.StatusError).
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders are sent with the problem, such as Retry-After (huma.HeadersError).
func (p *Problem) GetHeaders() http.Header { return p.header }

// ContentType is application/problem+json (huma.ContentTypeFilter).
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// verdict is how a kind of failure looks from outside.
type verdict struct {
	kind   error
	status int
	code   string
	detail string
}

// verdicts hold design.md section 4. The code and detail are for errors that are
// no Refusal, whose own text must not leave.
var verdicts = []verdict{
	{melodyud.ErrInvalid, http.StatusBadRequest, "invalid", "The request is not valid."},
	{melodyud.ErrUnauthenticated, http.StatusUnauthorized, "unauthenticated", "Sign in first."},
	{melodyud.ErrForbidden, http.StatusForbidden, "forbidden", "You may not do this."},
	{melodyud.ErrNotFound, http.StatusNotFound, "not-found", "There is nothing at this address."},
	{melodyud.ErrConflict, http.StatusConflict, "conflict", "This was changed by somebody else meanwhile. Load it again."},
	{melodyud.ErrTooLarge, http.StatusRequestEntityTooLarge, "too-large", "This is larger than allowed."},
	{melodyud.ErrLimited, http.StatusTooManyRequests, "limited", "Too much at once. Try again a little later."},
	{melodyud.ErrUnavailable, http.StatusServiceUnavailable, "unavailable", "The service cannot do this right now. Try again in a moment."},
}

const (
	retryLimited     = 30 * time.Second
	retryUnavailable = 5 * time.Second
)

// Fail turns any error into a problem. A Refusal keeps its code and text; of
// every other error only the kind is told; an error of no kind is a 500 with an
// incident id, which the access log repeats beside the error. An error with a
// method RetryAfter() time.Duration, such as Refusal.After makes, sets that header on
// 429 and 503. Fail(nil) is nil.
func Fail(err error) error {
	if err == nil {
		return nil
	}
	return problemOf(err)
}

func problemOf(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		c := *p // It may be shared.
		c.header = p.header.Clone()
		return c.complete()
	}
	p := &Problem{cause: err}
	if v, ok := verdictOf(err); ok {
		p.Status, p.Code, p.Detail = v.status, v.code, v.detail
		if r, ok := melodyud.AsRefusal(err); ok {
			p.Code, p.Detail = r.Code, r.Text
		}
	} else {
		p.Status = http.StatusInternalServerError
	}
	p.retry(err)
	return p.complete()
}

// WithStatus is Fail with another status than the kind's, for protocols that
// demand one.
func WithStatus(err error, status int) *Problem {
	p := problemOf(err)
	p.Status = status
	return p.complete()
}

func verdictOf(err error) (verdict, bool) {
	kind := melodyud.Kind(err)
	if r, ok := melodyud.AsRefusal(err); ok {
		kind = r.Kind
	}
	if kind == nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		kind = melodyud.ErrUnavailable
	}
	for _, v := range verdicts {
		if kind == v.kind {
			return v, true
		}
	}
	return verdict{}, false
}

// complete fills what every problem has.
func (p *Problem) complete() *Problem {
	p.Type = "about:blank"
	if text := http.StatusText(p.Status); text != "" {
		p.Title = text // A status only we have, such as 460, brings its own title.
	}
	if p.Status == http.StatusInternalServerError {
		p.Code, p.Errors = "internal", nil
		p.Detail = "Something went wrong on our side. Try again; if it stays, tell the operator the incident number."
		if p.Incident == "" {
			p.Incident = rand.Text()
		}
	}
	if p.Status == http.StatusUnauthorized {
		p.set("WWW-Authenticate", `Bearer realm="melodyud"`)
	}
	p.set("Cache-Control", "no-store")
	return p
}

func (p *Problem) retry(err error) {
	wait := retryUnavailable
	switch p.Status {
	case http.StatusTooManyRequests:
		wait = retryLimited
	case http.StatusServiceUnavailable:
	default:
		return
	}
	var hint interface{ RetryAfter() time.Duration }
	if errors.As(err, &hint) {
		wait = hint.RetryAfter()
	}
	p.set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(wait.Seconds())))))
}

func (p *Problem) set(name, value string) {
	if p.header == nil {
		p.header = http.Header{}
	}
	p.header.Set(name, value)
}

// WriteProblem answers a plain handler's request with err as Fail sees it.
func WriteProblem(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	note(r.Context(), p)
	for name, values := range p.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	w.Header().Del("Content-Length")
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_ = json.NewEncoder(w).Encode(p) // The connection is all that can fail.
	}
}

// transform replaces huma's own errors by problems of ours and tells the access
// log about every problem. Values are dropped: they may be secrets.
func transform(ctx huma.Context, _ string, v any) (any, error) {
	switch e := v.(type) {
	case *Problem:
		note(ctx.Context(), e)
	case *huma.ErrorModel:
		p := fromHuma(e)
		note(ctx.Context(), p)
		return p, nil
	}
	return v, nil
}

func fromHuma(e *huma.ErrorModel) *Problem {
	p := &Problem{Status: e.Status, Detail: "The request is not valid: see errors.", Code: "request.invalid"}
	if e.Status == http.StatusRequestEntityTooLarge {
		p.Code, p.Detail = "request.too-large", "The request's body is larger than allowed."
	}
	var causes []error
	for _, d := range e.Errors {
		if d != nil {
			p.Errors = append(p.Errors, Defect{Location: d.Location, Message: d.Message})
			causes = append(causes, errors.New(d.Message))
		}
	}
	p.cause = errors.Join(causes...)
	return p.complete()
}
