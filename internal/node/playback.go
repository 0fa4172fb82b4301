package node

import (
	"context"
	"fmt"

	"github.com/melodyud/melodyud/internal/catalog"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/playback"
	"github.com/melodyud/melodyud/internal/signing"
	"github.com/melodyud/melodyud/internal/ticket"
)

// listenerNames returns what names accounts in tickets, by a secret that the first
// process puts into the database.
func listenerNames(ctx context.Context, c Config, db database.DB) (*ticket.Listeners, error) {
	keys, err := secrets(ctx, "", "listener_keys", "l", c.Now(), db)
	if err != nil {
		return nil, fmt.Errorf("listener keys: %w", err)
	}
	return ticket.NewListeners(keys[0])
}

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
