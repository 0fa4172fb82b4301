//go:build !linux || !(amd64 || arm64)

package wire

import "errors"

// File is a body outside of the program's own memory. There are none on this system.
type File struct{}

// NewFile returns errors.ErrUnsupported.
func NewFile(string, [][]byte) (*File, error) { return nil, errors.ErrUnsupported }

// Hold is for Linux.
func (*File) Hold() bool { return false }

// Release is for Linux.
func (*File) Release() {}

// Size is for Linux.
func (*File) Size() int64 { return 0 }
