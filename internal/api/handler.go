package api

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

var errForged = melodyud.Refuse(melodyud.ErrForbidden, "auth.cross-origin",
	"This request came from another web site. Open the studio itself and try again.")

// exchange is what the chain knows of one request.
type exchange struct {
	from    string // address and port
	id      string
	who     identity
	problem *Problem
}

type exchangeKey struct{}

// note remembers a problem for the access log.
func note(ctx context.Context, p *Problem) {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		x.problem = p
	}
}

// AddressOf returns where the request came from, or the zero Addr if that is not
// known.
func AddressOf(ctx context.Context) netip.Addr {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if !ok {
		return netip.Addr{}
	}
	from, err := netip.ParseAddrPort(x.from)
	if err != nil {
		return netip.Addr{}
	}
	return from.Addr().Unmap()
}

// RequestID returns the id of the request, which its log line and the
// X-Request-ID header of the answer carry.
func RequestID(ctx context.Context) string {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return x.id
	}
	return ""
}

// Handler returns everything registered, inside the chain: request id, security
// headers, access log, metrics, recovery, principal and forgery protection.
// A request's principal is looked up only when a handler asks for it.
func (r *Router) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		began := r.config.Now()
		x := &exchange{id: requestID(req), from: req.RemoteAddr}
		x.who.load = r.lookup(req)
		ctx := context.WithValue(req.Context(), exchangeKey{}, x)
		req = req.WithContext(context.WithValue(ctx, identityKey{}, &x.who))
		rec := &recorder{ResponseWriter: w}
		req.Body = &endingBody{req.Body, http.NewResponseController(w)}
		r.securityHeaders(w.Header(), x.id)
		r.metrics.active.Inc()
		defer func() {
			r.metrics.active.Dec()
			crash := r.recovered(recover(), rec, req)
			r.record(req, rec, x, r.config.Now().Sub(began))
			if crash {
				panic(http.ErrAbortHandler) // The client must not take half an answer for a whole one.
			}
		}()
		r.serve(rec, req)
	})
}

func (r *Router) serve(w http.ResponseWriter, req *http.Request) {
	if cookieOnly(req) && r.forgery.Check(req) != nil {
		WriteProblem(w, req, errForged)
		return
	}
	if h, pattern := r.Mux.Handler(req); pattern == "" {
		nowhere(w, req, h)
		return
	}
	r.Mux.ServeHTTP(w, req)
}

// nowhere answers what the mux has no pattern for: 404, or 405 with Allow.
func nowhere(w http.ResponseWriter, req *http.Request, h http.Handler) {
	probe := &discard{header: http.Header{}}
	h.ServeHTTP(probe, req)
	if probe.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", probe.header.Get("Allow"))
		WriteProblem(w, req, &Problem{Status: probe.status, Code: "method-not-allowed", Detail: "This address does not support that method."})
		return
	}
	WriteProblem(w, req, melodyud.ErrNotFound)
}

// recovered turns a panic into a 500 and reports whether the connection has to
// be cut, because part of another answer is out already.
func (r *Router) recovered(v any, rec *recorder, req *http.Request) (cut bool) {
	if v == nil {
		return false
	}
	if v == http.ErrAbortHandler || req.Context().Err() != nil {
		return true // huma panics when it cannot write to a client that has gone
	}
	err := fmt.Errorf("panic: %v", v)
	p := problemOf(err)
	r.config.Logger.Error("request panicked", "incident", p.Incident, "error", err, "stack", string(debug.Stack()))
	if rec.status != 0 {
		note(req.Context(), p)
		return true
	}
	WriteProblem(rec, req, p)
	return false
}

func (r *Router) securityHeaders(h http.Header, id string) {
	h.Set("X-Request-ID", id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", r.config.ContentSecurityPolicy)
}

// lookup returns how to find out who sent req. A bearer key wins over a cookie.
func (r *Router) lookup(req *http.Request) func(context.Context) (Principal, error) {
	return func(ctx context.Context) (Principal, error) {
		secret := bearer(req)
		if c, err := req.Cookie(SessionCookie); secret == "" && err == nil {
			secret = c.Value
		}
		if secret == "" {
			return Principal{}, errNoKey
		}
		who, err := r.config.Auth.Authenticate(ctx, secret)
		if err == nil {
			who.SignIn = SignInOf(secret)
		}
		return who, err
	}
}

func bearer(req *http.Request) string {
	scheme, secret, ok := strings.Cut(req.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(secret)
}

// cookieOnly reports whether a browser may have added the credentials on its own.
func cookieOnly(req *http.Request) bool {
	_, err := req.Cookie(SessionCookie)
	return err == nil && bearer(req) == ""
}

// requestID takes over the caller's id if it cannot hurt a log line.
func requestID(req *http.Request) string {
	id := req.Header.Get("X-Request-ID")
	if len(id) < 8 || len(id) > 64 || strings.ContainsFunc(id, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.')
	}) {
		return rand.Text()
	}
	return id
}

// record writes the access log line and counts. It names the route's pattern and
// never the path or the query, which may hold tickets and keys.
func (r *Router) record(req *http.Request, rec *recorder, x *exchange, took time.Duration) {
	route, status := req.Pattern, rec.status
	if route == "" {
		route = "unmatched"
	}
	if status == 0 {
		status = http.StatusOK
	}
	r.metrics.observe(route, status, took)
	attrs := []slog.Attr{
		slog.String("id", x.id), slog.String("method", method(req)), slog.String("route", route),
		slog.Int("status", status), slog.Int64("bytes", rec.bytes), slog.Duration("took", took), slog.String("remote", host(req)),
	}
	if x.who.who.User != "" {
		attrs = append(attrs, slog.String("user", string(x.who.who.User)))
	}
	level := slog.LevelInfo
	if p := x.problem; p != nil {
		attrs = append(attrs, slog.String("code", p.Code))
		if p.Incident != "" {
			attrs = append(attrs, slog.String("incident", p.Incident))
		}
		if p.cause != nil {
			attrs = append(attrs, slog.String("error", p.cause.Error()))
		}
	}
	switch {
	case status == http.StatusServiceUnavailable:
		level = slog.LevelWarn
	case status >= http.StatusInternalServerError:
		level = slog.LevelError
	}
	r.config.Logger.LogAttrs(context.WithoutCancel(req.Context()), level, "request", attrs...)
}

func method(req *http.Request) string {
	if len(req.Method) > 16 {
		return "other"
	}
	return req.Method
}

func host(req *http.Request) string {
	h, _, err := net.SplitHostPort(req.RemoteAddr)
	if err != nil {
		return req.RemoteAddr
	}
	return h
}
