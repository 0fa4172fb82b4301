package dir

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// Inbox is an objectstore.Inbox on a directory.
type Inbox struct{ root *os.Root }

// OpenInbox opens the directory, which it makes when absent. Close it after use.
func OpenInbox(dir string) (*Inbox, error) {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, translate("open inbox", dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, translate("open inbox", dir, err)
	}
	return &Inbox{root}, nil
}

// Close releases the directory; readers that are still open stay valid.
func (b *Inbox) Close() error { return b.root.Close() }

// List walks the tree. Links and special files are left out.
func (b *Inbox) List(ctx context.Context) iter.Seq2[objectstore.Dropped, error] {
	return func(yield func(objectstore.Dropped, error) bool) {
		err := fs.WalkDir(b.root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
			if err == nil {
				err = ctx.Err()
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil // removed since it was read
			}
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			fi, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil && !yield(dropped(name, fi), nil) {
				err = fs.SkipAll
			}
			return err
		})
		if err != nil {
			yield(objectstore.Dropped{}, translate("list inbox", ".", err))
		}
	}
}

// dropped describes a file. Its tag changes with the file's node, size and time.
func dropped(name string, fi fs.FileInfo) objectstore.Dropped {
	tag := strconv.FormatInt(fi.Size(), 36) + "." + strconv.FormatInt(fi.ModTime().UnixNano(), 36)
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		tag += "." + strconv.FormatUint(st.Ino, 36)
	}
	return objectstore.Dropped{Name: name, Size: fi.Size(), Modified: fi.ModTime(), Tag: tag}
}

// Open implements objectstore.Inbox.
func (b *Inbox) Open(_ context.Context, d objectstore.Dropped, offset int64) (io.ReadCloser, error) {
	f, err := b.root.Open(d.Name)
	if err != nil {
		return nil, translate("open dropped file", d.Name, err)
	}
	fi, err := f.Stat()
	if err == nil && dropped(d.Name, fi).Tag != d.Tag {
		err = fmt.Errorf("%w: it was written again", melodyud.ErrConflict)
	}
	if err == nil && written(f) {
		err = fmt.Errorf("%w: a program is still writing it", melodyud.ErrUnavailable)
	}
	if err == nil {
		_, err = f.Seek(offset, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(translate("open dropped file", d.Name, err), f.Close())
	}
	return f, nil
}

// written reports whether a program on this machine has the file open for writing,
// as far as the system tells: it grants a read lease on no such file.
func written(f *os.File) bool {
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	if err == nil {
		_, _ = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	}
	return errors.Is(err, unix.EAGAIN)
}

// Put implements objectstore.Inbox.
func (b *Inbox) Put(ctx context.Context, name string, data []byte) error {
	if err := b.root.MkdirAll(path.Dir(name), dirMode); err != nil {
		return translate("write to inbox", name, err)
	}
	temp := path.Join(path.Dir(name), "."+rand.Text())
	f, err := b.root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if err != nil {
		return translate("write to inbox", name, err)
	}
	defer b.root.Remove(temp) // gone already after a rename
	if _, err = fill(ctx, f, bytes.NewReader(data), int64(len(data))); err == nil {
		err = b.root.Rename(temp, name)
	}
	return translate("write to inbox", name, err)
}

// Remove implements objectstore.Inbox.
func (b *Inbox) Remove(_ context.Context, d objectstore.Dropped) error {
	fi, err := b.root.Lstat(d.Name)
	if err == nil && dropped(d.Name, fi).Tag == d.Tag {
		err = b.root.Remove(d.Name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return translate("remove dropped file", d.Name, err)
}
