package node

import (
	"context"

	"github.com/melodyud/melodyud/edge"
	"github.com/melodyud/melodyud/internal/accounts"
	"github.com/melodyud/melodyud/internal/playback"
)

// starts asks the edge of this process what its addresses answer.
type starts struct{ edge *edge.Edge }

// startMemory is the cache of an edge that serves nobody but the API, in bytes.
const startMemory = 32 << 20

// buildStarts gives an API without an edge beside it one that serves nobody else.
func (n *Node) buildStarts(context.Context, *accounts.Service) error {
	e, err := edge.New(edge.Config{
		Store: n.backends.store, Tickets: n.tickets, MediaKeys: n.media, CacheBytes: startMemory, Logger: n.log, Now: n.config.Now,
	})
	if err != nil {
		return err
	}
	n.closers = append(n.closers, e.Close)
	n.starts.edge = e
	return nil
}

// Start implements the playback service's starts.
func (s *starts) Start(ctx context.Context, w playback.StartWish) (playback.Start, error) {
	found, err := s.edge.Start(ctx, edge.StartWish(w))
	if err != nil {
		return playback.Start{}, err
	}
	out := playback.Start{Rendition: found.Rendition}
	for _, f := range found.Files {
		one := playback.StartFile{Path: f.Path, Size: f.Size}
		if f.Text {
			one.Text = string(f.Data)
		} else {
			one.Data = f.Data
		}
		out.Files = append(out.Files, one)
	}
	return out, nil
}
