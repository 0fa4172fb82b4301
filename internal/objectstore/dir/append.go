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

	"golang.org/x/sys/unix"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// sealedMode marks a file that was made another object's by Join: it is never
// written again.
const sealedMode = 0o440

// Append writes to the object's own file, which a lock keeps from other processes
// meanwhile. What could not be stored whole is taken back.
func (s *Store) Append(ctx context.Context, key string, offset int64, r io.Reader) (int64, error) {
	f, err := s.extend(ctx, key, offset)
	if err != nil {
		return 0, translate("append to object", key, err)
	}
	defer release(f)
	memory := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(memory)
	n, err := io.CopyBuffer(&behind{f: f, synced: offset, at: offset}, &checked{ctx: ctx, r: r}, *memory)
	if err == nil {
		err = f.Sync()
	}
	if err == nil && offset == 0 {
		err = s.syncUp(path.Dir(key))
	}
	if err != nil {
		return 0, translate("append to object", key, errors.Join(err, f.Truncate(offset)))
	}
	return n, nil
}

// Cut takes back what its caller has appended.
func (s *Store) Cut(ctx context.Context, key string, from, to int64) error {
	if to == 0 {
		return s.Delete(ctx, key)
	}
	f, err := s.extend(ctx, key, from)
	if err != nil {
		return translate("cut object", key, err)
	}
	defer release(f)
	return translate("cut object", key, errors.Join(f.Truncate(to), f.Sync()))
}

// extend opens the object's file for writing, positioned at its end, if that is at
// offset and nobody else has it open so.
func (s *Store) extend(ctx context.Context, key string, offset int64) (*os.File, error) {
	if err := errors.Join(objectstore.CheckKey(key), ctx.Err()); err != nil {
		return nil, err
	}
	f, err := s.openToWrite(key, offset == 0)
	if err != nil {
		return nil, err
	}
	if err := s.claim(f, offset); err != nil {
		return nil, errors.Join(err, release(f))
	}
	return f, nil
}

// release unlocks and closes f. Closing alone would leave the lock with a child
// process that was just being started and holds a copy of every file for a moment.
func release(f *os.File) error {
	return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
}

func (s *Store) openToWrite(key string, create bool) (*os.File, error) {
	if !create {
		f, err := s.root.OpenFile(key, os.O_RDWR, 0)
		if errors.Is(absent(err), fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: the object is gone", melodyud.ErrConflict)
		}
		return f, err
	}
	for range rounds {
		if err := s.root.MkdirAll(path.Dir(key), dirMode); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, misfitting(err)
		}
		f, err := s.root.OpenFile(key, os.O_CREATE|os.O_RDWR, fileMode)
		if !errors.Is(err, fs.ErrNotExist) { // else a Delete has just pruned the directory
			return f, misfitting(err)
		}
	}
	return nil, fmt.Errorf("%w: its directory keeps being removed", melodyud.ErrUnavailable)
}

// claim locks f until its release and checks that it may be appended to.
func (s *Store) claim(f *os.File, size int64) error {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("%w: the object is being written: %w", melodyud.ErrConflict, err)
	}
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if fi.Size() != size || fi.Mode().Perm() == sealedMode || !fi.Mode().IsRegular() {
		return fmt.Errorf("%w: the object has %d bytes, not %d, or is sealed", melodyud.ErrConflict, fi.Size(), size)
	}
	_, err = f.Seek(size, io.SeekStart)
	return err
}

const (
	copyBuffer = 64 << 10 // bytes of memory that an Append takes
	writeOut   = 1 << 20  // bytes that may wait in memory before the disk is told to begin
)

// behind keeps the disk busy while further bytes arrive, so that the sync at the
// end has little left to wait for.
type behind struct {
	f          *os.File
	at, synced int64
}

func (b *behind) Write(p []byte) (int, error) {
	n, err := b.f.Write(p)
	b.at += int64(n)
	if b.at-b.synced >= writeOut {
		startWriting(b.f, b.synced, b.at-b.synced)
		b.synced = b.at
	}
	return n, err
}

// Join links key to the only part's file if all of it is wanted, and copies within
// the kernel else.
func (s *Store) Join(ctx context.Context, key string, parts []objectstore.Span) error {
	for _, p := range append([]objectstore.Span{{Key: key}}, parts...) {
		if err := objectstore.CheckKey(p.Key); err != nil {
			return err
		}
	}
	temp := tempDir + "/" + rand.Text()
	defer s.root.Remove(temp)
	linked, err := s.linkOnly(parts, temp)
	if err == nil && !linked {
		err = s.copyAll(ctx, parts, temp)
	}
	if err == nil {
		err = s.place(temp, key, false)
	}
	return translate("join object", key, err)
}

// linkOnly gives the file of a single part another name, and reports whether it could.
func (s *Store) linkOnly(parts []objectstore.Span, temp string) (bool, error) {
	if len(parts) != 1 {
		return false, nil
	}
	f, err := s.root.OpenFile(parts[0].Key, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrPermission) {
		f, err = s.root.Open(parts[0].Key) // sealed already, before a crash
	}
	if err != nil {
		return false, absent(err)
	}
	defer release(f)
	if err := s.seal(f, parts[0].Size); err != nil {
		return false, nil //nolint:nilerr // what cannot be linked is copied
	}
	return true, s.root.Link(parts[0].Key, temp)
}

func (s *Store) seal(f *os.File, size int64) error {
	if fi, err := f.Stat(); err == nil && fi.Size() == size && fi.Mode().Perm() == sealedMode {
		return nil
	}
	if err := s.claim(f, size); err != nil {
		return err
	}
	return errors.Join(f.Chmod(sealedMode), f.Sync())
}

func (s *Store) copyAll(ctx context.Context, parts []objectstore.Span, temp string) error {
	to, err := s.root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if err != nil {
		return err
	}
	defer to.Close()
	for _, p := range parts {
		if err := errors.Join(ctx.Err(), s.copyOne(to, p)); err != nil {
			return err
		}
	}
	return errors.Join(to.Sync(), to.Close())
}

func (s *Store) copyOne(to *os.File, p objectstore.Span) error {
	from, fi, err := s.file(p.Key)
	if err != nil {
		return err
	}
	defer from.Close()
	if fi.Size() < p.Size {
		return fmt.Errorf("%w: part %s has %d bytes, not %d", melodyud.ErrConflict, p.Key, fi.Size(), p.Size)
	}
	_, err = io.CopyN(to, from, p.Size)
	return err
}
