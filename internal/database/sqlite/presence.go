package sqlite

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// enter opens path-lock, which everyone who has the database open holds shared,
// and says whether nobody else did. It is a file of its own because SQLite's
// locks on the database would be lost whenever any file on it were closed.
func enter(path string) (presence *os.File, alone bool, err error) {
	f, err := os.OpenFile(path+"-lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false, err
	}
	err = flock(f, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return f, false, stay(f)
	}
	if err != nil {
		return nil, false, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	return f, true, nil
}

// stay lets others enter while we are there.
func stay(presence *os.File) error {
	if err := flock(presence, unix.LOCK_SH); err != nil {
		return errors.Join(fmt.Errorf("lock %s: %w", presence.Name(), err), presence.Close())
	}
	return nil
}

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
