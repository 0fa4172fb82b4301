package objectstore

import (
	"context"
	"io"
	"iter"
	"time"
)

// Dropped is a file that somebody else put into an inbox.
type Dropped struct {
	Name     string // path below the inbox, as its owner's program wrote it; never a key of ours
	Size     int64  // bytes
	Modified time.Time
	Tag      string // changes whenever the file is written again
}

// Inbox is a place that others put files into, under names of their own. Errors are
// those of a Store.
type Inbox interface {
	// List yields every file, in byte order of names where the store keeps one.
	List(ctx context.Context) iter.Seq2[Dropped, error]
	// Open reads from offset to the end. A file that is not the one of the tag any
	// more is ErrConflict, one that is known to be still written ErrUnavailable.
	Open(ctx context.Context, d Dropped, offset int64) (io.ReadCloser, error)
	// Put writes a small file of ours over whatever has the name.
	Put(ctx context.Context, name string, data []byte) error
	// Remove deletes the file if it is still the one of the tag.
	Remove(ctx context.Context, d Dropped) error
}

// Waker tells of files that were put into an inbox.
type Waker interface {
	// Listen calls wake after files came, until ctx ends or it cannot tell any more. It
	// may miss some.
	Listen(ctx context.Context, wake func()) error
}
