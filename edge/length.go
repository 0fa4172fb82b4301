package edge

import (
	"context"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

// Length returns how long a release's track is. A release that nobody knows is
// ErrNotFound; one that is gone has its length for as long as it is remembered.
func (e *Edge) Length(ctx context.Context, id melodyud.ReleaseID) (time.Duration, error) {
	known, err := e.releases.settled(ctx, id)
	if err != nil {
		return 0, err
	}
	return known.manifest.Duration(), nil
}
