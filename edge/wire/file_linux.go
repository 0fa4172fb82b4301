//go:build amd64 || arm64

package wire

import (
	"fmt"
	"slices"
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

// NewFile returns a file of these bytes, held by the caller: one without a name below
// dir, or in anonymous memory where dir is empty or has none such. Of a file system
// that keeps its cache in large pieces the kernel sends a fifth faster, and what it
// needs the memory for, it can take back.
func NewFile(dir string, parts [][]byte) (*File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if dir == "" || err != nil {
		fd, err = unix.MemfdCreate("melodyud-segment", unix.MFD_CLOEXEC)
	}
	if err != nil {
		return nil, fmt.Errorf("file for a segment: %w", err)
	}
	f := &File{fd: fd}
	f.holders.Store(1)
	if err := f.fill(slices.Clone(parts)); err != nil {
		f.Release()
		return nil, fmt.Errorf("file for a segment: %w", err)
	}
	return f, nil
}

// fill writes all parts, in as few calls as it takes.
func (f *File) fill(parts [][]byte) error {
	for len(parts) > 0 {
		n, err := unix.Writev(f.fd, parts[:min(len(parts), mostParts)])
		if err != nil {
			return err
		}
		f.size += int64(n)
		for len(parts) > 0 && n >= len(parts[0]) {
			n -= len(parts[0])
			parts = parts[1:]
		}
		if n > 0 {
			parts[0] = parts[0][n:]
		}
	}
	return nil
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
		_ = unix.Close(f.fd) // nothing of it is to stay
	}
}

// Size is the number of bytes.
func (f *File) Size() int64 { return f.size }
