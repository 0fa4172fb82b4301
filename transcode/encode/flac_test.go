package encode_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/mewkiz/flac"
	"pgregory.net/rapid"

	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/transcode/encode"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// recorder keeps what a sink is given.
type recorder struct {
	packets [][]byte
	samples []int
}

func (r *recorder) WritePacket(p media.Packet) error {
	r.packets = append(r.packets, bytes.Clone(p.Data))
	r.samples = append(r.samples, p.Samples)
	return nil
}

func (r *recorder) Finish(media.Ending) error { return nil }

// native returns a FLAC file of the recorded frames.
func (r *recorder) native(e media.Ending) []byte {
	file := append([]byte("fLaC\x80\x00\x00\x22"), e.Config...)
	return append(file, bytes.Join(r.packets, nil)...)
}

// signal makes integers of a depth with the given character.
func signal(rng *rand.Rand, character, depth, n int) []int32 {
	limit := float64(int(1)<<(depth-1)) - 1
	out := make([]int32, n)
	walk := 0.0
	for i := range out {
		v := 0.0
		switch character {
		case 1: // music-like: predictable
			v = 0.6*math.Sin(float64(i)*0.05) + 0.3*math.Sin(float64(i)*0.31+1) + 0.001*rng.NormFloat64()
		case 2: // white noise
			v = 2*rng.Float64() - 1
		case 3: // full-scale square wave: the worst case of the side channel
			v = float64(1 - 2*(i/7%2))
		case 4: // quiet, with wasted bits
			v = float64(rng.IntN(5)-2) * 4 / limit
		case 5:
			walk += rng.NormFloat64() * 0.003
			v = walk
		case 6: // extremes at random
			v = float64(rng.IntN(3) - 1)
		}
		out[i] = int32(min(max(math.Round(v*limit), -limit-1), limit))
	}
	return out
}

func asBlock(channels [][]int32, depth int) pcm.Block {
	b := pcm.Block{}
	for _, ints := range channels {
		f := make([]float32, len(ints))
		for i, v := range ints {
			f[i] = float32(float64(v) / float64(int(1)<<(depth-1)))
		}
		b.Samples = append(b.Samples, f)
	}
	return b
}

func encodeFLAC(t testing.TB, s media.Stream, b pcm.Block, cut int) (*recorder, media.Ending) {
	t.Helper()
	rec := &recorder{}
	enc, err := encode.NewFLAC(s, rec)
	if err != nil {
		t.Fatal(err)
	}
	for b.Len() > 0 {
		var head pcm.Block
		head, b = b.Cut(cut)
		if err := enc.Encode(head); err != nil {
			t.Fatal(err)
		}
	}
	end, err := enc.Close()
	if err != nil {
		t.Fatal(err)
	}
	return rec, end
}

func sumOf(channels [][]int32, depth int) string {
	h := md5.New()
	for i := range channels[0] {
		for _, c := range channels {
			for k := range (depth + 7) / 8 {
				h.Write([]byte{byte(c[i] >> (8 * k))})
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func TestFLACGivesBackEveryBit(t *testing.T) { // FLAC-1, FLAC-2, GAP-5
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		depth := rapid.SampledFrom([]int{8, 12, 16, 20, 24}).Draw(t, "depth")
		channels := rapid.IntRange(1, 8).Draw(t, "channels")
		rate := rapid.SampledFrom([]int{4000, 8000, 11025, 22050, 37800, 44100, 48000, 65535, 96000, 176400, 192000, 110250}).Draw(t, "rate")
		block := rapid.SampledFrom([]int{2304, 4096, 4608, 3675, 2400}).Draw(t, "block")
		n := rapid.IntRange(1, 3*block).Draw(t, "samples")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		var ints [][]int32
		for range channels {
			ints = append(ints, signal(rng, rapid.IntRange(0, 6).Draw(t, "character"), depth, n))
		}
		if channels == 2 && rapid.Bool().Draw(t, "alike") {
			for i := range ints[1] {
				ints[1][i] = ints[0][i] + int32(i%2)*min(1, 1<<(depth-1)-1-ints[0][i])
			}
		}
		s := media.Stream{SampleRate: rate, Channels: channels, BitDepth: depth, FrameSize: block}
		rec := &recorder{}
		enc, err := encode.NewFLAC(s, rec)
		if err != nil {
			t.Fatal(err)
		}
		if err := enc.Encode(asBlock(ints, depth)); err != nil {
			t.Fatal(err)
		}
		end, err := enc.Close()
		if err != nil {
			t.Fatal(err)
		}
		checkDecodes(t, rec.native(end), ints, s)
		if want := sumOf(ints, depth); end.PCMMD5 != want {
			t.Fatalf("MD5 %s, want %s", end.PCMMD5, want)
		}
	})
}

type failer interface {
	Helper()
	Fatalf(string, ...any)
}

func checkDecodes(t failer, file []byte, want [][]int32, s media.Stream) {
	t.Helper()
	dec, err := flac.New(bytes.NewReader(file))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	info := dec.Info
	if int(info.BlockSizeMin) != s.FrameSize || int(info.BlockSizeMax) != s.FrameSize || int(info.SampleRate) != s.SampleRate ||
		int(info.NChannels) != s.Channels || int(info.BitsPerSample) != s.BitDepth || int(info.NSamples) != len(want[0]) {
		t.Fatalf("STREAMINFO %+v", info)
	}
	at := 0
	for number := uint64(0); ; number++ {
		f, err := dec.ParseNext()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("frame %d: %v", number, err)
		}
		if f.Num != number || !f.HasFixedBlockSize {
			t.Fatalf("frame %d is numbered %d", number, f.Num)
		}
		for c, sub := range f.Subframes {
			for i, v := range sub.Samples {
				if v != want[c][at+i] {
					t.Fatalf("channel %d sample %d: %d, want %d", c, at+i, v, want[c][at+i])
				}
			}
		}
		at += len(f.Subframes[0].Samples)
	}
	if at != len(want[0]) {
		t.Fatalf("%d samples, want %d", at, len(want[0]))
	}
}

func TestFLACDecodesWithFFmpeg(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long; left out by -short")
	}
	t.Parallel()
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("ffmpeg is not installed")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, depth := range []int{8, 16, 24} {
		for _, channels := range []int{1, 2, 6} {
			var ints [][]int32
			for c := range channels {
				ints = append(ints, signal(rng, c+1, depth, 600_000)) // over 128 frames: numbers of two bytes
			}
			rec, end := encodeFLAC(t, media.Stream{SampleRate: 48000, Channels: channels, BitDepth: depth, FrameSize: 4096}, asBlock(ints, depth), 5000)
			path := filepath.Join(t.TempDir(), "x.flac")
			if err := os.WriteFile(path, rec.native(end), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(ffmpeg, "-v", "error", "-xerror", "-err_detect", "crccheck+bitstream+explode", "-i", path, "-f", "s32le", "-").CombinedOutput()
			if err != nil {
				t.Fatalf("%d bits, %d channels: %v %s", depth, channels, err, out[:min(len(out), 300)])
			}
			if got, want := hex.EncodeToString(md5s(out)), sumOf32(ints, depth); got != want {
				t.Errorf("%d bits, %d channels: ffmpeg decodes something else", depth, channels)
			}
		}
	}
}

func md5s(p []byte) []byte { s := md5.Sum(p); return s[:] }

func sumOf32(channels [][]int32, depth int) string {
	wide := make([][]int32, len(channels))
	for c := range channels {
		for _, v := range channels[c] {
			wide[c] = append(wide[c], v<<(32-depth))
		}
	}
	return sumOf(wide, 32)
}
