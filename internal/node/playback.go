package node

import (
	"github.com/melodyud/melodyud/internal/catalog"
	"github.com/melodyud/melodyud/internal/playback"
	"github.com/melodyud/melodyud/internal/signing"
)

func (n *Node) newPlayback(tracks *catalog.Service) (*playback.Service, error) {
	house, err := n.newAds(tracks)
	if err != nil {
		return nil, err
	}
	c := playback.Config{
		Database: n.backends.db, Library: tracks, Store: n.backends.store, Tickets: n.tickets, Names: n.names,
		Notices: n.notices, Ads: house, MediaKeys: n.media, Starts: &n.starts, Encrypt: n.config.Encrypt,
		OfflineFor: n.config.OfflineFor, PreviewLength: n.config.PreviewLength, EdgeURL: n.config.EdgeURL,
		FreeSkips: n.config.FreeSkips, Logger: n.log, Now: n.config.Now,
	}
	if n.places != nil {
		c.Places = n.places
	}
	return playback.New(c)
}

// newSigning returns what keeps the keys of tickets up to date, and runs it.
func (n *Node) newSigning() (*signing.Service, error) {
	s, err := signing.New(signing.Config{
		DB: n.backends.db, Ring: n.tickets, Fixed: n.config.TicketKeys != "", Logger: n.log, Now: n.config.Now,
	})
	if err == nil {
		n.runs("ticket keys", working, s.Run)
	}
	return s, err
}
