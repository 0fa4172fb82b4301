package node

import (
	"github.com/melodyud/melodyud/internal/catalog"
	"github.com/melodyud/melodyud/internal/sound"
)

func (n *Node) newSound(tracks *catalog.Service) (*sound.Service, error) {
	return sound.New(sound.Config{Tracks: tracks, Store: n.backends.store, Logger: n.log, Now: n.config.Now})
}
