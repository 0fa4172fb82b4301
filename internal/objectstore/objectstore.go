// Package objectstore is the port to the bytes. Objects appear whole or not at
// all and never change under a name. Its adapters are a directory (the default)
// and S3/MinIO; package objectstoretest is the contract both are held to.
package objectstore

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// ErrFull says of an ErrUnavailable that the store has no room left.
var ErrFull = errors.New("the object store is full")

// Info describes one object.
type Info struct {
	Key      string
	Size     int64 // bytes
	Modified time.Time
}

// Store keeps objects. Errors are kinds of package melodyud: an absent object is
// ErrNotFound, a key that is not allowed ErrInvalid, an unreachable store
// ErrUnavailable, a full one both that and ErrFull. Safe for concurrent use.
//
// Keys are 1 to 200 bytes of [A-Za-z0-9._/=-], without empty, "." or ".."
// components (CheckKey). No object's key may be a directory of another's, as a/b is of
// a/b/c: some stores refuse the second as ErrInvalid, others do not list it.
type Store interface {
	// Put stores r under key and returns once the object is durable. size is the
	// number of bytes, or -1 when unknown; a reader that gives another number or
	// fails leaves nothing behind, and neither does a cancelled ctx. Memory use is bounded whatever the size.
	Put(ctx context.Context, key string, r io.Reader, size int64, opts PutOptions) (Info, error)
	// Open reads length bytes from offset; length -1 means to the end. An offset at
	// or beyond the end is ErrInvalid unless the object is empty. Info tells the whole object's size.
	// The reader may end with ctx; it fails rather than end early.
	Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, Info, error)
	Stat(ctx context.Context, key string) (Info, error)
	// List yields the objects whose keys begin with prefix, in byte order of keys.
	// Leaving the loop early leaks nothing.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
	// Delete removes objects; absent ones are no error.
	Delete(ctx context.Context, keys ...string) error
}

// PutOptions are the choices of a Put. The zero value overwrites.
type PutOptions struct {
	ContentType string // e.g. "audio/mp4"; empty: application/octet-stream
	// IfAbsent makes Put fail with ErrConflict when the key exists; of many racing
	// writers exactly one wins.
	IfAbsent bool
}

// Presigner gives out URLs that let their bearer do one thing to one object for
// a while, without other credentials.
type Presigner interface {
	// Presign returns a URL for GET or PUT of key that is valid for ttl (1 s..7 days).
	Presign(ctx context.Context, method, key string, ttl time.Duration) (string, error)
}

// Grower is a Store that can also make an object longer, and make one of others
// without their bytes passing through the program. An object that grows is not yet
// whole: only who appends to it, and who was told its length, may read it.
type Grower interface {
	Store
	// Append adds all that r gives to an object of offset bytes (0: a new one) and
	// returns their number once they are durable. It is ErrConflict, and r is
	// untouched, when the object has another size, somebody else appends now or Join
	// has used it. When it fails nothing was added.
	Append(ctx context.Context, key string, offset int64, r io.Reader) (int64, error)
	// Cut takes back what was appended: an object of from bytes has to afterwards, and
	// is gone when to is 0. It is ErrConflict under the same conditions.
	Cut(ctx context.Context, key string, from, to int64) error
	// Join makes key of the first bytes of each part, in order, as durably as Put.
	Join(ctx context.Context, key string, parts []Span) error
}

// Span is the first Size bytes of an object.
type Span struct {
	Key  string
	Size int64
}
