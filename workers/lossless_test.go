package workers_test

import (
	"bytes"
	"crypto/md5"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mewkiz/flac/frame"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/packager/hls"
	"github.com/melodyud/melodyud/transcode"
	"github.com/melodyud/melodyud/workers"
)

// notLossless are the valid files of the test bench that do not come back bit for
// bit, and why.
var notLossless = map[string]string{
	"19 - samplerate 35467Hz.flac": "no grid with 44.1 or 48 kHz: the lossless rendition is resampled",
	"05 - 32bps audio.flac":        "FLAC renditions have 24 bits",
}

// TestSegmentsOfLosslessMastersDecodeToTheMaster renders the FLAC decoder test
// bench and decodes the segments that the stored playlist names with a decoder
// that is not ours.
func TestSegmentsOfLosslessMastersDecodeToTheMaster(t *testing.T) { // section 2.8, item 2
	t.Parallel()
	if testing.Short() {
		t.Skip("renders two minutes of sound")
	}
	root := os.Getenv("MELODYUD_CORPUS")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "corpus")
	}
	raw, err := os.ReadFile(filepath.Join(root, "expected", "flac-testbench.tsv"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no corpus: set MELODYUD_CORPUS to its folder")
	}
	if err != nil {
		t.Fatal(err)
	}
	table := csv.NewReader(bytes.NewReader(raw))
	table.Comma, table.LazyQuotes, table.FieldsPerRecord = '\t', true, -1
	rows, err := table.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	engine, err := transcode.New(transcode.Config{FFmpeg: "-"})
	if err != nil {
		t.Fatal(err)
	}
	exact := 0
	for _, row := range rows[1:] {
		name, depth, sum, valid := row[0], row[3], row[5], row[6] == "ok"
		if !valid || strings.Contains(name, "/faulty/") || notLossless[path.Base(name)] != "" {
			continue
		}
		bits, err := strconv.Atoi(depth)
		if err != nil {
			t.Fatal(err)
		}
		if got := renderedMD5(t, engine, filepath.Join(root, name), bits); got != sum {
			t.Errorf("%s: the segments decode to %s, the file has %s", name, got, sum)
		}
		exact++
	}
	if exact < 24 {
		t.Errorf("only %d files were compared", exact)
	}
}

// renderedMD5 is the MD5 of a FLAC file that was rendered, over samples of the
// given depth, read through the stored playlist.
func renderedMD5(t *testing.T, engine *transcode.Engine, name string, depth int) string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dir := t.TempDir()
	out, err := workers.RenderFile(t.Context(), engine, f, strings.Repeat("0", 64), dir, melodyud.Ladder{{Codec: melodyud.CodecFLAC}}, nil)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return ""
	}
	text, err := os.ReadFile(filepath.Join(dir, hls.PlaylistFile("flac")))
	if err != nil {
		t.Fatal(err)
	}
	list, err := hls.ParseMedia(text)
	if err != nil {
		t.Fatal(err)
	}
	track, err := os.ReadFile(filepath.Join(dir, list.Init.URI))
	if err != nil {
		t.Fatal(err)
	}
	shift := out.Manifest.Renditions[0].BitDepth - depth
	sum := md5.New()
	for _, s := range list.Segments {
		segment := track[s.Offset : s.Offset+s.Length]
		frames := bytes.NewReader(segment[bytes.Index(segment, []byte("mdat"))+4:])
		for {
			block, err := frame.Parse(frames)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			sum.Write(interleaved(block, depth, shift))
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// interleaved gives a frame as FLAC's MD5 has it, after the zero bits below the
// source's depth are taken away.
func interleaved(f *frame.Frame, depth, shift int) []byte {
	out := make([]byte, 0, int(f.BlockSize)*len(f.Subframes)*4)
	for i := range int(f.BlockSize) {
		for _, s := range f.Subframes {
			v := s.Samples[i] >> shift
			for range (depth + 7) / 8 {
				out = append(out, byte(v))
				v >>= 8
			}
		}
	}
	return out
}
