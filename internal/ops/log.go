// Package ops is what operators read: log lines and metrics.
package ops

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	melodyud "github.com/melodyud/melodyud"
)

// NewLogger returns a logger that writes lines of the given format ("text" or
// "json") and level ("debug", "info", "warn", "error") to w, each with the
// attributes its context carries (With). Other names are ErrInvalid.
func NewLogger(w io.Writer, format, level string) (*slog.Logger, error) {
	var min slog.Level
	if err := min.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("%w: log level %q: use debug, info, warn or error", melodyud.ErrInvalid, level)
	}
	options := &slog.HandlerOptions{Level: min}
	switch format {
	case "text":
		return slog.New(contextual{slog.NewTextHandler(w, options)}), nil
	case "json":
		return slog.New(contextual{slog.NewJSONHandler(w, options)}), nil
	}
	return nil, fmt.Errorf("%w: log format %q: use text or json", melodyud.ErrInvalid, format)
}

type attrsKey struct{}

// With returns a context whose log lines carry attrs too, such as the request or
// the track they are about.
func With(ctx context.Context, attrs ...slog.Attr) context.Context {
	old, _ := ctx.Value(attrsKey{}).([]slog.Attr)
	return context.WithValue(ctx, attrsKey{}, append(old[:len(old):len(old)], attrs...))
}

// contextual adds the attributes of With to every record.
type contextual struct{ slog.Handler }

// Handle implements slog.Handler.
func (h contextual) Handle(ctx context.Context, r slog.Record) error {
	if attrs, ok := ctx.Value(attrsKey{}).([]slog.Attr); ok {
		r.AddAttrs(attrs...)
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h contextual) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextual{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h contextual) WithGroup(name string) slog.Handler {
	return contextual{h.Handler.WithGroup(name)}
}
