package packager_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mewkiz/flac/frame"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/packager"
	"github.com/melodyud/melodyud/packager/packagertest"
)

// byMewkiz decodes frames; change sees every one.
func byMewkiz(change func([][]int32) [][]int32) packager.Decoder {
	return func(src io.Reader, _, _, _ int) func() ([][]int32, error) {
		return func() ([][]int32, error) {
			f, err := frame.Parse(src)
			if err != nil {
				return nil, err
			}
			var block [][]int32
			for _, s := range f.Subframes {
				block = append(block, s.Samples)
			}
			return change(block), nil
		}
	}
}

func TestLosslessIsProvenByDecodingWhatWasStored(t *testing.T) { // section 2.8, item 2
	t.Parallel()
	same := func(block [][]int32) [][]int32 { return block }
	for _, source := range []struct{ rate, depth, samples int }{
		{44100, 16, 50_000}, {8000, 8, 9001}, {96000, 24, 100_001}, {192000, 24, 4097}, {48000, 20, 1},
	} {
		c := encode(t, source.rate, source.depth, source.samples)
		if err := packager.Prove(context.Background(), opener(c.dir), &c.manifest, byMewkiz(same)); err != nil {
			t.Errorf("%+v: %v", source, err)
		}
	}
}

func TestOneWrongSampleIsNotLossless(t *testing.T) {
	t.Parallel()
	c := encode(t, 44100, 24, 50_000)
	for name, change := range map[string]struct {
		change func([][]int32) [][]int32
		want   string
	}{
		"other sample":  {func(b [][]int32) [][]int32 { b[1][len(b[1])-1] ^= 1; return b }, "decode to samples of MD5"},
		"other byte":    {func(b [][]int32) [][]int32 { b[0][0] ^= 1 << 23; return b }, "decode to samples of MD5"},
		"sides swapped": {func(b [][]int32) [][]int32 { b[0], b[1] = b[1], b[0]; return b }, "decode to samples of MD5"},
		"short frames":  {func(b [][]int32) [][]int32 { return [][]int32{b[0][1:], b[1][1:]} }, "samples too few"},
	} {
		err := packager.Prove(context.Background(), opener(c.dir), &c.manifest, byMewkiz(change.change))
		if err == nil || !strings.HasPrefix(err.Error(), "verify flac.mp4: ") || !strings.Contains(err.Error(), change.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := errors.New("broken frame")
	err := packager.Prove(context.Background(), opener(c.dir), &c.manifest, func(io.Reader, int, int, int) func() ([][]int32, error) {
		return func() ([][]int32, error) { return nil, broken }
	})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "segment 0") {
		t.Error(err)
	}
}

func TestEveryChangedByteOfAPackageIsFound(t *testing.T) { // of every kind of file, wherever it lies
	t.Parallel()
	dir := t.TempDir()
	ladder, err := melodyud.ParseLadder("aac-64,flac")
	if err != nil {
		t.Fatal(err)
	}
	m := packagertest.Build(t, dir, packagertest.Track{Samples: 44100 * 3, Ladder: ladder, Loudness: melodyud.Loudness{Integrated: new(-14.0)}})
	for _, name := range names(t, dir) {
		path := filepath.Join(dir, name)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		step := max(1, len(good)/41)
		for at := 0; at < len(good); at += step {
			bad := append([]byte(nil), good...)
			bad[at] ^= 0x10
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := packager.Verify(context.Background(), opener(dir), &m); err == nil {
				t.Errorf("%s: byte %d of %d changed from %q to %q unnoticed", name, at, len(good), good[at], bad[at])
			}
		}
		for _, cut := range []int{0, 1, len(good) / 3, len(good) - 1} {
			if err := os.WriteFile(path, good[:cut], 0o600); err != nil {
				t.Fatal(err)
			}
			if err := packager.Verify(context.Background(), opener(dir), &m); err == nil {
				t.Errorf("%s: cut to %d of %d bytes unnoticed", name, cut, len(good))
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := packager.Verify(context.Background(), opener(dir), &m); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: its absence: %v", name, err)
		}
		if err := os.WriteFile(path, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
