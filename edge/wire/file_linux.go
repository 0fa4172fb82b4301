package wire

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// File is a body outside of the program's own memory, from which the kernel sends
// without copying. It lives until everybody who holds it has let go.
type File struct {
	fd      int
	size    int64
	holders atomic.Int64
}

// NewFile returns a file of these bytes, in memory, held by the caller.
func NewFile(parts [][]byte) (*File, error) {
	fd, err := unix.MemfdCreate("melodyud-segment", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("file in memory: %w", err)
	}
	f := &File{fd: fd}
	f.holders.Store(1)
	for _, part := range parts {
		for len(part) > 0 {
			n, err := unix.Write(fd, part)
			if err != nil {
				f.Release()
				return nil, fmt.Errorf("file in memory: %w", err)
			}
			part = part[n:]
			f.size += int64(n)
		}
	}
	return f, nil
}

// Hold reports whether the file is still there, and then keeps it there.
func (f *File) Hold() bool {
	for {
		n := f.holders.Load()
		if n == 0 {
			return false
		}
		if f.holders.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release lets go of a file that was made or held. Bytes on their way to a client
// get there all the same.
func (f *File) Release() {
	if f.holders.Add(-1) == 0 {
		_ = unix.Close(f.fd) // of memory
	}
}

// Size is the number of bytes.
func (f *File) Size() int64 { return f.size }
