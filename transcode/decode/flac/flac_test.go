package flac_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	reference "github.com/mewkiz/flac"
	"github.com/mewkiz/flac/frame"
	"github.com/mewkiz/flac/meta"
	"pgregory.net/rapid"

	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/transcode/decode/flac"
	"github.com/melodyud/melodyud/transcode/encode"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// frames is a sink of coded frames.
type frames struct{ bytes.Buffer }

func (f *frames) WritePacket(p media.Packet) error { f.Write(p.Data); return nil }
func (f *frames) Finish(media.Ending) error        { return nil }

// coded returns the frames that our encoder makes of integers of a depth.
func coded(t testing.TB, ints [][]int32, depth, block int) []byte {
	t.Helper()
	b := pcm.Block{Samples: make([][]float32, len(ints))}
	for c, plane := range ints {
		for _, v := range plane {
			b.Samples[c] = append(b.Samples[c], float32(v)/float32(int(1)<<(depth-1)))
		}
	}
	sink := &frames{}
	enc, err := encode.NewFLAC(media.Stream{SampleRate: 44100, Channels: len(ints), BitDepth: depth, FrameSize: block}, sink)
	if err != nil {
		t.Fatal(err)
	}
	if err := enc.Encode(b); err != nil {
		t.Fatal(err)
	}
	if _, err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	return sink.Bytes()
}

// all decodes to the end.
func all(src io.Reader, info flac.Info) ([][]int32, error) {
	r := flac.NewReader(src, info)
	out := make([][]int32, info.Channels)
	for {
		samples, err := r.Next()
		if err != nil {
			return out, err
		}
		for c, plane := range samples {
			out[c] = append(out[c], plane...)
		}
	}
}

func same(a, b [][]int32) bool {
	for c := range a {
		if len(a[c]) != len(b[c]) {
			return false
		}
		for i, v := range a[c] {
			if b[c][i] != v {
				return false
			}
		}
	}
	return len(a) == len(b)
}

// tune makes integers that call for every kind of subframe.
func tune(rng *rand.Rand, kind, depth, n int) []int32 {
	limit := float64(int(1)<<(depth-1)) - 1
	out := make([]int32, n)
	for i := range out {
		v := 0.0
		switch kind {
		case 1: // linear
			v = 0.6*math.Sin(float64(i)*0.05) + 0.3*math.Sin(float64(i)*0.31+1) + 0.001*rng.NormFloat64()
		case 2: // verbatim
			v = 2*rng.Float64() - 1
		case 3: // fixed, wasted bits
			v = float64(i/7%64) * 4 / limit
		case 4: // long Rice codes
			if rng.IntN(500) == 0 {
				v = rng.Float64()
			}
		}
		out[i] = int32(min(max(math.Round(v*limit), -limit-1), limit))
	}
	return out
}

func TestFramesGiveBackEveryBit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		depth := rapid.SampledFrom([]int{8, 12, 16, 20, 24}).Draw(rt, "depth")
		channels := rapid.IntRange(1, 8).Draw(rt, "channels")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		n := rapid.IntRange(1, 9000).Draw(rt, "samples")
		var ints [][]int32
		for range channels {
			ints = append(ints, tune(rng, rapid.IntRange(0, 4).Draw(rt, "kind"), depth, n))
		}
		src := io.Reader(bytes.NewReader(coded(t, ints, depth, rapid.SampledFrom([]int{16, 192, 4096, 4608}).Draw(rt, "block"))))
		if rapid.Bool().Draw(rt, "in drips") {
			src = iotest.OneByteReader(src)
		}
		got, err := all(src, flac.Info{Rate: 44100, Channels: channels, Depth: depth})
		if err != io.EOF {
			rt.Fatal(err)
		}
		if !same(ints, got) {
			rt.Fatal("other samples come back")
		}
	})
}

