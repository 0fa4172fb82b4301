package node

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/melodyud/melodyud/ingest"
	"github.com/melodyud/melodyud/ingest/inbox"
	"github.com/melodyud/melodyud/internal/accounts"
	"github.com/melodyud/melodyud/internal/catalog"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/objectstore/dir"
	"github.com/melodyud/melodyud/internal/objectstore/s3"
)

const inboxFolder = "inbox"

// buildDoors opens the ways in beside the upload protocols.
func (n *Node) buildDoors(ctx context.Context, a *accounts.Service, tracks *catalog.Service, uploads *ingest.Service) error {
	if err := n.buildDirect(ctx, uploads); err != nil {
		return err
	}
	box, scan, err := n.openInbox(ctx)
	if err != nil || box == nil {
		return err
	}
	s, err := inbox.New(inbox.Config{
		DB: n.backends.db, Box: box, Uploads: uploads, Creators: a, Tracks: tracks, Scan: scan, Settle: n.config.InboxSettle, Logger: n.log, Now: n.config.Now,
	})
	if err != nil {
		return err
	}
	n.runs("inbox", working, s.Run)
	return nil
}

// openInbox opens the folder of the object store, or the place of its own. A
// directory tells nobody of new files, so it is looked at often.
func (n *Node) openInbox(ctx context.Context) (box objectstore.Inbox, scan time.Duration, err error) {
	from := n.config.Inbox
	if from == nothing {
		return nil, 0, nil
	}
	if from == "" {
		from = n.config.Objects
	}
	switch name, path := scheme(from, "dir"); name {
	case "dir", "file":
		if path == "" {
			path = n.config.path("objects")
		}
		d, err := dir.OpenInbox(filepath.Join(path, inboxFolder))
		if err != nil {
			return nil, 0, fmt.Errorf("--inbox: %w", err)
		}
		n.backends.closers = append(n.backends.closers, d)
		return d, 5 * time.Second, nil
	case "s3":
		store, ok := n.backends.store.(*s3.Store)
		if !ok || n.config.Inbox != "" {
			if store, err = s3.Open(ctx, from); err != nil {
				return nil, 0, fmt.Errorf("--inbox: %w", err)
			}
			n.backends.closers = append(n.backends.closers, store)
		}
		return store.Inbox(inboxFolder + "/"), 30 * time.Second, nil
	default:
		return nil, 0, unknownScheme("--inbox", name, "s3://KEY:SECRET@host:port/bucket, dir:PATH or -")
	}
}
