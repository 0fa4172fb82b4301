package packager_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/packager"
)

// run starts an outside program, which must print no word of warning.
func run(t *testing.T, program string, args ...string) []byte {
	t.Helper()
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil || complaints.Len() != 0 {
		t.Fatalf("%s %v: %v\n%s", program, args, err, complaints.Bytes())
	}
	return out.Bytes()
}

func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
}

// withoutIndex is what an HLS player puts together: init and segments.
func withoutIndex(t *testing.T, dir string, r *melodyud.Rendition) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, r.File))
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), r.File)
	joined := append(bytes.Clone(b[:r.InitSize]), b[r.InitSize+r.IndexSize:]...)
	if err := os.WriteFile(name, joined, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestFFmpegDecodesTracksWithoutAWarning(t *testing.T) { // section 2.8, items 2 and 3
	t.Parallel()
	needs(t, "ffmpeg", "ffprobe")
	for _, source := range []struct{ rate, depth, samples int }{
		{44100, 16, 44100*5 + 1234},
		{48000, 24, 94208 + 7},
		{96000, 24, 96000 * 2},
		{176400, 16, 180225},
		{44100, 16, 300},
	} {
		c := encode(t, source.rate, source.depth, source.samples, 96)
		if err := packager.Verify(context.Background(), opener(c.dir), &c.manifest); err != nil {
			t.Fatal(err)
		}
		for i := range c.manifest.Renditions {
			r := &c.manifest.Renditions[i]
			for _, file := range []string{filepath.Join(c.dir, r.File), withoutIndex(t, c.dir, r)} {
				if r.Codec == melodyud.CodecFLAC {
					checkFLAC(t, file, r)
				} else {
					checkAAC(t, file, r, c.pcm[0])
				}
			}
		}
	}
}

func checkFLAC(t *testing.T, file string, r *melodyud.Rendition) {
	t.Helper()
	pcm := run(t, "ffmpeg", "-v", "warning", "-i", file, "-f", "s"+strconv.Itoa(r.BitDepth)+"le", "-")
	if sum := md5.Sum(pcm); hex.EncodeToString(sum[:]) != r.PCMMD5 {
		t.Errorf("%s: ffmpeg decodes %d bytes of MD5 %x, the source has %s", file, len(pcm), sum, r.PCMMD5)
	}
	probe := string(run(t, "ffprobe", "-v", "warning", "-of", "csv=p=0", "-show_entries", "stream=codec_name,sample_rate,channels", file))
	if want := "flac," + strconv.Itoa(r.SampleRate) + ",2"; strings.TrimSpace(probe) != want {
		t.Errorf("%s: ffprobe says %q instead of %q", file, probe, want)
	}
}

// checkAAC decodes and looks for the source where the edit list says it begins.
func checkAAC(t *testing.T, file string, r *melodyud.Rendition, want []float32) {
	t.Helper()
	pcm := run(t, "ffmpeg", "-v", "warning", "-i", file, "-f", "f32le", "-")
	got := make([]float32, len(pcm)/8) // the left channel
	for i := range got {
		got[i] = math.Float32frombits(binary.LittleEndian.Uint32(pcm[8*i:]))
	}
	// ffmpeg honours neither the edit list nor the shortened last packet here (GAP-4).
	if decoded := r.EncoderDelay + r.Samples + r.EndPadding; int64(len(got)) != decoded {
		t.Fatalf("%s: ffmpeg decodes %d samples, the packets hold %d", file, len(got), decoded)
	}
	best, at := math.Inf(-1), 0
	for lag := -64; lag <= 64; lag++ {
		sum := 0.0
		for i, w := range want[:min(len(want), int(r.SampleRate))] {
			if j := int(r.EncoderDelay) + i + lag; j < len(got) {
				sum += float64(w) * float64(got[j])
			}
		}
		if sum > best {
			best, at = sum, lag
		}
	}
	if at < -1 || at > 1 {
		t.Errorf("%s: the source lies %d samples off", file, at)
	}
}
