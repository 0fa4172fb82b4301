package node

import (
	"github.com/melodyud/melodyud/internal/catalog"
	"github.com/melodyud/melodyud/internal/playback"
)

func (n *Node) newPlayback(tracks *catalog.Service) (*playback.Service, error) {
	return playback.New(playback.Config{
		Library: tracks, Store: n.backends.store, Tickets: n.tickets, MediaKeys: n.media, Encrypt: n.config.Encrypt,
		OfflineFor: n.config.OfflineFor, PreviewLength: n.config.PreviewLength, EdgeURL: n.config.EdgeURL,
		Logger: n.log, Now: n.config.Now,
	})
}
