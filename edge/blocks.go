package edge

import (
	"context"

	"github.com/melodyud/melodyud/edge/cache"
	"github.com/melodyud/melodyud/internal/api"
)

// newBlocks returns the cache of track files that c describes.
func newBlocks(c Config) (*cache.Cache, error) {
	return cache.New(cache.Config{
		Origin: c.Store, Bytes: c.CacheBytes - c.CacheBytes/filesPart, Disk: c.Disk, Peers: c.Peers,
		Logger: c.Logger, Metrics: c.Metrics, Now: c.Now,
	})
}

// RunCache keeps the disk tier of the cache and warms what will be wanted next, until
// ctx ends.
func (e *Edge) RunCache(ctx context.Context) error { return e.blocks.Run(ctx) }

// registerPeers hangs up what other edges ask for.
func (e *Edge) registerPeers(r *api.Router) {
	if len(e.config.Peers.URLs) > 0 {
		r.Mux.Handle("GET "+cache.PeerPath, e.blocks.Peer())
	}
}
