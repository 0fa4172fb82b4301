package transcode_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// TestMachinesAgree renders in processes that take away vectors step by step: a
// render's name stands for its bytes, whatever machine made them.
func TestMachinesAgree(t *testing.T) {
	if os.Getenv("MELODYUD_MACHINE") != "" {
		for _, rate := range []int{44100, 96000, 44056} {
			fmt.Printf("DIGEST %d %s\n", rate, digestAt(t, rate))
		}
		return
	}
	if testing.Short() {
		t.Skip("takes long; left out by -short")
	}
	t.Parallel()
	var first []byte
	for _, without := range []string{"", "avx512", "avx512,fma", "all"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestMachinesAgree$")
		cmd.Env = append(os.Environ(), "MELODYUD_MACHINE=1", "SIMD_DISABLE="+without)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		digests := bytes.Join(bytes.FieldsFunc(out, func(r rune) bool { return r == '\n' })[:3], []byte("\n"))
		if !bytes.HasPrefix(digests, []byte("DIGEST")) {
			t.Fatalf("the helper says %s", out)
		}
		if first == nil {
			first = digests
		}
		if !bytes.Equal(first, digests) {
			t.Errorf("without %q the same sound gives\n%s\ninstead of\n%s", without, digests, first)
		}
	}
}

// digestAt is of everything that a render of a second makes.
func digestAt(t *testing.T, rate int) string {
	t.Helper()
	sound := [][]float32{chord(rate, rate, 0), chord(rate, rate, 1)}
	var s shelf
	rep, err := engine(t, play(pcm.Format{Rate: rate, Channels: 2}, sound, 8192), transcode.Config{}).
		Render(t.Context(), nil, transcode.Job{Ladder: melodyud.DefaultLadder(), Open: s.open})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s %x %v %v %v", s.digest(), sha256.Sum256(rep.Waveform),
		*rep.Loudness.Integrated, *rep.Loudness.TruePeak, *rep.Loudness.SamplePeak)
}
