package node

import (
	"github.com/melodyud/melodyud/edge/wire"
)

// newWire makes what stands before net/http on the plain listener: a gate, and the
// short way to what the edge has in memory, if players find one here.
func (n *Node) newWire() (*wire.Wire, error) {
	c := wire.Config{Logger: n.log, Metrics: n.metrics}
	if n.config.has(RoleEdge) {
		c.Source = n.starts.edge
	}
	return wire.New(c)
}
