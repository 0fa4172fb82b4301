package transcode_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/mewkiz/flac"
	aac "github.com/tphakala/go-aac"
	aacpcm "github.com/tphakala/go-aac/pcm"
	"go.uber.org/goleak"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/transcode"
	"github.com/melodyud/melodyud/transcode/decode"
	"github.com/melodyud/melodyud/transcode/pcm"
	"github.com/melodyud/melodyud/transcode/pcm/pcmtest"
)

// TestMain lets the test binary play the decoder child, as the real one does.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "child" {
		os.Exit(decode.ChildMain(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// tape is a sink that keeps what it is given.
type tape struct {
	stream  media.Stream
	packets [][]byte
	samples int64
	end     *media.Ending
	fail    error // returned by the next WritePacket
}

func (s *tape) WritePacket(p media.Packet) error {
	if s.fail != nil {
		return s.fail
	}
	s.packets = append(s.packets, bytes.Clone(p.Data))
	s.samples += int64(p.Samples)
	return nil
}

func (s *tape) Finish(e media.Ending) error {
	s.end = &e
	return nil
}

// shelf is a job whose sinks are tapes.
type shelf struct {
	mu    sync.Mutex
	tapes map[string]*tape
	names []string
	fail  map[string]error
}

func (s *shelf) open(st media.Stream) (media.Sink, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tapes == nil {
		s.tapes = map[string]*tape{}
	}
	t := &tape{stream: st, fail: s.fail[st.Name]}
	s.tapes[st.Name] = t
	s.names = append(s.names, st.Name)
	return t, nil
}

func (s *shelf) digest() string {
	h := sha256.New()
	for _, n := range s.names {
		t := s.tapes[n]
		fmt.Fprintf(h, "%+v %+v\n", t.stream, *t.end)
		for _, p := range t.packets {
			fmt.Fprintln(h, len(p))
			h.Write(p)
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// played is a Source of prepared samples.
type played struct {
	pcm.Source
	facts  decode.Facts
	closed bool
	after  error // instead of io.EOF
}

func (p *played) Facts() decode.Facts { return p.facts }
func (p *played) Close() error        { p.closed = true; return nil }

func (p *played) Read() (pcm.Block, error) {
	b, err := p.Source.Read()
	if errors.Is(err, io.EOF) && p.after != nil {
		return b, p.after
	}
	return b, err
}

func play(f pcm.Format, samples [][]float32, block int) *played {
	return &played{
		Source: pcmtest.FromSamples(f, samples, block),
		facts: decode.Facts{
			Source:     melodyud.Source{Codec: "pcm", Lossless: true, SampleRate: f.Rate, Channels: f.Channels, BitDepth: f.BitDepth},
			SampleRate: f.Rate, Channels: f.Channels, BitDepth: f.BitDepth, Samples: int64(len(samples[0])),
		},
	}
}

func engine(t testing.TB, src *played, cfg transcode.Config) *transcode.Engine {
	t.Helper()
	e, err := transcode.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if src == nil {
		return e
	}
	return e.WithSource(func(context.Context) (transcode.Source, error) { return src, nil })
}

func corpus(t testing.TB, name string) *os.File {
	t.Helper()
	dir := os.Getenv("MELODYUD_CORPUS")
	if dir == "" {
		dir = "../../shared/corpus"
	}
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		t.Skipf("corpus file is not here: %v", err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestRenderOfRealFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long; left out by -short")
	}
	t.Parallel()
	for _, name := range []string{"music/08-ufoai-david01.wav", "music/03-wesnoth-elvish-theme.flac", "music/06-hyperrogue-mirror.ogg"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s shelf
			rep, err := engine(t, nil, transcode.Config{}).Render(t.Context(), corpus(t, name), transcode.Job{Ladder: melodyud.DefaultLadder(), Open: s.open})
			if err != nil {
				t.Fatal(err)
			}
			if rep.Samples == 0 || rep.Loudness.Integrated == nil || len(rep.Waveform) < 100 {
				t.Errorf("report %+v", rep)
			}
			for _, n := range s.names {
				tp := s.tapes[n]
				if tp.end == nil || tp.samples < tp.end.Samples+tp.stream.Priming {
					t.Errorf("%s: %d samples in packets, %+v", n, tp.samples, tp.end)
				}
			}
		})
	}
}

// chord is n samples of many tones below 0.2 of 8 kHz that no shift maps onto
// itself.
func chord(rate, n int, phase float64) []float32 {
	out := make([]float32, n)
	for k := range 24 {
		hz := 90 + 61.7*float64(k)
		for i, v := range pcmtest.Sine(rate, hz, 0.02, phase+float64(k*k), n) {
			out[i] += v
		}
	}
	return out
}

var rates = []int{8000, 11025, 16000, 22050, 32000, 44100, 48000, 88200, 96000, 192000}

func TestAACIsInTimeAndOfExactLengthAtEveryRate(t *testing.T) { // GAP-1..3, acceptance 3 of standards 2.8
	t.Parallel()
	for _, rate := range rates {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			t.Parallel()
			f := pcm.Format{Rate: rate, Channels: 2}
			n := rate + 777
			sound := [][]float32{chord(rate, n, 0), chord(rate, n, 1)}
			var s shelf
			ladder := melodyud.Ladder{{Codec: melodyud.CodecAAC, Bitrate: 128000}}
			rep, err := engine(t, play(f, sound, 5000), transcode.Config{}).Render(t.Context(), nil, transcode.Job{Ladder: ladder, Open: s.open})
			if err != nil {
				t.Fatal(err)
			}
			tp := s.tapes["aac-128"]
			exact := int64((n*rep.Grid.AAC.Rate + rate - 1) / rate)
			if tp.end.Samples != exact || tp.stream.Priming != 1024 || tp.stream.Timeline != rep.Grid.AAC {
				t.Fatalf("%d samples, want %d; stream %+v", tp.end.Samples, exact, tp.stream)
			}
			if want := (1024 + exact + 1023) / 1024; int64(len(tp.packets)) != want {
				t.Fatalf("%d access units, want %d", len(tp.packets), want)
			}
			for name, decoded := range decodeAAC(t, tp) {
				if int64(len(decoded)) < 1024+exact {
					t.Fatalf("%s: %d samples decoded, want at least %d", name, len(decoded), 1024+exact)
				}
				want := chord(tp.stream.SampleRate, int(exact), 0)
				if lag := lagOf(decoded[1024:1024+exact], want); lag != 0 {
					t.Errorf("%s: lag of %d samples", name, lag)
				}
			}
		})
	}
}

// decodeAAC returns the first channel as independent decoders give it.
func decodeAAC(t *testing.T, tp *tape) map[string][]float32 {
	t.Helper()
	var adts []byte
	for _, p := range tp.packets {
		var err error
		if adts, err = aac.AppendADTSHeader(adts, tp.stream.SampleRate, tp.stream.Channels, len(p)); err != nil {
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
	all := map[string][]float32{"go-aac": leftOf(raw, tp.stream.Channels)}
	if ffmpeg, err := exec.LookPath("ffmpeg"); err == nil {
		cmd := exec.Command(ffmpeg, "-v", "error", "-f", "aac", "-i", "-", "-f", "s16le", "-")
		cmd.Stdin = bytes.NewReader(adts)
		raw, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		all["ffmpeg"] = leftOf(raw, tp.stream.Channels)
	}
	return all
}

func leftOf(raw []byte, channels int) []float32 {
	var out []float32
	for i := 0; i+2*channels <= len(raw); i += 2 * channels {
		out = append(out, float32(int16(binary.LittleEndian.Uint16(raw[i:])))/32768)
	}
	return out
}

// lagOf returns the shift at which got resembles want most.
func lagOf(got, want []float32) int {
	const reach = 64
	best, at := math.Inf(-1), 0
	for lag := -reach; lag <= reach; lag++ {
		sum := 0.0
		for i := reach; i < len(want)-reach; i++ {
			sum += float64(got[i+lag]) * float64(want[i])
		}
		if sum > best {
			best, at = sum, lag
		}
	}
	return at
}

func TestFLACHoldsTheSourceBitForBitAtEveryRate(t *testing.T) { // GAP-5, ALIGN-2
	t.Parallel()
	for _, rate := range rates {
		for _, depth := range []int{8, 16, 24} {
			f := pcm.Format{Rate: rate, Channels: 2, BitDepth: depth}
			const n = 3*4608 + 77
			sound := [][]float32{pcmtest.Quantise(chord(rate, n, 0), depth), pcmtest.Quantise(chord(rate, n, 2), depth)}
			var s shelf
			rep, err := engine(t, play(f, sound, 999), transcode.Config{}).Render(t.Context(), nil, transcode.Job{Ladder: melodyud.Ladder{{Codec: melodyud.CodecFLAC}}, Open: s.open})
			if err != nil {
				t.Fatal(err)
			}
			if rep.Grid.Resampled || rep.SampleRate != rate || rep.Samples != n {
				t.Fatalf("%d Hz: report of %d samples at %d Hz", rate, rep.Samples, rep.SampleRate)
			}
			checkFLAC(t, s.tapes["flac"], sound)
		}
	}
}

func checkFLAC(t *testing.T, tp *tape, want [][]float32) {
	t.Helper()
	file := append([]byte("fLaC\x80\x00\x00\x22"), tp.end.Config...)
	dec, err := flac.New(bytes.NewReader(append(file, bytes.Join(tp.packets, nil)...)))
	if err != nil {
		t.Fatal(err)
	}
	scale := math.Ldexp(1, tp.stream.BitDepth-1)
	at := 0
	for {
		frame, err := dec.ParseNext()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for c, sub := range frame.Subframes {
			for i, v := range sub.Samples {
				if float64(v) != float64(want[c][at+i])*scale {
					t.Fatalf("%s at %d Hz: channel %d sample %d is %d, want %g", tp.stream.Name, tp.stream.SampleRate, c, at+i, v, float64(want[c][at+i])*scale)
				}
			}
		}
		at += len(frame.Subframes[0].Samples)
	}
	if at != len(want[0]) || tp.end.Samples != int64(at) {
		t.Fatalf("%d samples, want %d", at, len(want[0]))
	}
}

func TestOddDepthsAndFloatsFindAPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		depth    int
		lossless bool
		want     int
	}{{8, true, 8}, {12, true, 16}, {16, true, 16}, {20, true, 24}, {24, true, 24}, {0, true, 24}, {0, false, 16}} {
		f := pcm.Format{Rate: 48000, Channels: 1, BitDepth: c.depth}
		sound := [][]float32{chord(48000, 9000, 0)}
		if c.depth != 0 {
			pcmtest.Quantise(sound[0], c.depth)
		} else {
			pcmtest.Quantise(sound[0], c.want) // rounding must not move what fits
		}
		src := play(f, sound, 4096)
		src.facts.Source.Lossless = c.lossless
		var s shelf
		if _, err := engine(t, src, transcode.Config{}).Render(t.Context(), nil, transcode.Job{Ladder: melodyud.Ladder{{Codec: melodyud.CodecFLAC}}, Open: s.open}); err != nil {
			t.Fatal(err)
		}
		if got := s.tapes["flac"].stream.BitDepth; got != c.want {
			t.Errorf("depth %d (lossless %v) becomes %d, want %d", c.depth, c.lossless, got, c.want)
		}
		checkFLAC(t, s.tapes["flac"], sound)
	}
}

func TestARateWithoutAGridIsResampledForEveryRung(t *testing.T) { // ALIGN-3
	t.Parallel()
	const rate = 44101
	grid := media.NewGrid(rate)
	if !grid.Resampled {
		t.Fatalf("%d Hz has a grid: %+v", rate, grid)
	}
	sound := [][]float32{pcmtest.Quantise(chord(rate, rate, 0), 16)}
	var s shelf
	rep, err := engine(t, play(pcm.Format{Rate: rate, Channels: 1, BitDepth: 16}, sound, 4096), transcode.Config{}).
		Render(t.Context(), nil, transcode.Job{Ladder: melodyud.DefaultLadder(), Open: s.open})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range s.names {
		tp := s.tapes[n]
		if tp.stream.SampleRate != grid.AAC.Rate || tp.end.Samples != rep.Samples || tp.stream.Channels != 1 {
			t.Errorf("%s: %d samples at %d Hz, report says %d at %d", n, tp.end.Samples, tp.stream.SampleRate, rep.Samples, rep.SampleRate)
		}
	}
}

func TestSurroundIsFoldedForAACAndKeptForFLAC(t *testing.T) {
	t.Parallel()
	var sound [][]float32
	for c := range 6 {
		sound = append(sound, pcmtest.Quantise(chord(96000, 50000, float64(c)), 24))
	}
	var s shelf
	_, err := engine(t, play(pcm.Format{Rate: 96000, Channels: 6, BitDepth: 24}, sound, 4096), transcode.Config{}).
		Render(t.Context(), nil, transcode.Job{Ladder: melodyud.Ladder{{Codec: melodyud.CodecAAC, Bitrate: 96000}, {Codec: melodyud.CodecFLAC}}, Open: s.open})
	if err != nil {
		t.Fatal(err)
	}
	checkFLAC(t, s.tapes["flac"], sound)
	if st := s.tapes["aac-96"].stream; st.Channels != 2 || st.SampleRate != 48000 {
		t.Errorf("AAC of %d channels at %d Hz", st.Channels, st.SampleRate)
	}
}

func TestTheSameSoundGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	sound := [][]float32{chord(96000, 70_000, 0), chord(96000, 70_000, 1)}
	digests := map[string]bool{}
	for _, block := range []int{1000, 8192, 65536, 33} {
		var s shelf
		rep, err := engine(t, play(pcm.Format{Rate: 96000, Channels: 2}, sound, block), transcode.Config{}).
			Render(t.Context(), nil, transcode.Job{Ladder: melodyud.DefaultLadder(), Open: s.open})
		if err != nil {
			t.Fatal(err)
		}
		heard, err := json.Marshal([]any{rep.Features, rep.Analysis, rep.Overview})
		if err != nil {
			t.Fatal(err)
		}
		digests[s.digest()+fmt.Sprintf("%x %x", sha256.Sum256(rep.Waveform), sha256.Sum256(heard))] = true
	}
	if len(digests) != 1 {
		t.Errorf("%d different results", len(digests))
	}
}

