package node

import "github.com/melodyud/melodyud/edge/telemetry"

// newTelemetry returns what takes in what is told of listening, and runs it while
// requests may still come.
func (n *Node) newTelemetry() (*telemetry.Intake, error) {
	t, err := telemetry.New(telemetry.Config{
		Events: n.backends.events, Secret: n.naming.Secret, Logger: n.log, Metrics: n.metrics, Now: n.config.Now,
	})
	if err == nil {
		n.runs("telemetry", working, t.Run)
	}
	return t, err
}
