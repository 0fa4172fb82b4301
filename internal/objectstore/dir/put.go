package dir

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// rounds bounds how often a Put makes its directory anew because Deletes keep
// pruning it.
const rounds = 100

// Put writes to a temporary file and moves it to its name once it is whole and
// synced. The content type is not kept.
func (s *Store) Put(ctx context.Context, key string, r io.Reader, size int64, opts objectstore.PutOptions) (objectstore.Info, error) {
	if err := objectstore.CheckKey(key); err != nil {
		return objectstore.Info{}, err
	}
	temp := tempDir + "/" + rand.Text()
	f, err := s.root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if err != nil {
		return objectstore.Info{}, translate("put object", key, err)
	}
	defer s.root.Remove(temp) // gone already after a rename
	fi, err := fill(ctx, f, r, size)
	if err != nil {
		return objectstore.Info{}, translate("put object", key, err)
	}
	if err := s.place(temp, key, opts.IfAbsent); err != nil {
		return objectstore.Info{}, translate("put object", key, err)
	}
	return objectstore.Info{Key: key, Size: fi.Size(), Modified: fi.ModTime()}, nil
}

// fill copies r into f, checks the size, syncs and closes.
func fill(ctx context.Context, f *os.File, r io.Reader, size int64) (fs.FileInfo, error) {
	defer f.Close()
	if size >= 0 {
		r = io.LimitReader(r, size+1)
	}
	n, err := io.Copy(f, &checked{ctx: ctx, r: r})
	if err != nil {
		return nil, err
	}
	if size >= 0 && n != size {
		return nil, wrongSize(n, size)
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return fi, errors.Join(f.Close(), ctx.Err())
}

func wrongSize(n, size int64) error {
	if n > size {
		return fmt.Errorf("%w: the reader has more than the announced %d bytes", melodyud.ErrInvalid, size)
	}
	return fmt.Errorf("%w: the reader ended after %d of the announced %d bytes: %w", melodyud.ErrInvalid, n, size, io.ErrUnexpectedEOF)
}

// place gives the temporary file its name and makes that durable. A loser of
// IfAbsent syncs too: whoever is told "exists" may rely on it.
func (s *Store) place(temp, key string, ifAbsent bool) error {
	move := s.root.Rename
	if ifAbsent {
		move = s.root.Link
	}
	err := s.moveInto(move, temp, key)
	if ifAbsent && melodyud.Kind(err) == nil && errors.Is(err, fs.ErrExist) && !s.isDir(key) {
		err = fmt.Errorf("%w: the object exists", melodyud.ErrConflict)
		return errors.Join(err, s.syncUp(path.Dir(key)))
	}
	if err != nil {
		return misfitting(err)
	}
	return s.syncUp(path.Dir(key))
}

// moveInto retries when a concurrent Delete prunes the directory between its
// making and the move.
func (s *Store) moveInto(move func(from, to string) error, temp, key string) error {
	var err error
	for range rounds {
		if err = s.root.MkdirAll(path.Dir(key), dirMode); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return misfitting(err)
		}
		if err = move(temp, key); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return fmt.Errorf("%w: its directory keeps being removed: %w", melodyud.ErrUnavailable, err)
}

func (s *Store) isDir(key string) bool {
	fi, err := s.root.Lstat(key)
	return err == nil && fi.IsDir()
}

// misfitting recognises a key that needs a directory where an object is, or the
// reverse. File systems say it in several ways.
func misfitting(err error) error {
	if melodyud.Kind(err) != nil {
		return err
	}
	for _, e := range []error{fs.ErrExist, syscall.ENOTDIR, syscall.EISDIR, syscall.ENOTEMPTY} {
		if errors.Is(err, e) {
			return fmt.Errorf("%w: an object of this store is a directory of this key, or the reverse: %w", melodyud.ErrInvalid, err)
		}
	}
	return err
}

// syncUp makes dir and every directory above it durable. It does not matter who
// made them: a directory another Put has made may not be synced yet.
func (s *Store) syncUp(dir string) error {
	for {
		if err := s.syncDir(dir); err != nil {
			return err
		}
		if dir == "." {
			return nil
		}
		dir = path.Dir(dir)
	}
}

// syncDir syncs one directory; one that was pruned meanwhile needs no sync.
func (s *Store) syncDir(dir string) error {
	d, err := s.root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// checked stops a copy soon after ctx ends.
type checked struct {
	ctx context.Context
	r   io.Reader
}

func (c *checked) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