func TestAnyFailureEndsEverything(t *testing.T) {
	defer goleak.VerifyNone(t)
	broken := errors.New("broken")
	sound := [][]float32{chord(48000, 150_000, 0)}
	f := pcm.Format{Rate: 48000, Channels: 1}
	for name, prepare := range map[string]func(*played, *shelf, *transcode.Job){
		"a sink":    func(_ *played, s *shelf, _ *transcode.Job) { s.fail = map[string]error{"aac-96": broken} },
		"the flac":  func(_ *played, s *shelf, _ *transcode.Job) { s.fail = map[string]error{"flac": broken} },
		"a decoder": func(p *played, _ *shelf, _ *transcode.Job) { p.after = broken },
		"opening": func(_ *played, s *shelf, j *transcode.Job) {
			j.Open = func(st media.Stream) (media.Sink, error) {
				if st.Codec == melodyud.CodecFLAC {
					return nil, broken
				}
				return s.open(st)
			}
		},
		"a crash": func(_ *played, _ *shelf, j *transcode.Job) { j.Progress = func(float64) { panic(broken) } },
	} {
		src, s := play(f, sound, 4096), &shelf{}
		job := transcode.Job{Ladder: melodyud.DefaultLadder(), Open: s.open}
		prepare(src, s, &job)
		_, err := engine(t, src, transcode.Config{}).Render(t.Context(), nil, job)
		if !errors.Is(err, broken) && (name != "a crash" || err == nil) {
			t.Errorf("%s fails: got %v", name, err)
		}
		if !src.closed {
			t.Errorf("%s fails: the decoder is left running", name)
		}
		for n, tp := range s.tapes {
			if tp.end != nil && name != "a sink" && name != "the flac" {
				t.Errorf("%s fails: %s is finished all the same", name, n)
			}
		}
	}
}

