package encode_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os/exec"
	"slices"
	"testing"

	goaac "github.com/tphakala/go-aac"
	aacpcm "github.com/tphakala/go-aac/pcm"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/transcode/aac"
	"github.com/melodyud/melodyud/transcode/encode"
	"github.com/melodyud/melodyud/transcode/pcm"
	"github.com/melodyud/melodyud/transcode/pcm/pcmtest"
)

func code(t testing.TB, enc encode.Encoder, b pcm.Block, cut int) media.Ending {
	t.Helper()
	defer enc.Abort()
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
	return end
}

// codeAAC codes b at several bit rates from one analysis.
func codeAAC(t testing.TB, s media.Stream, b pcm.Block, cut int, sinks map[int]media.Sink) (ending media.Ending) {
	t.Helper()
	analysis, err := encode.NewAnalysis(s)
	if err != nil {
		t.Fatal(err)
	}
	var coders []*encode.AAC
	for s.Bitrate = range sinks {
		coder, err := encode.NewAAC(s, sinks[s.Bitrate])
		if err != nil {
			t.Fatal(err)
		}
		coders = append(coders, coder)
	}
	var frame aac.Frame
	turn := func() error {
		for analysis.Next(&frame) {
			for _, c := range coders {
				if err := c.Code(&frame); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for b.Len() > 0 {
		var head pcm.Block
		head, b = b.Cut(cut)
		err = errors.Join(err, analysis.Write(head, turn))
	}
	analysis.Close()
	err = errors.Join(err, turn())
	for _, c := range coders {
		end, closing := c.Close(analysis.Samples())
		ending, err = end, errors.Join(err, closing)
	}
	if err != nil {
		t.Fatal(err)
	}
	return ending
}

// decoded returns what an independent decoder makes of recorded access units.
func decoded(t testing.TB, s media.Stream, rec *recorder) [][]float32 {
	t.Helper()
	var adts []byte
	for _, p := range rec.packets {
		var err error
		if adts, err = goaac.AppendADTSHeader(adts, s.SampleRate, s.Channels, len(p)); err != nil {
			t.Fatal(err)
		}
		adts = append(adts, p...)
	}
	dec, err := aacpcm.NewDecoder(bytes.NewReader(adts))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(dec)
	if err != nil {
		t.Fatal(err)
	}
	out := make([][]float32, s.Channels)
	for i := 0; i+2 <= len(raw); i += 2 {
		c := i / 2 % s.Channels
		out[c] = append(out[c], float32(int16(binary.LittleEndian.Uint16(raw[i:])))/32768)
	}
	return out
}

func TestAccessUnitsCoverPrimingAndEverySample(t *testing.T) { // GAP-1, GAP-3
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s := media.Stream{
			SampleRate: rapid.SampledFrom([]int{44100, 48000}).Draw(rt, "rate"),
			Channels:   rapid.IntRange(1, 2).Draw(rt, "channels"),
		}
		n := rapid.IntRange(1, 6000).Draw(rt, "samples")
		var b pcm.Block
		for c := range s.Channels {
			b.Samples = append(b.Samples, pcmtest.Sine(s.SampleRate, 440, 0.5, float64(c), n))
		}
		rec := &recorder{}
		bitrate := rapid.SampledFrom([]int{16000, 64000, 320000}).Draw(rt, "bitrate")
		end := codeAAC(t, s, b, rapid.IntRange(1, 3000).Draw(rt, "cut"), map[int]media.Sink{bitrate: rec})
		if end.Samples != int64(n) || len(rec.packets) != (1024+n+1023)/1024 {
			rt.Fatalf("%d samples: ending %d, %d units", n, end.Samples, len(rec.packets))
		}
		if len(end.Config) != 2 || end.Config[0]>>3 != 2 || int(end.Config[1]>>3&15) != s.Channels {
			rt.Fatalf("AudioSpecificConfig % x", end.Config)
		}
		if got := len(decoded(t, s, rec)[0]); got != 1024*len(rec.packets) {
			rt.Fatalf("%d samples decoded from %d units", got, len(rec.packets))
		}
	})
}

func TestEveryBitRateKeepsTheSound(t *testing.T) {
	t.Parallel()
	tapes, sinks := map[int]*recorder{}, map[int]media.Sink{}
	for _, bitrate := range []int{64000, 96000, 160000, 256000} {
		tapes[bitrate] = &recorder{}
		sinks[bitrate] = tapes[bitrate]
	}
	s := media.Stream{SampleRate: 44100, Channels: 2}
	x := pcmtest.Sine(44100, 997, 0.5, 0, 44100)
	codeAAC(t, s, pcm.Block{Samples: [][]float32{x, x}}, 4096, sinks)
	for bitrate, rec := range tapes {
		got := decoded(t, s, rec)[1][1024:]
		noise, signal := 0.0, 0.0
		for i, v := range x[4096:40000] {
			noise += math.Pow(float64(v-got[i+4096]), 2)
			signal += float64(v) * float64(v)
		}
		if snr := 10 * math.Log10(signal/noise); snr < 20 {
			t.Errorf("at %d: a tone comes back with SNR %.1f dB", bitrate, snr)
		}
	}
}

func TestWhatIsBeyondFullScaleIsClippedNotFatal(t *testing.T) {
	t.Parallel()
	s := media.Stream{SampleRate: 48000, Channels: 1}
	rec := &recorder{}
	x := pcmtest.Sine(48000, 100, 50, 0, 20000)
	x[7], x[8] = float32(math.Inf(1)), float32(math.Inf(-1))
	codeAAC(t, s, pcm.Block{Samples: [][]float32{x}}, 999, map[int]media.Sink{128000: rec})
	if peak := slices.Max(decoded(t, s, rec)[0][2048:18000]); peak < 0.9 {
		t.Errorf("a clipped tone peaks at %v", peak)
	}
}

func TestUnknownSettingsAreErrors(t *testing.T) {
	t.Parallel()
	for _, s := range []media.Stream{{SampleRate: 192000, Channels: 2, Bitrate: 64000}, {SampleRate: 44100, Channels: 3, Bitrate: 64000}} {
		_, analysing := encode.NewAnalysis(s)
		if _, coding := encode.NewAAC(s, nil); analysing == nil || coding == nil {
			t.Errorf("%+v is accepted", s)
		}
	}
	if _, err := encode.NewAAC(media.Stream{SampleRate: 44100, Channels: 2}, nil); err == nil {
		t.Error("no bit rate is accepted")
	}
	for _, s := range []media.Stream{
		{SampleRate: 48000, Channels: 9, BitDepth: 16, FrameSize: 4096}, {SampleRate: 48000, Channels: 2, BitDepth: 15, FrameSize: 4096},
		{SampleRate: 48000, Channels: 2, BitDepth: 16}, {SampleRate: 1 << 20, Channels: 2, BitDepth: 16, FrameSize: 4096},
	} {
		if _, err := encode.NewFLAC(s, nil); err == nil {
			t.Errorf("%+v is accepted", s)
		}
	}
}

func ffmpegPath(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("ffmpeg is not installed")
	}
	return path
}

