package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

const (
	checkTimeout = 2 * time.Second
	leastFree    = 0.05 // share of the data directory's disk
)

// health answers /livez and /readyz.
type health struct {
	log      *slog.Logger
	checks   map[string]func(context.Context) error
	notes    map[string]func() error // what is worse than usual, but takes no readiness away
	stopping atomic.Bool
}

func newHealth(c Config, b *backends, log *slog.Logger) *health {
	return &health{log: log, notes: map[string]func() error{}, checks: map[string]func(context.Context) error{
		"database": b.db.Ping,
		"queue":    b.queue.Ping,
		"objects": func(ctx context.Context) error {
			_, err := b.store.Stat(ctx, "ready")
			if errors.Is(err, melodyud.ErrNotFound) {
				return nil
			}
			return err
		},
		"disk": func(context.Context) error { return diskSpace(c.Data) },
	}}
}

func diskSpace(dir string) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("disk of %s: %w", dir, err)
	}
	if free := float64(fs.Bavail) / float64(max(fs.Blocks, 1)); free < leastFree {
		return fmt.Errorf("disk of %s has %.1f %% left", dir, 100*free)
	}
	return nil
}

func (h *health) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeStatus(w, http.StatusOK, map[string]any{"status": "alive"})
	})
	mux.HandleFunc("GET /readyz", h.ready)
}

// ready says whether this process can take work. What exactly is wrong stands in
// the log; here only which check failed.
func (h *health) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
	defer cancel()
	status, code := "ready", http.StatusOK
	results := map[string]string{}
	for name, check := range h.checks {
		results[name] = "ok"
		if err := check(ctx); err != nil {
			h.log.WarnContext(ctx, "not ready", slog.String("check", name), slog.Any("error", err))
			results[name], status, code = "failed", "degraded", http.StatusServiceUnavailable
		}
	}
	for name, note := range h.notes {
		results[name] = "ok"
		if err := note(); err != nil {
			results[name] = "behind"
		}
	}
	if h.stopping.Load() {
		status, code = "stopping", http.StatusServiceUnavailable
	}
	writeStatus(w, code, map[string]any{"status": status, "checks": results})
}

func writeStatus(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // a caller who hung up needs no answer
}
