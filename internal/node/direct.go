package node

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/ingest"
	"github.com/melodyud/melodyud/ingest/direct"
	"github.com/melodyud/melodyud/internal/objectstore/dir"
	"github.com/melodyud/melodyud/internal/objectstore/s3"
)

// Doors are the ways in for files beside the upload protocols.
type Doors struct {
	Direct string `env:"MELODYUD_DIRECT" placeholder:"URL" help:"Bucket for uploads that bypass this process: s3://KEY:SECRET@host/bucket with a key that reads nothing else, dir:PATH, or - for none. Default: a directory beside that of --objects; none with S3."`
	Inbox  string `env:"MELODYUD_INBOX" placeholder:"URL" help:"Where creators drop files below inbox/<creator>/: s3://KEY:SECRET@host/bucket, dir:PATH, or - for none. Default: that of --objects."`
	// InboxSettle leaves programs time that write slowly.
	InboxSettle time.Duration `env:"MELODYUD_INBOX_SETTLE" default:"10s" help:"A dropped file is taken when it has not changed for so long."`
}

// nothing turns a door off.
const nothing = "-"

// abandonedDays is when a bucket may drop what we have forgotten (S3-3).
const abandonedDays = 7

// buildDirect opens the bucket for direct uploads and serves it.
func (n *Node) buildDirect(ctx context.Context, uploads *ingest.Service) error {
	bucket, err := n.openDirect(ctx)
	if err != nil {
		return err
	}
	if bucket == nil {
		direct.Off(n.router)
		return nil
	}
	s, err := direct.New(direct.Config{DB: n.backends.db, Bucket: bucket, Uploads: uploads, Logger: n.log, Now: n.config.Now})
	if err != nil {
		return err
	}
	s.Register(n.router)
	n.runs("direct uploads", working, s.Run)
	return nil
}

func (n *Node) openDirect(ctx context.Context) (direct.Bucket, error) {
	main, path := scheme(n.config.Objects, "dir")
	name, own := scheme(n.config.Direct, main)
	switch {
	case n.config.Direct == nothing || n.config.Direct == "" && main == "s3":
		return nil, nil
	case name == "s3":
		return n.openDirectS3(ctx)
	case name == "dir" || name == "file":
		if own == "" {
			if own = path + "-direct"; path == "" {
				own = n.config.path("direct")
			}
		}
		return n.openDirectDir(ctx, own)
	}
	return nil, unknownScheme("--direct", name, "s3://KEY:SECRET@host:port/bucket, dir:PATH or -")
}

// openDirectDir takes parts at addresses of our own server.
func (n *Node) openDirectDir(ctx context.Context, path string) (direct.Bucket, error) {
	keys, err := secrets(ctx, "", "direct_keys", "d", n.config.Now(), n.backends.db)
	if err != nil {
		return nil, fmt.Errorf("keys of direct uploads: %w", err)
	}
	store, err := dir.Open(dir.Config{Path: path, BaseURL: n.config.PublicURL, Secret: keys[0].Secret, Now: n.config.Now})
	if err != nil {
		return nil, err
	}
	n.backends.closers = append(n.backends.closers, store)
	n.router.Mux.Handle("PUT "+dir.PartsPath, store.PartsHandler())
	n.router.Mux.Handle("OPTIONS "+dir.PartsPath, store.PartsHandler())
	return store, nil
}

// openDirectS3 refuses a key that could be used to read masters: a presigned request
// can be turned into a copy on some servers.
func (n *Node) openDirectS3(ctx context.Context) (direct.Bucket, error) {
	store, err := s3.Open(ctx, n.config.Direct)
	if err != nil {
		return nil, fmt.Errorf("--direct: %w", err)
	}
	n.backends.closers = append(n.backends.closers, store)
	if main, ok := n.backends.store.(*s3.Store); ok {
		reads, err := store.Reads(ctx, main, "masters/")
		if err != nil {
			return nil, fmt.Errorf("--direct: %w", err)
		}
		if reads {
			return nil, fmt.Errorf("%w: --direct: its key can read the bucket of --objects, and creators could with it: "+
				"use a bucket of its own and a key that reads nothing else", melodyud.ErrInvalid)
		}
	}
	if err := store.TidyUp(ctx, abandonedDays); err != nil {
		n.log.InfoContext(ctx, "the bucket of --direct does not do all by itself: see to abandoned parts and CORS there", slog.Any("error", err))
	}
	return store, nil
}
