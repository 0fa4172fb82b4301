package objectstoretest

import (
	"context"
	"fmt"
	"io"
	"iter"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// Call names one method of a Store for Flaky.
type Call string

// The calls that Flaky can fail.
const (
	Put     Call = "Put"
	Open    Call = "Open"
	Read    Call = "Read" // of what Open gave, after half of it or at its end
	Stat    Call = "Stat"
	List    Call = "List"
	Delete  Call = "Delete"
	Presign Call = "Presign"
)

// Flaky wraps a Store and fails the calls that Fail chooses with ErrUnavailable,
// before they have any effect. Fail is asked with the key (of List: the prefix; of
// Delete: the first) and must be safe for concurrent use.
type Flaky struct {
	objectstore.Store
	Fail func(call Call, key string) bool
}

func (f *Flaky) check(call Call, key string) error {
	if f.Fail(call, key) {
		return fmt.Errorf("%s %s: %w: flaky store", call, key, melodyud.ErrUnavailable)
	}
	return nil
}

// Put fails or passes on.
func (f *Flaky) Put(ctx context.Context, key string, r io.Reader, size int64, opts objectstore.PutOptions) (objectstore.Info, error) {
	if err := f.check(Put, key); err != nil {
		return objectstore.Info{}, err
	}
	return f.Store.Put(ctx, key, r, size, opts)
}

// Open fails, or gives a reader that Fail(Read, key) may break.
func (f *Flaky) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, objectstore.Info, error) {
	if err := f.check(Open, key); err != nil {
		return nil, objectstore.Info{}, err
	}
	r, info, err := f.Store.Open(ctx, key, offset, length)
	if err != nil || !f.Fail(Read, key) {
		return r, info, err
	}
	if length < 0 || length > info.Size-offset {
		length = info.Size - offset
	}
	return &broken{ReadCloser: r, key: key, left: length / 2}, info, nil
}

// broken gives left bytes and fails.
type broken struct {
	io.ReadCloser
	key  string
	left int64
}

func (b *broken) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("read %s: %w: flaky store", b.key, melodyud.ErrUnavailable)
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// Stat fails or passes on.
func (f *Flaky) Stat(ctx context.Context, key string) (objectstore.Info, error) {
	if err := f.check(Stat, key); err != nil {
		return objectstore.Info{}, err
	}
	return f.Store.Stat(ctx, key)
}

// List fails or passes on.
func (f *Flaky) List(ctx context.Context, prefix string) iter.Seq2[objectstore.Info, error] {
	if err := f.check(List, prefix); err != nil {
		return func(yield func(objectstore.Info, error) bool) { yield(objectstore.Info{}, err) }
	}
	return f.Store.List(ctx, prefix)
}

// Delete fails or passes on.
func (f *Flaky) Delete(ctx context.Context, keys ...string) error {
	if len(keys) > 0 {
		if err := f.check(Delete, keys[0]); err != nil {
			return err
		}
	}
	return f.Store.Delete(ctx, keys...)
}

// Presign fails or passes on to a store that can.
func (f *Flaky) Presign(ctx context.Context, method, key string, ttl time.Duration) (string, error) {
	if err := f.check(Presign, key); err != nil {
		return "", err
	}
	p, ok := f.Store.(objectstore.Presigner)
	if !ok {
		return "", fmt.Errorf("%w: %T cannot presign", melodyud.ErrInvalid, f.Store)
	}
	return p.Presign(ctx, method, key, ttl)
}
