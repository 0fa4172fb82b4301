package objectstore

import (
	"context"
	"time"
)

// Part is one piece of an object that others put piece by piece.
type Part struct {
	Number int    // 1..10,000
	Size   int64  // bytes
	ETag   string // names these bytes of this part; without quotes
}

// Multipart lets others put an object in parts, each at an address of its own, without
// credentials and without passing through us (S3-1, S3-5). Nothing is visible
// under the key until the parts are joined. Parts but the last have 5 MiB to 5 GiB.
// Errors are those of a Store; an id that has been joined or dropped is ErrNotFound.
type Multipart interface {
	// BeginParts opens the object key for parts and names them together.
	BeginParts(ctx context.Context, key string) (id string, err error)
	// SignPart returns the address that takes one PUT body of exactly size bytes as
	// the part; it may be relative to our own server's. It is valid for ttl (1 s to
	// 7 days) and may be used again. The answer has the part's ETag.
	SignPart(ctx context.Context, key, id string, number int, size int64, ttl time.Duration) (url string, err error)
	// Parts lists what has arrived, by number.
	Parts(ctx context.Context, key, id string) ([]Part, error)
	// JoinParts makes the parts, by rising number, the object and returns once it is
	// durable. A part that is not there with this ETag is ErrInvalid. When its answer
	// is lost, the object may be there and id gone.
	JoinParts(ctx context.Context, key, id string, parts []Part) (Info, error)
	// DropParts frees the parts; none is no error.
	DropParts(ctx context.Context, key, id string) error
}
