package workers

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	melodyud "github.com/melodyud/melodyud"
)

const (
	homePrefix = "worker-"
	lockFile   = "lock"
)

// scratch is where one process keeps work in progress. A locked file says that the
// process lives; what a dead one left is removed by the next to start, whatever
// container or process number it had.
type scratch struct {
	home string
	lock *os.File
}

func openScratch(dir string) (*scratch, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := removeDead(dir); err != nil {
		return nil, err
	}
	home, err := os.MkdirTemp(dir, homePrefix)
	if err != nil {
		return nil, err
	}
	lock, err := locked(home)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(home))
	}
	return &scratch{home: home, lock: lock}, nil
}

// locked takes the lock of a home. A living process has it: EWOULDBLOCK.
func locked(home string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(home, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func removeDead(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		home := filepath.Join(dir, e.Name())
		if !e.IsDir() || !strings.HasPrefix(e.Name(), homePrefix) {
			continue
		}
		lock, err := locked(home)
		if err != nil {
			continue // alive, or just being removed by another
		}
		if err := errors.Join(os.RemoveAll(home), lock.Close()); err != nil {
			return err
		}
	}
	return nil
}

// job makes a directory for one piece of work; whoever asked removes it.
func (s *scratch) job() (string, error) {
	dir, err := os.MkdirTemp(s.home, "job-")
	return dir, onDisk(err)
}

func (s *scratch) close() {
	_ = os.RemoveAll(s.home) // the next start removes what is left
	_ = s.lock.Close()
}

// onDisk says that a full disk is nothing the track can be blamed for.
func onDisk(err error) error {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE} {
		if errors.Is(err, full) {
			return fmt.Errorf("%w: scratch: %w", melodyud.ErrUnavailable, err)
		}
	}
	return err
}
