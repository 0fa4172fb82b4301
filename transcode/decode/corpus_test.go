package decode_test

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/melodyud/melodyud/transcode/decode"
)

// corpusFolder is the folder of shared test files, "" when it is not there.
func corpusFolder() string {
	dir := os.Getenv("MELODYUD_CORPUS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "corpus")
	}
	if _, err := os.Stat(filepath.Join(dir, "manifest.tsv")); err != nil {
		return ""
	}
	return dir
}

// corpus returns the folder of shared test files, or skips.
func corpus(t testing.TB) string {
	t.Helper()
	dir := corpusFolder()
	if dir == "" {
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

func TestCorpusVerdictsAgree(t *testing.T) {
	t.Parallel()
	dir := corpus(t)
	for _, row := range table(t, filepath.Join(dir, "manifest.tsv")) {
		want := row["expected"]
		if want == "-" || want == "parse" || row["class"] == "coverart-fuzz" || row["class"] == "playlists" {
			continue
		}
		if testing.Short() && row["class"] == "hostile/decompression-bomb" {
			continue
		}
		t.Run(row["file"], func(t *testing.T) {
			t.Parallel()
			r := decodeAll(t, decode.Config{Limits: suiteLimits}, openFile(t, filepath.Join(dir, row["file"])))
			t.Logf("%s %s: code=%q samples=%d %+v %q err=%v", want, row["reason"], r.code(), r.facts.Samples, r.facts.Source, r.facts.Warnings, r.err)
			if strings.HasPrefix(r.code(), "error") {
				t.Fatalf("not a refusal: %v", r.err)
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
			if !r.facts.Source.Lossless {
				compareWithFFmpeg(t, r, n, filepath.Join(dir, row["file"]))
				return
			}
			if r.facts.Samples != n {
				t.Errorf("%d samples, ffmpeg %d (%+v)", r.facts.Samples, n, r.facts.Source)
			}
			if got := md5OfS32(r.planes); got != row["md5_of_ffmpeg_pcm_s32le"] && !strings.Contains(row["codec"], "pcm_f") {
				t.Errorf("PCM MD5 %s, ffmpeg %s", got, row["md5_of_ffmpeg_pcm_s32le"])
			}
		})
	}
}

// compareWithFFmpeg is a second opinion on lossy sound. ffmpeg does not cut the
// end of AAC, drops 128 samples of some Ogg files and decodes half a frame at the
// end of MP3, so lengths may differ by one frame; the samples may not.
func compareWithFFmpeg(t *testing.T, r result, n int64, name string) {
	t.Helper()
	const frame = 1152
	if d := r.facts.Samples - n; d > frame || d < -frame {
		t.Errorf("%d samples, ffmpeg %d (%+v)", r.facts.Samples, n, r.facts.Source)
	}
	raw, err := exec.Command("ffmpeg", "-v", "quiet", "-i", name, "-map", "0:a:0", "-f", "f32le", "-c:a", "pcm_f32le", "-").Output()
	if err != nil {
		t.Skipf("no second opinion: %v", err)
	}
	if strings.Contains(name, "mp3-iso") {
		return // the ISO's own reference says that ffmpeg is the one in error
	}
	best := math.Inf(-1)
	for _, lag := range []int{0, 128, -128, 1024, -1024, 1105, -1105, 576, -576, 1152, -1152} {
		best = math.Max(best, likeness(r.planes, raw, lag))
	}
	if best < 40 {
		t.Errorf("the difference to ffmpeg is only %.1f dB below the sound", best)
	}
}

// likeness is the level of sound over its difference to interleaved float
// samples that come lag later, in dB; +Inf for silence.
func likeness(planes [][]float32, raw []byte, lag int) float64 {
	var signal, noise float64
	channels := len(planes)
	for i := range planes[0] {
		j := (i + lag) * channels * 4
		if j < 0 || j+4*channels > len(raw) {
			continue
		}
		for c := range planes {
			v := float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[j+4*c:])))
			v = math.Max(-1, math.Min(1, v)) // our decoders of 16 bits clip
			d := v - math.Max(-1, math.Min(1, float64(planes[c][i])))
			signal, noise = signal+v*v, noise+d*d
		}
	}
	if quiet := 1e-6 * float64(len(planes[0])*channels); signal < quiet && noise < quiet {
		return math.Inf(1)
	}
	return 10 * math.Log10(signal/noise)
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
// conformance streams (ISO 11172-4): no sample more than 2 LSB off, which is the
// price of go-mp3's truncation to 16 bits, at the lag the expectation names.
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
			if row["gold_layer3"] == "yes" && (rms > 1.3 || worst > 2) {
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
