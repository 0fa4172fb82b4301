package decode_test

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/melodyud/melodyud/transcode/decode"
	"github.com/melodyud/melodyud/transcode/pcm"
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

// What each file of the corpus may cost its child.
const (
	corpusTime   = 10 * time.Second // of processor, whatever the machine is busy with
	corpusMemory = 256 << 20        // bytes resident
)

// goldenVerdicts and policies are tables beside this file: what was decided for
// each file, and why, where the corpus leaves the choice to us.
const (
	goldenVerdicts = "testdata/verdicts.tsv"
	policies       = "testdata/policies.tsv"
)

var update = flag.Bool("update", false, "write "+goldenVerdicts+" anew")

// TestEveryFileOfTheCorpusGetsItsVerdict: accepted or refused as its manifest
// demands, as decided in the table where it leaves that open, and cheaply.
func TestEveryFileOfTheCorpusGetsItsVerdict(t *testing.T) {
	t.Parallel()
	dir := corpus(t)
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed: the table is for servers that have it")
	}
	rows := table(t, filepath.Join(dir, "manifest.tsv"))
	var lines sync.Map
	t.Run("files", func(t *testing.T) {
		for _, row := range rows {
			if !isSound(row) || testing.Short() && row["class"] == "hostile/decompression-bomb" {
				continue
			}
			t.Run(row["file"], func(t *testing.T) {
				t.Parallel()
				lines.Store(row["file"], judged(t, dir, row))
			})
		}
	})
	if !testing.Short() && !t.Failed() {
		compareVerdicts(t, rows, &lines)
	}
}

// isSound tells the files that are for decoders from playlists and references.
func isSound(row map[string]string) bool {
	return row["expected"] != "-" && row["expected"] != "parse" && row["class"] != "coverart-fuzz" && row["class"] != "playlists"
}

// judged decodes one file and returns its line of the table: code and samples.
func judged(t *testing.T, dir string, row map[string]string) string {
	s, err := decode.Start(t.Context(), decode.Config{Limits: suiteLimits}, openFile(t, filepath.Join(dir, row["file"])))
	samples, warnings := int64(0), 0
	for err == nil {
		var b pcm.Block
		b, err = s.Read()
		samples += int64(b.Len())
	}
	if s != nil {
		warnings = len(s.Facts().Warnings)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if cpu, memory := s.Cost(); cpu > corpusTime || memory > corpusMemory {
			t.Errorf("took %s and %d MiB", cpu, memory>>20)
		}
	}
	verdict := "accept"
	if err != io.EOF {
		verdict, samples = (result{err: err}).code(), 0
	}
	if strings.HasPrefix(verdict, "error") {
		t.Errorf("not a refusal: %v", err)
	}
	if want := row["expected"]; want == "accept" && verdict != "accept" || want == "reject" && verdict == "accept" {
		t.Errorf("want %s (%s), got %s %v", want, row["reason"], verdict, err)
	}
	if warnings > 0 && verdict == "accept" {
		verdict = "warn"
	}
	return fmt.Sprintf("%s\t%d", verdict, samples)
}

// compareVerdicts holds the verdicts against the tables.
func compareVerdicts(t *testing.T, rows []map[string]string, lines *sync.Map) {
	var got strings.Builder
	got.WriteString("file\tverdict\tsamples\n")
	why := map[string]string{}
	for _, p := range table(t, policies) {
		why[p["question"]+"\t"+p["verdict"]] = p["why"]
	}
	for _, row := range rows {
		line, ok := lines.Load(row["file"])
		if !ok {
			continue
		}
		fmt.Fprintf(&got, "%s\t%s\n", row["file"], line)
		verdict, _, _ := strings.Cut(line.(string), "\t")
		if open := row["expected"] == "policy" || row["expected"] == "either"; open && why[row["reason"]+"\t"+verdict] == "" {
			t.Errorf("%s: nobody has written down why this is %q: add a row to %s for %q", row["file"], verdict, policies, row["reason"])
		}
	}
	if *update {
		if err := os.WriteFile(goldenVerdicts, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenVerdicts)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("verdicts have changed; if that is right, write the table anew with -update (-want +got):\n%s", diff)
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

// notTheReference are conformance streams that do not decode to theirs, and why.
var notTheReference = map[string]string{
	"mp3-iso/l3-nonstandard-compl-sideinfo-blocktype.bit": "broken side information: decoders agree with each other, the reference is of the stream before it was broken",
}

// TestMP3MatchesTheISOReference compares with the reference PCM of the conformance
// streams of all layers (ISO 11172-4, 13818-4): no sample more than 2 LSB off,
// which is the price of go-mp3's truncation to 16 bits, at the lag the expectation
// names. Streams that are not for our decoder go through the converter.
func TestMP3MatchesTheISOReference(t *testing.T) {
	t.Parallel()
	dir := corpus(t)
	for _, row := range table(t, filepath.Join(dir, "expected", "mp3-iso.tsv")) {
		t.Run(row["file"], func(t *testing.T) {
			t.Parallel()
			r := decodeAll(t, decode.Config{}, openFile(t, filepath.Join(dir, row["file"])))
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
			if why := notTheReference[row["file"]]; why != "" {
				t.Skip(why)
			}
			if rms > 1.3 || worst > 2 {
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
