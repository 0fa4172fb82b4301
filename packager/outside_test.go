package packager_test

import (
	"path/filepath"
	"testing"

	"github.com/melodyud/melodyud/packager/packagertest"
)

// TestOutsideReadersAgree gives packages to readers from npm (section 2.8, item 1).
func TestOutsideReadersAgree(t *testing.T) {
	readers := packagertest.InstallReaders(t, filepath.Join("testdata", "outside"))
	if readers == nil {
		t.Skip("set MELODYUD_OUTSIDE=1 and install npm to check with readers from npm")
	}
	for _, source := range []struct{ rate, depth, samples int }{
		{44100, 16, 44100*9 + 1234}, {48000, 24, 192512 + 7}, {96000, 24, 96000 * 6}, {44100, 16, 300},
	} {
		c := encode(t, source.rate, source.depth, source.samples)
		readers.Check(t, c.dir, &c.manifest)
	}
}
