package decode_test

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/melodyud/melodyud/transcode/decode"
)

// corpus returns the folder of shared test files, or skips.
func corpus(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("MELODYUD_CORPUS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "corpus")
	}
	if _, err := os.Stat(filepath.Join(dir, "manifest.tsv")); err != nil {
		t.Skip("no corpus: set MELODYUD_CORPUS to the folder with manifest.tsv")
	}
	return dir
}

// table reads a tab-separated file with a header line.
func table(t testing.TB, name string) []map[string]string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	keys := strings.Split(lines[0], "\t")
	var rows []map[string]string
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, v := range strings.Split(line, "\t") {
			if i < len(keys) {
				row[keys[i]] = v
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// suiteLimits is what the corpus takes for granted.
var suiteLimits = decode.Limits{MaxDuration: 8 * time.Hour}

// verdicts that differ from the manifest's on purpose, and why.
var ourVerdicts = map[string]string{}

func TestCorpusVerdictsAgree(t *testing.T) {
	t.Parallel()
	dir := corpus(t)
	for _, row := range table(t, filepath.Join(dir, "manifest.tsv")) {
		want := row["expected"]
		if want == "-" || want == "parse" || row["class"] == "coverart-fuzz" || row["class"] == "playlists" {
			continue
		}
		t.Run(row["file"], func(t *testing.T) {
			t.Parallel()
			r := decodeAll(t, decode.Config{Limits: suiteLimits}, openFile(t, filepath.Join(dir, row["file"])))
			t.Logf("%s %s: code=%q samples=%d %+v %q err=%v", want, row["reason"], r.code(), r.facts.Samples, r.facts.Source, r.facts.Warnings, r.err)
			if strings.HasPrefix(r.code(), "error") {
				t.Fatalf("not a refusal: %v", r.err)
			}
			if _, known := ourVerdicts[row["file"]]; known {
				return
			}
			if want == "accept" && r.err != nil || want == "reject" && r.err == nil {
				t.Errorf("want %s (%s), got %q %v", want, row["reason"], r.code(), r.err)
			}
		})
	}
}

func TestCorpusSoundMatchesTheReference(t *testing.T) {
	t.Parallel()
	dir := corpus(t)
	for _, row := range table(t, filepath.Join(dir, "expected", "inventory.tsv")) {
		if row["codec"] == "" || row["ffmpeg_decode_error_lines"] != "0" {
			continue
		}
		t.Run(row["file"], func(t *testing.T) {
			t.Parallel()
			r := decodeAll(t, decode.Config{FFmpeg: "-"}, openFile(t, filepath.Join(dir, row["file"])))
			if r.err != nil {
				t.Skipf("refused: %v", r.err)
			}
			n, _ := strconv.ParseInt(row["ffmpeg_decoded_samples_per_channel"], 10, 64)
			if r.facts.Samples != n {
				t.Errorf("%d samples, ffmpeg %d (%+v)", r.facts.Samples, n, r.facts.Source)
			}
			if !r.facts.Source.Lossless {
				return
			}
			if got := md5OfS32(r.planes); got != row["md5_of_ffmpeg_pcm_s32le"] && !strings.Contains(row["codec"], "pcm_f") {
				t.Errorf("PCM MD5 %s, ffmpeg %s", got, row["md5_of_ffmpeg_pcm_s32le"])
			}
		})
	}
}

// md5OfS32 hashes samples as interleaved 32-bit integers.
func md5OfS32(planes [][]float32) string {
	sum := md5.New()
	var buf []byte
	for i := range planes[0] {
		for _, p := range planes {
			v := math.Max(math.MinInt32, math.Min(math.MaxInt32, float64(p[i])*(1<<31)))
			buf = binary.LittleEndian.AppendUint32(buf, uint32(int32(v)))
		}
		if len(buf) > 1<<16 {
			sum.Write(buf)
			buf = buf[:0]
		}
	}
	sum.Write(buf)
	return hex.EncodeToString(sum.Sum(nil))
}

// TestMP3MatchesTheISOReference compares with the reference PCM of the
// conformance streams (ISO 11172-4): rms below 1 and no more than 2 LSB off, at
// the lag of the decoder the expectation names.
func TestMP3MatchesTheISOReference(t *testing.T) {
	t.Parallel()
	dir := corpus(t)
	for _, row := range table(t, filepath.Join(dir, "expected", "mp3-iso.tsv")) {
		t.Run(row["file"], func(t *testing.T) {
			t.Parallel()
			r := decodeAll(t, decode.Config{FFmpeg: "-"}, openFile(t, filepath.Join(dir, row["file"])))
			if r.err != nil {
				t.Skipf("refused: %v", r.err)
			}
			ref, err := os.ReadFile(strings.TrimSuffix(filepath.Join(dir, row["file"]), ".bit") + ".pcm")
			if err != nil {
				t.Skip(err)
			}
			lag := 0
			_, _ = fmt.Sscanf(row["go-mp3_0.3.4"], "offset %d", &lag)
			if row["reference_samples_per_channel"] == "1152" {
				lag = 0 // one frame only: that lag was found on noise
			}
			for c := range r.planes {
				r.planes[c] = r.planes[c][min(lag, len(r.planes[c])):]
			}
			rms, worst, n := compareS16(r.planes, ref)
			t.Logf("rms %.3f max %.0f of %d samples (ours %d)", rms, worst, n, r.facts.Samples)
			if row["gold_layer3"] == "yes" && (rms > 1 || worst > 2) {
				t.Errorf("rms %.3f, max %.0f", rms, worst)
			}
		})
	}
}

func compareS16(planes [][]float32, ref []byte) (rms, worst float64, n int) {
	channels := len(planes)
	n = min(len(ref)/2/channels, len(planes[0]))
	for i := range n {
		for c := range planes {
			want := float64(int16(binary.LittleEndian.Uint16(ref[2*(i*channels+c):])))
			d := math.Abs(float64(planes[c][i])*32768 - want)
			rms += d * d
			worst = math.Max(worst, d)
		}
	}
	return math.Sqrt(rms / float64(max(1, n*channels))), worst, n
}
