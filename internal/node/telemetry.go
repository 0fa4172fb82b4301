package node

import (
	"context"
	"fmt"

	"github.com/melodyud/melodyud/edge/telemetry"
)

// newTelemetry returns what takes in what is told of listening, and runs it while
// requests may still come.
func (n *Node) newTelemetry(ctx context.Context) (*telemetry.Intake, error) {
	keys, err := secrets(ctx, "", "listener_keys", "l", n.config.Now(), n.backends.db)
	if err != nil {
		return nil, fmt.Errorf("listener keys: %w", err)
	}
	t, err := telemetry.New(telemetry.Config{
		Events: n.backends.events, Secret: keys[0].Secret, Logger: n.log, Metrics: n.metrics, Now: n.config.Now,
	})
	if err == nil {
		n.runs("telemetry", working, t.Run)
	}
	return t, err
}
