package node

import (
	"github.com/melodyud/melodyud/internal/catalog"
	"github.com/melodyud/melodyud/internal/sound"
)

func (n *Node) newSound(tracks *catalog.Service) (*sound.Service, error) {
	return sound.New(sound.Config{
		Tracks: tracks, Library: tracks, Store: n.backends.store, Database: n.backends.db, Bell: n.backends.queue,
		Lease: n.config.Lease, Logger: n.log, Now: n.config.Now,
	})
}
