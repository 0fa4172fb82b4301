package load

import (
	"fmt"

	"golang.org/x/sys/unix"

	melodyud "github.com/melodyud/melodyud"
)

// spareFiles is what a process has open besides its listeners' connections.
const spareFiles = 64

// enoughFiles raises the limit of open files as far as it may and says so when that is
// too little for n listeners.
func enoughFiles(n int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	need := uint64(n + spareFiles)
	if uint64(limit.Cur) >= need {
		return nil
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || uint64(limit.Cur) < need {
		return fmt.Errorf("%w: %d listeners need %d open files, this process may have %d: raise the limit (ulimit -n) or use several machines",
			melodyud.ErrInvalid, n, need, limit.Cur)
	}
	return nil
}
