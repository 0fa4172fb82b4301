package node

import (
	"github.com/melodyud/melodyud/internal/geo"
)

// Rights is what decides who may hear what, besides tickets.
type Rights struct {
	GeoDB     string `name:"geo-db" env:"MELODYUD_GEO_DB" type:"path" placeholder:"FILE" help:"Database of countries in MaxMind's format, for tracks released in some countries only. It may be replaced at any time."`
	FreeSkips int    `env:"MELODYUD_FREE_SKIPS" default:"0" help:"Skips an hour that tickets grant free listeners; 0: no limit."`
}

// buildPlaces opens the database of countries, if there is one.
func (n *Node) buildPlaces() (err error) {
	if n.config.GeoDB == "" {
		return nil
	}
	if n.places, err = geo.Open(geo.Config{Path: n.config.GeoDB, Logger: n.log}); err != nil {
		return err
	}
	n.runs("countries", working, n.places.Run)
	return nil
}
