package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// Open reads a range straight from one response, which lasts no longer than ctx.
// The reader's failures are ErrUnavailable, unless ctx ended.
func (s *Store) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, objectstore.Info, error) {
	if err := objectstore.CheckKey(key); err != nil {
		return nil, objectstore.Info{}, err
	}
	if offset < 0 || length < -1 {
		return nil, objectstore.Info{}, fmt.Errorf("%w: range of %d bytes from %d of object %s", melodyud.ErrInvalid, length, offset, key)
	}
	if length == 0 {
		return s.nothing(ctx, key, offset)
	}
	body, o, header, err := s.core.GetObject(ctx, s.bucket, key, ranged(offset, length))
	if answerOf(err).Code == minio.InvalidRange {
		return s.nothing(ctx, key, offset) // unless the object is empty, it refuses
	}
	if err != nil {
		return nil, objectstore.Info{}, translate(ctx, "open object", key, err)
	}
	info := objectstore.Info{Key: key, Size: o.Size, Modified: o.LastModified}
	if info.Size, err = wholeSize(header, o.Size); err != nil {
		return nil, objectstore.Info{}, errors.Join(translate(ctx, "open object", key, err), body.Close())
	}
	return &reader{ctx: ctx, key: key, body: body}, info, nil
}

// nothing opens the ranges that HTTP has no words for.
func (s *Store) nothing(ctx context.Context, key string, offset int64) (io.ReadCloser, objectstore.Info, error) {
	info, err := s.Stat(ctx, key)
	if err != nil {
		return nil, objectstore.Info{}, err
	}
	if info.Size > 0 && offset >= info.Size {
		return nil, objectstore.Info{}, fmt.Errorf("%w: range begins at %d of %d bytes of object %s", melodyud.ErrInvalid, offset, info.Size, key)
	}
	return io.NopCloser(bytes.NewReader(nil)), info, nil
}

func ranged(offset, length int64) minio.GetObjectOptions {
	var o minio.GetObjectOptions
	switch {
	case length > 0:
		_ = o.SetRange(offset, offset+length-1) // fails for negative numbers only
	case offset > 0:
		_ = o.SetRange(offset, 0) // to the end
	}
	return o
}

// wholeSize reads the object's size from "Content-Range: bytes 0-9/100"
// (RFC 9110 §14.4), or takes that of an answer without a range.
func wholeSize(header http.Header, sent int64) (int64, error) {
	r := header.Get("Content-Range")
	if r == "" {
		return sent, nil
	}
	_, total, _ := strings.Cut(r, "/")
	n, err := strconv.ParseInt(total, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("content range %q: %w", r, err)
	}
	return n, nil
}

type reader struct {
	ctx  context.Context
	key  string
	body io.ReadCloser
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if err != nil && err != io.EOF {
		err = translate(r.ctx, "read object", r.key, err)
	}
	return n, err
}

func (r *reader) Close() error { return r.body.Close() }
