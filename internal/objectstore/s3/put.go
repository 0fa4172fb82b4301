package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/minio/minio-go/v7"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// Put sends what fits one part in one request and anything longer in parts of
// PartSize, which the server joins at the end or not at all.
func (s *Store) Put(ctx context.Context, key string, r io.Reader, size int64, opts objectstore.PutOptions) (objectstore.Info, error) {
	if err := objectstore.CheckKey(key); err != nil {
		return objectstore.Info{}, err
	}
	in := &source{ctx: ctx, r: r, size: size}
	first, err := in.next(nil)
	if err != nil {
		return objectstore.Info{}, in.explain(key, err)
	}
	u := upload{s: s, key: key, opts: opts}
	if in.ended {
		err = u.whole(ctx, first)
	} else {
		err = u.parts(ctx, in, first)
	}
	if in.err != nil {
		return objectstore.Info{}, in.explain(key, in.err)
	}
	if err != nil {
		return objectstore.Info{}, translate(ctx, "put object", key, err)
	}
	return s.written(ctx, key)
}

// written asks for the time that a server gives an object but does not answer a
// PUT with. The object is there, so the end of ctx does not matter any more.
func (s *Store) written(ctx context.Context, key string) (objectstore.Info, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	return s.Stat(ctx, key)
}

// upload is one Put on its way to the server.
type upload struct {
	s    *Store
	key  string
	opts objectstore.PutOptions
}

func (u *upload) options() minio.PutObjectOptions {
	o := minio.PutObjectOptions{ContentType: u.opts.ContentType, DisableMultipart: true}
	if u.opts.IfAbsent {
		o.SetMatchETagExcept("*")
	}
	return o
}

func (u *upload) whole(ctx context.Context, body []byte) error {
	_, err := u.s.core.Client.PutObject(ctx, u.s.bucket, u.key, bytes.NewReader(body), int64(len(body)), u.options())
	return err
}

// parts uploads first and all that follows. Whatever fails, the parts are
// thrown away, even when it was ctx that ended.
func (u *upload) parts(ctx context.Context, in *source, first []byte) (err error) {
	if err := u.vacant(ctx); err != nil {
		return err
	}
	id, err := u.s.core.NewMultipartUpload(ctx, u.s.bucket, u.key, minio.PutObjectOptions{ContentType: u.opts.ContentType})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, u.abort(ctx, id))
		}
	}()
	parts, err := u.send(ctx, id, in, first)
	if err != nil {
		return err
	}
	_, err = u.s.core.CompleteMultipartUpload(ctx, u.s.bucket, u.key, id, parts, u.options())
	return err
}

// vacant spares a long upload that the server would refuse at its end.
func (u *upload) vacant(ctx context.Context) error {
	if !u.opts.IfAbsent {
		return nil
	}
	_, err := u.s.Stat(ctx, u.key)
	if err == nil {
		return fmt.Errorf("%w: the object exists", melodyud.ErrConflict)
	}
	if errors.Is(err, melodyud.ErrNotFound) {
		return nil
	}
	return err
}

func (u *upload) send(ctx context.Context, id string, in *source, buf []byte) ([]minio.CompletePart, error) {
	var sent []minio.CompletePart
	for n := 1; len(buf) > 0; n++ {
		if n > maxParts {
			return nil, fmt.Errorf("%w: more than %d parts of %d bytes", melodyud.ErrTooLarge, maxParts, PartSize)
		}
		part, err := u.s.core.PutObjectPart(ctx, u.s.bucket, u.key, id, n, bytes.NewReader(buf), int64(len(buf)), minio.PutObjectPartOptions{})
		if err != nil {
			return nil, err
		}
		sent = append(sent, minio.CompletePart{PartNumber: n, ETag: part.ETag})
		if buf, err = in.next(buf); err != nil {
			return nil, err
		}
	}
	return sent, nil
}

func (u *upload) abort(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	return u.s.core.AbortMultipartUpload(ctx, u.s.bucket, u.key, id)
}

// source cuts a reader into parts and checks its size. Its failure is kept apart
// from the server's.
type source struct {
	ctx   context.Context
	r     io.Reader
	size  int64 // announced; -1: unknown
	read  int64
	ended bool
	err   error
}

// next returns the next part, in buf's memory when that is large enough. It is
// short, or empty, only at the end.
func (in *source) next(buf []byte) ([]byte, error) {
	buf = buf[:0]
	for !in.ended && len(buf) < PartSize {
		buf = in.room(buf)
		n, err := in.fill(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err != nil {
			in.err = err
			return nil, err
		}
	}
	return buf, nil
}

// room grows buf: at once to the size that is known, else by doubling, so that
// small objects of unknown size stay small in memory.
func (in *source) room(buf []byte) []byte {
	want := max(64<<10, 2*int64(cap(buf)))
	if in.size >= 0 {
		want = in.size - in.read + 1 // one more, to see the end
	}
	want = min(want, PartSize)
	if len(buf) < cap(buf) || int64(cap(buf)) >= want {
		return buf
	}
	return append(make([]byte, 0, want), buf...)
}

func (in *source) fill(p []byte) (int, error) {
	if err := in.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := in.r.Read(p)
	in.read += int64(n)
	if errors.Is(err, io.EOF) {
		in.ended, err = true, nil
	}
	if err == nil {
		err = in.check()
	}
	return n, err
}

func (in *source) check() error {
	switch {
	case in.size < 0:
		return nil
	case in.read > in.size:
		return fmt.Errorf("%w: the reader has more than the announced %d bytes", melodyud.ErrInvalid, in.size)
	case in.ended && in.read < in.size:
		return fmt.Errorf("%w: the reader ended after %d of the announced %d bytes: %w", melodyud.ErrInvalid, in.read, in.size, io.ErrUnexpectedEOF)
	}
	return nil
}

func (in *source) explain(key string, err error) error {
	return fmt.Errorf("put object %s: %w", key, err)
}