func TestCancellingEndsEverything(t *testing.T) {
	defer goleak.VerifyNone(t)
	ctx, cancel := context.WithCancel(t.Context())
	src, s := play(pcm.Format{Rate: 48000, Channels: 1}, [][]float32{chord(48000, 150_000, 0)}, 4096), shelf{}
	_, err := engine(t, src, transcode.Config{}).Render(ctx, nil, transcode.Job{
		Ladder: melodyud.DefaultLadder(), Open: s.open, Progress: func(float64) { cancel() },
	})
	if !errors.Is(err, context.Canceled) || !src.closed {
		t.Errorf("got %v, decoder closed: %v", err, src.closed)
	}
}

func TestSoundThatEndsEarlyIsRefused(t *testing.T) {
	t.Parallel()
	src := play(pcm.Format{Rate: 8000, Channels: 1}, [][]float32{chord(8000, 80_000, 0)}, 4096)
	src.facts.Samples = 100_000
	_, err := engine(t, src, transcode.Config{}).Examine(t.Context(), nil)
	if r, ok := melodyud.AsRefusal(err); !ok || r.Code != "audio.truncated" {
		t.Errorf("got %v", err)
	}
}

func TestProgressRisesToOne(t *testing.T) {
	t.Parallel()
	src := play(pcm.Format{Rate: 8000, Channels: 1}, [][]float32{chord(8000, 80_000, 0)}, 4096)
	last := 0.0
	_, err := engine(t, src, transcode.Config{}).Render(t.Context(), nil, transcode.Job{Progress: func(f float64) {
		if f < last || f > 1 {
			t.Errorf("progress goes from %v to %v", last, f)
		}
		last = f
	}})
	if err != nil || last != 1 {
		t.Errorf("ends at %v: %v", last, err)
	}
}