func TestEveryCutIsAnUnexpectedEnd(t *testing.T) {
	t.Parallel()
	file := coded(t, [][]int32{tune(rand.New(rand.NewPCG(1, 2)), 1, 16, 300)}, 16, 4096)
	for n := range file {
		_, err := all(bytes.NewReader(file[:n]), flac.Info{Rate: 44100, Channels: 1, Depth: 16})
		if want := map[bool]error{true: io.EOF, false: io.ErrUnexpectedEOF}[n == 0]; err != want {
			t.Fatalf("cut to %d bytes: %v, want %v", n, err, want)
		}
	}
	broken := errors.New("the disk is gone")
	src := io.MultiReader(bytes.NewReader(file[:200]), iotest.ErrReader(broken))
	if _, err := all(src, flac.Info{Rate: 44100, Channels: 1, Depth: 16}); err != broken {
		t.Errorf("a failing source gives %v", err)
	}
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	file := coded(t, [][]int32{tune(rng, 1, 16, 200), tune(rng, 2, 16, 200)}, 16, 4096)
	for bit := range 8 * len(file) {
		bad := bytes.Clone(file)
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := all(bytes.NewReader(bad), flac.Info{Rate: 44100, Channels: 2, Depth: 16}); err == io.EOF {
			t.Fatalf("bit %d may be wrong", bit)
		}
	}
}

func TestFramesOfAnotherFormatAreNamed(t *testing.T) {
	t.Parallel()
	file := coded(t, [][]int32{{1, 2, 3}}, 16, 4096)
	for _, info := range []flac.Info{{Rate: 48000, Channels: 1, Depth: 16}, {Rate: 44100, Channels: 2, Depth: 16}} {
		if _, err := all(bytes.NewReader(file), info); !errors.Is(err, flac.ErrFormat) {
			t.Errorf("%+v: %v", info, err)
		}
	}
	if _, err := all(bytes.NewReader(file), flac.Info{Rate: 44100, Channels: 1, Depth: 20}); err == io.EOF || errors.Is(err, flac.ErrFormat) {
		t.Errorf("another depth: %v", err)
	}
}

// zeros are without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestAFrameWithoutEndIsGivenUp(t *testing.T) {
	t.Parallel()
	fixed := resummed(1, []byte{0b0001_0000, 0, 0, 0}) // order 0, Rice: a code of zeros
	endless := io.MultiReader(bytes.NewReader(fixed[:len(fixed)-2]), zeros{})
	_, err := all(endless, flac.Info{Rate: 44100, Channels: 2, Depth: 16})
	if err == nil || err == io.EOF || err == io.ErrUnexpectedEOF {
		t.Errorf("%v", err)
	}
}

// byReference decodes with an independent decoder.
func byReference(src io.Reader, info flac.Info) ([][]int32, error) {
	out := make([][]int32, info.Channels)
	for {
		f, err := frame.New(src)
		if err != nil {
			return out, err
		}
		if f.BitsPerSample == 0 {
			f.BitsPerSample = uint8(info.Depth)
		}
		if f.Channels.Count() != info.Channels || int(f.BitsPerSample) != info.Depth || f.BlockSize == 0 {
			return out, flac.ErrFormat
		}
		if f.SampleRate != 0 && int(f.SampleRate) != info.Rate {
			return out, flac.ErrFormat
		}
		if err := f.Parse(); err != nil {
			return out, err
		}
		for c, sub := range f.Subframes {
			out[c] = append(out[c], sub.Samples...)
		}
	}
}

// FuzzTwoDecodersAgree: what both take, they take alike. Since checksums make random
// bytes rare in a decoder, the same bytes are also tried as the body of frames whose
// sums are right.
func FuzzTwoDecodersAgree(f *testing.F) {
	rng := rand.New(rand.NewPCG(3, 4))
	for kind := range 5 {
		frame := coded(f, [][]int32{tune(rng, kind, 16, 64), tune(rng, kind, 16, 64)}, 16, 64)
		f.Add(frame)
		f.Add(frame[7 : len(frame)-2]) // the header of 64 samples is 7 bytes long
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		info := flac.Info{Rate: 44100, Channels: 2, Depth: 16}
		compare(t, b, info)
		for _, assignment := range []byte{1, 8, 9, 10} { // independent and joined
			compare(t, resummed(assignment, b), info)
		}
	})
}

