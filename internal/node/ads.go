package node

import (
	"cmp"
	"fmt"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge"
	"github.com/melodyud/melodyud/internal/ads"
	"github.com/melodyud/melodyud/internal/catalog"
)

// AdBreaks is when free listeners hear ads.
type AdBreaks struct {
	AdGap    time.Duration `env:"MELODYUD_AD_GAP" default:"10m" help:"Least time between two breaks of a free listener."`
	AdTracks int           `env:"MELODYUD_AD_TRACKS" default:"3" help:"Least number of tracks between two breaks in an album or playlist."`
}

func (a *AdBreaks) check() error {
	fill(&a.AdGap, 10*time.Minute)
	fill(&a.AdTracks, 3)
	if a.AdGap < 0 || a.AdTracks < 0 {
		return fmt.Errorf("%w: --ad-gap and --ad-tracks must not be negative", melodyud.ErrInvalid)
	}
	return nil
}

// newAds returns the service of house ads, registers and runs it.
func (n *Node) newAds(tracks *catalog.Service) (*ads.Service, error) {
	s, err := ads.New(ads.Config{
		DB: n.backends.db, Store: n.backends.store, Tracks: tracks, Gap: n.config.AdGap, Logger: n.log, Now: n.config.Now,
	})
	if err != nil {
		return nil, err
	}
	s.Register(n.router)
	n.runs("ads", working, s.Run)
	return s, nil
}

// newHeardAds learns who heard their break.
func (n *Node) newHeardAds() error {
	h, err := ads.NewHeard(ads.HeardConfig{DB: n.backends.db, Events: n.backends.events, Logger: n.log, Now: n.config.Now})
	if err == nil {
		n.runs("heard ads", folding, h.Run)
	}
	return err
}

// newBreaks returns what an edge needs to fill breaks, and keeps it fresh.
func (n *Node) newBreaks() (edge.AdsConfig, error) {
	house, err := ads.NewHouse(ads.HouseConfig{Store: n.backends.store, Logger: n.log})
	if err != nil {
		return edge.AdsConfig{}, err
	}
	n.runs("house ads", working, house.Run)
	return edge.AdsConfig{
		Breaks: house, Signer: n.tickets, BaseURL: cmp.Or(n.config.EdgeURL, n.config.PublicURL),
		Every: n.config.AdTracks, Gap: n.config.AdGap,
	}, nil
}
