package s3

import (
	"context"
	"errors"
	"iter"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/melodyud/melodyud/internal/objectstore"
)

// List asks for a thousand keys at a time, as the loop needs them. Objects whose
// keys are not ours are left out.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		if !objectstore.MayBegin(prefix) {
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		// Not ListObjects: its goroutine never ends when the loop is left.
		for o := range s.core.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: askable(prefix), Recursive: true}) {
			if o.Err != nil {
				yield(objectstore.Info{}, translate(ctx, "list objects", prefix, o.Err))
				return
			}
			if objectstore.CheckKey(o.Key) != nil || !strings.HasPrefix(o.Key, prefix) {
				continue
			}
			if !yield(objectstore.Info{Key: o.Key, Size: o.Size, Modified: o.LastModified}, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(objectstore.Info{}, translate(ctx, "list objects", prefix, err))
		}
	}
}

// askable widens a prefix that ends like a path to another directory, which some
// servers refuse although keys such as "..a" begin with it.
func askable(prefix string) string {
	cut := strings.LastIndexByte(prefix, '/') + 1
	if last := prefix[cut:]; last == "." || last == ".." {
		return prefix[:cut]
	}
	return prefix
}

// Delete removes up to a thousand objects per request.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := objectstore.CheckKey(key); err != nil {
			return err
		}
	}
	if len(keys) == 0 {
		return nil
	}
	if len(keys) == 1 {
		return s.deleted(ctx, keys[0], s.core.RemoveObject(ctx, s.bucket, keys[0], minio.RemoveObjectOptions{}))
	}
	results, err := s.core.RemoveObjectsWithIter(ctx, s.bucket, named(keys), minio.RemoveObjectsOptions{})
	if err != nil {
		return translate(ctx, "delete objects like", keys[0], err)
	}
	var failed error
	for r := range results {
		if failed == nil {
			failed = s.deleted(ctx, r.ObjectName, r.Err)
		}
	}
	return errors.Join(failed, ctx.Err())
}

func (s *Store) deleted(ctx context.Context, key string, err error) error {
	if answerOf(err).Code == minio.NoSuchKey {
		return nil
	}
	return translate(ctx, "delete object", key, err)
}

func named(keys []string) iter.Seq[minio.ObjectInfo] {
	return func(yield func(minio.ObjectInfo) bool) {
		for _, key := range keys {
			if !yield(minio.ObjectInfo{Key: key}) {
				return
			}
		}
	}
}
