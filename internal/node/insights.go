package node

import (
	"github.com/melodyud/melodyud/internal/catalog"
	"github.com/melodyud/melodyud/internal/insights"
)

// newInsights returns the service that answers how often tracks were played.
func (n *Node) newInsights(tracks *catalog.Service) (*insights.Service, error) {
	return insights.New(insights.Config{DB: n.backends.db, Catalog: tracks, Logger: n.log, Now: n.config.Now})
}

// foldPlays runs what counts plays.
func (n *Node) foldPlays() error {
	s, err := insights.New(insights.Config{
		DB: n.backends.db, Events: n.backends.events, Logger: n.log, Metrics: n.metrics, Now: n.config.Now,
	})
	if err == nil {
		n.runs("insights", folding, s.Run)
	}
	return err
}
