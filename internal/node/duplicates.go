package node

import (
	"github.com/melodyud/melodyud/internal/catalog"
	"github.com/melodyud/melodyud/internal/duplicates"
)

// newDuplicates returns the service that finds duplicates, and runs it where work
// is done.
func (n *Node) newDuplicates(tracks *catalog.Service) (*duplicates.Service, error) {
	s, err := duplicates.New(duplicates.Config{
		DB: n.backends.db, Store: n.backends.store, Events: n.backends.events, Catalog: tracks,
		Logger: n.log, Metrics: n.metrics, Now: n.config.Now,
	})
	if err == nil && n.config.has(RoleWork) {
		n.runs("duplicates", working, s.Run)
	}
	return s, err
}