func TestFFmpegEncodesTheSameLength(t *testing.T) {
	t.Parallel()
	path := ffmpegPath(t)
	for _, n := range []int{1, 1023, 1024, 1025, 48000, 100_000} {
		s := media.Stream{SampleRate: 48000, Channels: 2, Bitrate: 128000}
		x := pcmtest.Sine(48000, 440, 0.5, 0, n)
		rec := &recorder{}
		enc, err := encode.NewFFmpeg(t.Context(), path, s, rec)
		if err != nil {
			t.Fatal(err)
		}
		end := code(t, enc, pcm.Block{Samples: [][]float32{x, x}}, 5000)
		if end.Samples != int64(n) || len(rec.packets) != (1024+n+1023)/1024 {
			t.Errorf("%d samples: %d units", n, len(rec.packets))
		}
		if !bytes.Equal(end.Config, []byte{0x11, 0x90}) {
			t.Errorf("AudioSpecificConfig % x", end.Config)
		}
	}
}

func TestFFmpegLeavesNothingBehind(t *testing.T) {
	path := ffmpegPath(t)
	defer goleak.VerifyNone(t)
	s := media.Stream{SampleRate: 48000, Channels: 1, Bitrate: 128000}
	x := pcm.Block{Samples: [][]float32{pcmtest.Sine(48000, 440, 0.5, 0, 1<<16)}}

	ctx, cancel := context.WithCancel(t.Context())
	enc, err := encode.NewFFmpeg(ctx, path, s, &recorder{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for err == nil { // the pipe breaks once the process is gone
		err = enc.Encode(x)
	}
	enc.Abort()

	enc, err = encode.NewFFmpeg(t.Context(), path, s, refusing{})
	if err != nil {
		t.Fatal(err)
	}
	if err := enc.Encode(x); err == nil {
		if _, err := enc.Close(); err == nil {
			t.Error("a failing sink goes unnoticed")
		}
	}
	enc.Abort()
}

// refusing is a sink that takes nothing.
type refusing struct{}

func (refusing) WritePacket(media.Packet) error { return io.ErrShortWrite }
func (refusing) Finish(media.Ending) error      { return nil }

// void is a sink that keeps nothing.
type void struct{}

func (void) WritePacket(media.Packet) error { return nil }
func (void) Finish(media.Ending) error      { return nil }

// music is ten seconds of something like it: decaying chords over noise.
func music(rate int) pcm.Block {
	rng := rand.New(rand.NewPCG(7, 7))
	b := pcm.Block{Samples: [][]float32{make([]float32, 10*rate), make([]float32, 10*rate)}}
	for beat := range 20 {
		for voice := range 5 {
			hz := 110 * math.Pow(2, float64(rng.IntN(36))/12)
			pan := rng.Float64()
			for i := range rate * 2 {
				at := beat*rate/2 + i
				if at >= 10*rate {
					break
				}
				t := float64(i) / float64(rate)
				v := 0.1 * math.Exp(-3*t) * (math.Sin(2*math.Pi*hz*t) + 0.4*math.Sin(4.01*math.Pi*hz*t) + 0.2*math.Sin(6*math.Pi*hz*t))
				if voice == 0 {
					v = 0.15 * math.Exp(-20*t) * rng.NormFloat64()
				}
				b.Samples[0][at] += float32(v * pan)
				b.Samples[1][at] += float32(v * (1 - pan))
			}
		}
	}
	return b
}

func BenchmarkEncoder(b *testing.B) {
	sound := music(44100)
	run := func(name string, open func() (encode.Encoder, error)) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				enc, err := open()
				if err != nil {
					b.Fatal(err)
				}
				code(b, enc, sound, 8192)
			}
			b.ReportMetric(float64(b.N)*10/b.Elapsed().Seconds(), "x-realtime")
		})
	}
	for _, depth := range []int{16, 24} {
		run(fmt.Sprint("flac-", depth), func() (encode.Encoder, error) {
			return encode.NewFLAC(media.Stream{SampleRate: 44100, Channels: 2, BitDepth: depth, FrameSize: 4096}, void{})
		})
	}
	for _, bitrates := range [][]int{{64000}, {64000, 96000, 160000, 256000}} {
		b.Run(fmt.Sprintf("aac-%d-rates", len(bitrates)), func(b *testing.B) {
			sinks := map[int]media.Sink{}
			for _, bitrate := range bitrates {
				sinks[bitrate] = void{}
			}
			for b.Loop() {
				codeAAC(b, media.Stream{SampleRate: 44100, Channels: 2}, sound, 8192, sinks)
			}
			b.ReportMetric(float64(b.N)*10/b.Elapsed().Seconds(), "x-realtime")
		})
	}
}
