package edge

import (
	"context"
	"net/http"
	"strconv"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/cache"
	"github.com/melodyud/melodyud/edge/cachestatus"
)

// timing is how long parts of a request took, for Server-Timing.
type timing struct {
	began  time.Time
	auth   time.Duration // until the ticket was checked
	origin time.Duration // that the store was waited for, before the sound
}

// tell says where sound came from and how long that took (EDGE-11, EDGE-12).
func (t timing) tell(h http.Header, now time.Time, s cache.Status) {
	h.Set(cachestatus.Name, s.Header(cacheName))
	b := appendTiming(nil, "edge", now.Sub(t.began))
	if origin := t.origin + s.Waited; origin > 0 {
		b = appendTiming(append(b, ", "...), "origin", origin)
	}
	b = appendTiming(append(b, ", "...), "auth", t.auth)
	h.Set("Server-Timing", string(b))
}

// appendTiming appends milliseconds with one digit behind the point.
func appendTiming(b []byte, name string, took time.Duration) []byte {
	b = append(append(b, name...), ";dur="...)
	return strconv.AppendFloat(b, float64(took.Microseconds())/1000, 'f', 1, 64)
}

// find is releases.get that also says where the manifest came from, for playlists,
// which are made of it (EDGE-3, EDGE-11).
func (e *Edge) find(ctx context.Context, id melodyud.ReleaseID) (*release, cachestatus.Status, error) {
	how := cachestatus.Status{Cache: cacheName}
	old, ok := e.releases.known.GetIfPresent(id)
	switch {
	case !ok:
		how.Forward, how.Stored = cachestatus.URIMiss, true
	case !e.releases.serves(old):
		how.Forward = cachestatus.Stale
	}
	known, err := e.releases.get(ctx, id)
	if err != nil {
		return nil, how, err
	}
	if late := e.releases.since(&known.checked) - fresh; late >= 0 && e.releases.failing(known) {
		how.TTL, how.HasTTL = -late, true
	}
	return known, how, nil
}
