package fingerprint_test

import (
	"context"
	"encoding/binary"
	"io/fs"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/melodyud/melodyud/transcode/features/fingerprint"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// sounding are the folders of the corpus that have sound.
var sounding = []string{
	"aac-clips", "edge", "fingerprint", "flac-real", "flac-testbench", "hostile", "loudness", "mp3-iso", "mp3-real",
	"music", "real-music", "segments", "tags", "tempo-key", "waveform", "wav-odd",
}

// TestEveryItemIsFpcalcs runs every file of the corpus that ffmpeg can read
// through fpcalc.
func TestEveryItemIsFpcalcs(t *testing.T) {
	t.Parallel()
	outside(t)
	root, read := corpus(t), 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !slices.Contains(sounding, strings.Split(strings.TrimPrefix(path, root+"/"), "/")[0]) {
			return err
		}
		mono := decoded(t, path, 11025, 1)
		if len(mono) == 0 {
			return nil
		}
		said := fpcalc(t, mono, 11025, 1, "-raw", "-length", "0")
		if said == "" {
			return nil
		}
		want := numbers(t, said)
		read++
		if got := printed(t, mono, pcm.Format{Rate: 11025, Channels: 1, BitDepth: 16}).Items; got != nil && !slices.Equal(got, want) {
			t.Errorf("%s: %d items, fpcalc has %d; bit error %.4f", path, len(got), len(want), distance(got, want))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if read < 100 {
		t.Errorf("only %d files were read", read)
	}
}

// TestTheRateIsChangedAsFpcalcDoes compares at other rates and in stereo.
func TestTheRateIsChangedAsFpcalcDoes(t *testing.T) {
	t.Parallel()
	outside(t)
	files, err := filepath.Glob(filepath.Join(corpus(t), "music", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, rate := range []int{8000, 22050, 32000, 44100, 48000, 192000} {
		for _, file := range files {
			x := decoded(t, file, rate, 2)
			ours := printed(t, x, pcm.Format{Rate: rate, Channels: 2, BitDepth: 16})
			got, want := ours.Items, numbers(t, fpcalc(t, x, rate, 2, "-raw", "-length", "0"))
			d := distance(got, want)
			t.Logf("%d Hz %s: %d and %d items, bit error %.5f", rate, filepath.Base(file), len(got), len(want), d)
			if d > 0.002 || max(len(got)-len(want), len(want)-len(got)) > 1 {
				t.Errorf("%s at %d Hz: %d items, fpcalc has %d; bit error %.4f", file, rate, len(got), len(want), d)
			}
			if rate == 44100 && ours.Fingerprint.Chromaprint != fpcalc(t, x, rate, 2) {
				t.Errorf("%s: the compressed form is not fpcalc's", file)
			}
		}
	}
}

// outside skips what is long and needs other programs.
func outside(t *testing.T) {
	t.Helper()
	if os.Getenv("MELODYUD_OUTSIDE") != "1" || testing.Short() {
		t.Skip("set MELODYUD_OUTSIDE=1, without -short, to compare with fpcalc; needs libchromaprint-tools and ffmpeg")
	}
	for _, tool := range []string{"fpcalc", "ffmpeg"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
}

func corpus(t *testing.T) string {
	t.Helper()
	root := os.Getenv("MELODYUD_CORPUS")
	if root == "" {
		root = "../../../../shared/corpus"
	}
	if _, err := os.Stat(filepath.Join(root, "fingerprint")); err != nil {
		t.Skip("no corpus: set MELODYUD_CORPUS to its folder")
	}
	return root
}

// decoded returns the sound of a file as ffmpeg has it, interleaved.
func decoded(t *testing.T, path string, rate, channels int) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ffmpeg", "-v", "quiet", "-nostdin", "-protocol_whitelist", "file,pipe", "-i", path, "-map", "0:a:0", "-t", "600",
		"-ac", strconv.Itoa(channels), "-ar", strconv.Itoa(rate), "-f", "s16le", "-").Output()
	if err != nil {
		return nil
	}
	return out
}

// fpcalc returns what it says of 16-bit samples, or nothing.
func fpcalc(t *testing.T, samples []byte, rate, channels int, options ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.wav")
	if err := os.WriteFile(file, append(wavHeader(len(samples), rate, channels), samples...), 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(file)
	// Debian's ends with 3 after all items: it takes the end of the file for an error.
	out, _ := exec.Command("fpcalc", append(options, "-plain", file)...).Output()
	return strings.TrimSpace(string(out))
}

func wavHeader(size, rate, channels int) []byte {
	h := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(36+size))
	h = binary.LittleEndian.AppendUint32(append(h, "WAVEfmt "...), 16)
	h = binary.LittleEndian.AppendUint16(h, 1)
	h = binary.LittleEndian.AppendUint16(h, uint16(channels))
	h = binary.LittleEndian.AppendUint32(h, uint32(rate))
	h = binary.LittleEndian.AppendUint32(h, uint32(2*rate*channels))
	h = binary.LittleEndian.AppendUint16(h, uint16(2*channels))
	h = binary.LittleEndian.AppendUint16(h, 16)
	return binary.LittleEndian.AppendUint32(append(h, "data"...), uint32(size))
}

func numbers(t *testing.T, list string) (items []uint32) {
	t.Helper()
	for _, s := range strings.Split(list, ",") {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, uint32(n))
	}
	return items
}

// printed returns our print of interleaved 16-bit samples.
func printed(t *testing.T, samples []byte, f pcm.Format) fingerprint.Result {
	t.Helper()
	p, err := fingerprint.New(f)
	if err != nil {
		t.Fatal(err)
	}
	b := pcm.Block{Samples: make([][]float32, f.Channels)}
	for i := 0; i+1 < len(samples); i += 2 {
		c := i / 2 % f.Channels
		b.Samples[c] = append(b.Samples[c], float32(int16(binary.LittleEndian.Uint16(samples[i:])))/(1<<15))
	}
	for rest := b; rest.Len() > 0; {
		var head pcm.Block
		head, rest = rest.Cut(4001)
		p.Write(head)
	}
	return p.Result()
}

// distance is the share of bits that differ where both prints have items.
func distance(a, b []uint32) float64 {
	n, wrong := min(len(a), len(b)), 0
	for i := range n {
		wrong += bits.OnesCount32(a[i] ^ b[i])
	}
	return float64(wrong) / float64(max(1, 32*n))
}