// tone is a Source of any length that needs no memory.
type tone struct {
	format pcm.Format
	left   int64
	block  pcm.Block
	watch  func()
}

func (s *tone) Format() pcm.Format { return s.format }
func (s *tone) Close() error       { return nil }
func (s *tone) Facts() decode.Facts {
	return decode.Facts{SampleRate: s.format.Rate, Channels: s.format.Channels, BitDepth: s.format.BitDepth, Samples: -1, Source: melodyud.Source{Lossless: true}}
}

func (s *tone) Read() (pcm.Block, error) {
	if s.left <= 0 {
		return pcm.Block{}, io.EOF
	}
	s.left -= int64(s.block.Len())
	s.watch()
	return s.block, nil
}

// void is a sink that keeps nothing.
type void struct{}

func (void) WritePacket(media.Packet) error { return nil }
func (void) Finish(media.Ending) error      { return nil }

func TestMemoryDoesNotGrowWithTheTrack(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long; left out by -short")
	}
	// What grows with time (energies, the waveform, and some 8 kB a second of spectra
	// in which beats are found) must stay far below the 90 MiB of the samples.
	peakOf := func(ladder melodyud.Ladder, seconds int64) uint64 {
		src := &tone{format: pcm.Format{Rate: 8000, Channels: 2, BitDepth: 16}, left: seconds * 8000}
		x := pcmtest.Quantise(chord(8000, 8192, 0), 16)
		src.block = pcm.Block{Samples: [][]float32{x, x}}
		peak, reads := uint64(0), 0
		src.watch = func() {
			if reads++; reads%64 == 0 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapAlloc)
			}
		}
		e := engine(t, nil, transcode.Config{}).WithSource(func(context.Context) (transcode.Source, error) { return src, nil })
		_, err := e.Render(t.Context(), nil, transcode.Job{Ladder: ladder, Open: func(media.Stream) (media.Sink, error) { return void{}, nil }})
		if err != nil {
			t.Fatal(err)
		}
		return peak
	}
	lossless := melodyud.Ladder{{Codec: melodyud.CodecFLAC}}
	short, long := peakOf(lossless, 60), peakOf(lossless, 1500)
	if grown := int64(long) - int64(short); grown > 16<<20 {
		t.Errorf("heap grows by %d KiB with the track", grown>>10)
	}
	if full := peakOf(melodyud.DefaultLadder(), 15); full > 64<<20 {
		t.Errorf("heap of %d MiB in a render", full>>20)
	}
}
