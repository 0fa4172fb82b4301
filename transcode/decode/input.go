package decode

import (
	"bufio"
	"io"
)

// input is the master inside the child.
type input struct {
	at   io.ReaderAt
	size int64
	job  errand
}

// peek returns up to n bytes at off, fewer at the end of the file.
func (in *input) peek(off int64, n int) ([]byte, error) {
	if off < 0 || off >= in.size {
		return nil, nil
	}
	b := make([]byte, min(int64(n), in.size-off))
	got, err := in.at.ReadAt(b, off)
	if err == io.EOF {
		err = nil
	}
	return b[:got], err
}

// from returns a buffered reader of the n bytes at off, or of what is there.
func (in *input) from(off, n int64) *bufio.Reader {
	n = max(0, min(n, in.size-off))
	return bufio.NewReaderSize(io.NewSectionReader(in.at, off, n), 64<<10)
}
