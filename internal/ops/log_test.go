package ops_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/ops"
)

func TestEveryLineCarriesTheContextsAttributes(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, err := ops.NewLogger(&out, "json", "info")
	if err != nil {
		t.Fatal(err)
	}
	ctx := ops.With(t.Context(), slog.String("request", "r1"))
	inner := ops.With(ctx, slog.String("track", "trk_1"))
	_ = ops.With(ctx, slog.String("track", "trk_2")) // must not leak into inner
	log.With("service", "edge").InfoContext(inner, "segment served")
	log.DebugContext(inner, "not written")
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]string{
		"request": "r1", "track": "trk_1", "service": "edge", "msg": "segment served",
	} {
		if line[k] != want {
			t.Errorf("%s is %v, want %s", k, line[k], want)
		}
	}
}

func TestUnknownFormatsAndLevelsAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{{"xml", "info"}, {"json", "loud"}} {
		if _, err := ops.NewLogger(nil, c[0], c[1]); !errors.Is(err, melodyud.ErrInvalid) {
			t.Errorf("%v: %v", c, err)
		}
	}
}
