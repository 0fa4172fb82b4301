package dir

import (
	"context"
	"errors"
	"io/fs"
	"path"

	"golang.org/x/sys/unix"

	"github.com/melodyud/melodyud/internal/objectstore"
)

// Delete removes objects and the directories that become empty. It returns when
// the removal is durable.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := objectstore.CheckKey(key); err != nil {
			return err
		}
	}
	touched := map[string]bool{}
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.remove(key); err != nil {
			return translate("delete object", key, err)
		}
		touched[s.prune(path.Dir(key))] = true
	}
	for dir := range touched {
		if err := s.syncDir(dir); err != nil {
			return translate("delete objects of", dir, err)
		}
	}
	return nil
}

// remove leaves a directory alone even when it is empty: it is no object.
func (s *Store) remove(key string) error {
	fi, err := s.root.Lstat(key)
	if err == nil && !fi.IsDir() {
		err = s.root.Remove(key)
	}
	if errors.Is(absent(err), fs.ErrNotExist) {
		return nil
	}
	return err
}

// prune removes dir and the directories above it while they are empty, and
// returns the first that stays. A Put that loses its directory to this makes it anew.
func (s *Store) prune(dir string) string {
	for dir != "." && s.empties(dir) {
		dir = path.Dir(dir)
	}
	return dir
}

func (s *Store) empties(dir string) bool {
	err := s.rmdir(dir)
	return err == nil || errors.Is(err, fs.ErrNotExist)
}

// rmdir removes an empty directory and never a file: Root.Remove would take an
// object that has just been put at this name.
func (s *Store) rmdir(dir string) error {
	parent, err := s.root.Open(path.Dir(dir))
	if err != nil {
		return err
	}
	defer parent.Close()
	return unix.Unlinkat(int(parent.Fd()), path.Base(dir), unix.AT_REMOVEDIR)
}
