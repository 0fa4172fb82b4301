package node

import (
	"context"
	"log/slog"
	"time"

	"github.com/melodyud/melodyud/edge/notices"
)

// learning bounds how long a start waits for what was revoked before it.
const learning = 15 * time.Second

// buildNotices makes the board of notices and reads what hangs there: an edge that
// just started must not play what was revoked yesterday. If they cannot be read it
// starts nevertheless, and says so.
func (n *Node) buildNotices(ctx context.Context) (err error) {
	n.notices, err = notices.New(notices.Config{Log: n.backends.events, Logger: n.log, Metrics: n.metrics, Now: n.config.Now})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, learning)
	defer cancel()
	if err := n.notices.Learn(ctx); err != nil {
		n.log.WarnContext(ctx, "started without knowing what was revoked", slog.Any("error", err))
	}
	n.runs("notices", working, n.notices.Run)
	n.health.notes["notices"] = n.notices.Healthy
	return nil
}
