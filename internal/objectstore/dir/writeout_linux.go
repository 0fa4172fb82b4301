package dir

import (
	"os"

	"golang.org/x/sys/unix"
)

// startWriting asks the kernel to begin writing the range to disk. It is a hint.
func startWriting(f *os.File, offset, size int64) {
	_ = unix.SyncFileRange(int(f.Fd()), offset, size, unix.SYNC_FILE_RANGE_WRITE)
}