func compare(t *testing.T, b []byte, info flac.Info) {
	t.Helper()
	ours, err := all(bytes.NewReader(b), info)
	if err == nil {
		t.Fatal("no end")
	}
	theirs, _ := byReference(bytes.NewReader(b), info)
	for c := range ours {
		n := min(len(ours[c]), len(theirs[c]))
		if !same([][]int32{ours[c][:n]}, [][]int32{theirs[c][:n]}) {
			t.Fatal("two decoders differ")
		}
	}
}

// resummed is a frame of 64 samples with the checksums it needs.
func resummed(assignment byte, body []byte) []byte {
	b := []byte{0xFF, 0xF8, 0x69, assignment<<4 | 0x08, 0, 63}
	b = append(b, flac.CRC8(b))
	b = append(b, body...)
	sum := uint16(0)
	for _, v := range b {
		sum ^= uint16(v) << 8
		for range 8 {
			sum = sum<<1 ^ sum>>15*0x8005
		}
	}
	return append(b, byte(sum>>8), byte(sum))
}

// TestCorpusDecodesAsTheReferenceSays reads what the world's encoders make.
func TestCorpusDecodesAsTheReferenceSays(t *testing.T) {
	t.Parallel()
	root := os.Getenv("MELODYUD_CORPUS")
	if root == "" {
		root = filepath.Join("..", "..", "..", "..", "shared", "corpus")
	}
	files, err := filepath.Glob(filepath.Join(root, "flac-testbench", "subset", "*.flac"))
	if err != nil || len(files) == 0 {
		t.Skip("no corpus")
	}
	if testing.Short() {
		files = files[:3]
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			body, info := opened(t, name)
			ours, err := all(bytes.NewReader(body), info)
			theirs, theirErr := byReference(bytes.NewReader(body), info)
			if err != io.EOF || theirErr != io.EOF || !same(ours, theirs) {
				t.Errorf("%d samples, %v; the reference: %d, %v", len(ours[0]), err, len(theirs[0]), theirErr)
			}
		})
	}
}

// opened returns the frames of a file.
func opened(t testing.TB, name string) ([]byte, flac.Info) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	src := bytes.NewReader(b)
	s, err := reference.Parse(src)
	if err != nil {
		t.Fatal(err)
	}
	at := 4
	for last := false; !last; {
		last = b[at]&0x80 != 0
		at += 4 + int(b[at+1])<<16 + int(b[at+2])<<8 + int(b[at+3])
	}
	return b[at:], infoOf(s.Info)
}

func infoOf(s *meta.StreamInfo) flac.Info {
	return flac.Info{Rate: int(s.SampleRate), Channels: int(s.NChannels), Depth: int(s.BitsPerSample)}
}

// BenchmarkReader decodes music of our encoder, and with an independent decoder
// the same: seconds of sound per second of each.
func BenchmarkReader(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	const seconds = 10
	file := coded(b, [][]int32{tune(rng, 1, 16, 44100*seconds), tune(rng, 1, 16, 44100*seconds)}, 16, 4096)
	info := flac.Info{Rate: 44100, Channels: 2, Depth: 16}
	for name, decode := range map[string]func(io.Reader, flac.Info) ([][]int32, error){"ours": all, "mewkiz": byReference} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := decode(bytes.NewReader(file), info); err != io.EOF {
					b.Fatal(err)
				}
			}
			b.ReportMetric(seconds*float64(b.N)/b.Elapsed().Seconds(), "x-realtime")
		})
	}
}
