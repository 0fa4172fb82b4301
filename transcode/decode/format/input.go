package format

import (
	"bufio"
	"io"
)

// Input is a master and what may be done to it.
type Input struct {
	At     io.ReaderAt
	Size   int64 // bytes
	Limits Limits
	FFmpeg string // absolute path of the converter; "" none
}

// Peek returns up to n bytes at off, fewer at the end of the file.
func (in *Input) Peek(off int64, n int) ([]byte, error) {
	if off < 0 || n <= 0 || off >= in.Size {
		return nil, nil
	}
	b := make([]byte, min(int64(n), in.Size-off))
	got, err := in.At.ReadAt(b, off)
	if err == io.EOF {
		err = nil
	}
	return b[:got], err
}

// from returns a buffered reader of the n bytes at off, or of what is there.
func (in *Input) from(off, n int64) *bufio.Reader {
	n = max(0, min(n, in.Size-off))
	return bufio.NewReaderSize(io.NewSectionReader(in.At, off, n), 64<<10)
}
