package s3

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// Inbox is an objectstore.Inbox and, on MinIO, a Waker: the objects below a prefix of
// a bucket.
type Inbox struct {
	s      *Store
	prefix string
}

// Inbox returns the inbox below prefix, which ends in a slash. It lives as long as s.
func (s *Store) Inbox(prefix string) *Inbox { return &Inbox{s, prefix} }

// List implements objectstore.Inbox. Names that end in a slash are folders that some
// programs make.
func (b *Inbox) List(ctx context.Context) iter.Seq2[objectstore.Dropped, error] {
	return func(yield func(objectstore.Dropped, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for o := range b.s.core.ListObjectsIter(ctx, b.s.bucket, minio.ListObjectsOptions{Prefix: b.prefix, Recursive: true}) {
			if o.Err != nil {
				yield(objectstore.Dropped{}, translate(ctx, "list inbox", b.prefix, o.Err))
				return
			}
			if strings.HasSuffix(o.Key, "/") || !strings.HasPrefix(o.Key, b.prefix) {
				continue
			}
			d := objectstore.Dropped{Name: o.Key[len(b.prefix):], Size: o.Size, Modified: o.LastModified, Tag: tagOf(o)}
			if !yield(d, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(objectstore.Dropped{}, translate(ctx, "list inbox", b.prefix, err))
		}
	}
}

// tagOf tells two puts of the same bytes apart, too. Answers differ in how finely
// they tell the time: seconds are in all.
func tagOf(o minio.ObjectInfo) string {
	return strings.Trim(o.ETag, `"`) + "." + strconv.FormatInt(o.LastModified.Unix(), 36)
}

// Open implements objectstore.Inbox.
func (b *Inbox) Open(ctx context.Context, d objectstore.Dropped, offset int64) (io.ReadCloser, error) {
	options := ranged(offset, -1)
	etag, _, _ := strings.Cut(d.Tag, ".")
	if err := options.SetMatchETag(etag); err != nil {
		return nil, fmt.Errorf("open dropped object %s: %w", d.Name, err)
	}
	body, _, _, err := b.s.core.GetObject(ctx, b.s.bucket, b.prefix+d.Name, options)
	if err != nil {
		return nil, translate(ctx, "open dropped object", d.Name, err)
	}
	return &reader{ctx: ctx, key: d.Name, body: body}, nil
}

// Put implements objectstore.Inbox.
func (b *Inbox) Put(ctx context.Context, name string, data []byte) error {
	_, err := b.s.core.Client.PutObject(ctx, b.s.bucket, b.prefix+name, bytes.NewReader(data), int64(len(data)),
		minio.PutObjectOptions{ContentType: "application/json", DisableMultipart: true})
	return translate(ctx, "write to inbox", name, err)
}

// Remove implements objectstore.Inbox. An object that is put between the look and the
// deletion, milliseconds apart, is lost unless the bucket keeps versions: S3 has no
// deletion with a condition that all servers know.
func (b *Inbox) Remove(ctx context.Context, d objectstore.Dropped) error {
	o, err := b.s.core.StatObject(ctx, b.s.bucket, b.prefix+d.Name, minio.StatObjectOptions{})
	if answerOf(err).StatusCode == http.StatusNotFound {
		return nil
	}
	if err == nil && tagOf(o) == d.Tag {
		err = b.s.core.RemoveObject(ctx, b.s.bucket, b.prefix+d.Name, minio.RemoveObjectOptions{})
	}
	return translate(ctx, "remove dropped object", d.Name, err)
}

// Listen implements objectstore.Waker by MinIO's notifications, which other servers
// do not have.
func (b *Inbox) Listen(ctx context.Context, wake func()) error {
	ctx, cancel := context.WithCancel(ctx)
	events := b.s.core.ListenBucketNotification(ctx, b.s.bucket, b.prefix, "", []string{"s3:ObjectCreated:*"})
	defer func() {
		cancel()
		for range events { // its goroutine ends with the channel
		}
	}()
	for info := range events {
		if info.Err != nil {
			return fmt.Errorf("listen for dropped objects: %w: %w", melodyud.ErrUnavailable, info.Err)
		}
		if len(info.Records) > 0 {
			wake()
		}
	}
	return ctx.Err()
}
