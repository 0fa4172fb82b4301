package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// Stat describes the object.
func (s *Store) Stat(ctx context.Context, key string) (objectstore.Info, error) {
	if err := objectstore.CheckKey(key); err != nil {
		return objectstore.Info{}, err
	}
	if err := ctx.Err(); err != nil {
		return objectstore.Info{}, err
	}
	fi, err := s.root.Lstat(key)
	if err != nil {
		return objectstore.Info{}, translate("stat object", key, absent(err))
	}
	if !fi.Mode().IsRegular() {
		return objectstore.Info{}, translate("stat object", key, fs.ErrNotExist)
	}
	return info(key, fi), nil
}

// Open reads a range. io.Copy from the returned reader to a socket uses the
// kernel's file transfer where there is one.
func (s *Store) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, objectstore.Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, objectstore.Info{}, err
	}
	f, fi, err := s.file(key)
	if err != nil {
		return nil, objectstore.Info{}, err
	}
	n, err := span(fi.Size(), offset, length)
	if err == nil && offset > 0 {
		_, err = f.Seek(offset, io.SeekStart)
	}
	if err != nil {
		_ = f.Close()
		return nil, objectstore.Info{}, translate("open object", key, err)
	}
	return &section{f: f, left: io.LimitedReader{R: f, N: n}}, info(key, fi), nil
}

func (s *Store) file(key string) (*os.File, fs.FileInfo, error) {
	if err := objectstore.CheckKey(key); err != nil {
		return nil, nil, err
	}
	f, err := s.root.Open(key)
	if err != nil {
		return nil, nil, translate("open object", key, absent(err))
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, translate("open object", key, err)
	}
	return f, fi, nil
}

// absent says of a key that runs through a file what S3 would say: no such object.
func absent(err error) error {
	if errors.Is(err, syscall.ENOTDIR) {
		return fs.ErrNotExist
	}
	return err
}

// span returns how many bytes the range has.
func span(size, offset, length int64) (int64, error) {
	if offset < 0 || length < -1 {
		return 0, fmt.Errorf("%w: range of %d bytes from %d", melodyud.ErrInvalid, length, offset)
	}
	if size == 0 {
		return 0, nil
	}
	if offset >= size {
		return 0, fmt.Errorf("%w: range begins at %d of %d bytes", melodyud.ErrInvalid, offset, size)
	}
	if length < 0 || length > size-offset {
		return size - offset, nil
	}
	return length, nil
}

func info(key string, fi fs.FileInfo) objectstore.Info {
	return objectstore.Info{Key: key, Size: fi.Size(), Modified: fi.ModTime()}
}

// section is a range of an open file.
type section struct {
	f    *os.File
	left io.LimitedReader
}

func (s *section) Read(p []byte) (int, error) { return s.left.Read(p) }
func (s *section) Close() error               { return s.f.Close() }

// WriteTo hands a socket the form it knows how to send without copying: a
// LimitedReader straight on a file.
func (s *section) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, &s.left) }
