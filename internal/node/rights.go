package node

import (
	"cmp"
	"fmt"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge"
	"github.com/melodyud/melodyud/edge/bearer"
	"github.com/melodyud/melodyud/edge/cat"
	"github.com/melodyud/melodyud/internal/geo"
)

// Rights is what decides who may hear what, besides tickets.
type Rights struct {
	GeoDB string `name:"geo-db" env:"MELODYUD_GEO_DB" type:"path" placeholder:"FILE" help:"Database of countries in MaxMind's format, for tracks released in some countries only. It may be replaced at any time."`

	CATKeys     []string `name:"cat-keys" env:"MELODYUD_CAT_KEYS" placeholder:"ID:ALG:BASE64,…" help:"Keys of Common Access Tokens (CTA-5007) the edge accepts beside its own tickets; ALG is HS256, ES256 or EdDSA. Default: none."`
	CATIssuers  []string `name:"cat-issuers" env:"MELODYUD_CAT_ISSUERS" placeholder:"NAME,…" help:"Who may issue such tokens. Default: whoever has a key."`
	CATAudience string   `name:"cat-audience" env:"MELODYUD_CAT_AUDIENCE" placeholder:"NAME" help:"What such tokens call this edge, if they name an audience."`

	FreeSkips int `env:"MELODYUD_FREE_SKIPS" default:"0" help:"Skips an hour that tickets grant free listeners; 0: no limit."`
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

// newCommon returns what checks Common Access Tokens; nil: none is accepted.
func (n *Node) newCommon() (*cat.Verifier, error) {
	if len(n.config.CATKeys) == 0 {
		return nil, nil
	}
	c := cat.Config{Issuers: n.config.CATIssuers, Audience: n.config.CATAudience, Now: n.config.Now}
	for _, text := range n.config.CATKeys {
		k, err := cat.ParseKey(text)
		if err != nil {
			return nil, fmt.Errorf("%w: --cat-keys: %w", melodyud.ErrInvalid, err)
		}
		c.Keys = append(c.Keys, k)
	}
	return cat.NewVerifier(c)
}

// rights puts what decides besides tickets into the edge's configuration.
func (n *Node) rights(c *edge.Config) error {
	c.Notices = n.notices
	d := &bearer.Door{URL: cmp.Or(n.config.EdgeURL, n.config.PublicURL)}
	if n.places != nil {
		c.Places, d.Country = n.places, n.places.Country
	}
	tokens, err := n.newCommon()
	if tokens != nil {
		d.Tokens, c.Bearers = tokens, d
	}
	return err
}
