package packager_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/melodyud/melodyud/packager"
	"github.com/melodyud/melodyud/packager/packagertest"
)

// opener reads a package's files from a directory.
func opener(dir string) func(string, int64, int64) (io.ReadCloser, error) {
	return func(name string, offset, length int64) (io.ReadCloser, error) {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		if _, err := f.Seek(offset, io.SeekStart); err != nil {
			return nil, err
		}
		if length < 0 {
			return f, nil
		}
		return struct {
			io.Reader
			io.Closer
		}{io.LimitReader(f, length), f}, nil
	}
}

func TestSealedPackageVerifies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := packagertest.Build(t, dir, packagertest.Track{})
	if err := packager.Verify(context.Background(), opener(dir), &m); err != nil {
		t.Fatal(err)
	}
}
