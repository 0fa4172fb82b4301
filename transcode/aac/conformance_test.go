package aac_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/melodyud/melodyud/transcode/aac"
)

// sampleRates are those of AudioSpecificConfig, by index.
var sampleRates = []int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000}

// materials are sounds that encoders stumble over, and music. Each gives sample i
// of a channel.
var materials = []struct {
	name string
	at   func(i, rate, channel int) float64
}{
	{"music", music},
	{"castanets", castanets},
	{"silence", func(int, int, int) float64 { return 0 }},
	{"one sample", func(i, rate, c int) float64 { return pulse(i == rate/4+c) }},
	{"constant", func(_, _, c int) float64 { return 0.9 - float64(c) }},
	{"square", func(i, rate, c int) float64 { return 1 - 2*float64(i*(300+c)/rate%2) }},
	{"noise", func(i, _, c int) float64 { return noise(i, c) }},
	{"not numbers", notNumbers},
	{"far too loud", func(i, rate, c int) float64 { return 1e30 * music(i, rate, c) }},
	{"next to nothing", func(i, _, c int) float64 { return 1e-41 * noise(i, c) }},
	{"one side", func(i, rate, c int) float64 { return float64(1-c) * music(i, rate, 0) }},
	{"opposite", func(i, rate, c int) float64 { return float64(1-2*c) * music(i, rate, 0) }},
}

func pulse(here bool) float64 {
	if here {
		return 1
	}
	return 0
}

// noise is white noise without a state.
func noise(i, c int) float64 {
	x := uint64(i+1)*0x9E3779B97F4A7C15 + uint64(c)*0xBF58476D1CE4E5B9
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return float64(int64(x^x>>31)) / (1 << 63)
}

// music is a chord that changes four times a second, plucked, over a little noise.
func music(i, rate, c int) float64 {
	t := float64(i) / float64(rate)
	root := 110 * math.Pow(2, float64(int(4*t)*5%12)/12)
	fade := math.Exp(-5 * math.Mod(t, 0.25))
	sum := 0.01 * noise(i, c)
	for k, interval := range []float64{1, 1.26, 1.5, 2.02, 3.03, 5.1, 8.4} {
		if f := root * interval; f < float64(rate)/2 {
			sum += 0.5 * fade / float64(k+1) * math.Sin(2*math.Pi*f*t+float64(c)*float64(k))
		}
	}
	return 0.5 * sum
}

// castanets are clicks of a few milliseconds out of silence.
func castanets(i, rate, c int) float64 {
	t := math.Mod(float64(i)/float64(rate)+0.031*float64(c), 0.11)
	sum := 0.0
	for _, f := range []float64{1200, 2600, 4900, 9000} {
		if f < float64(rate)/2 {
			sum += math.Sin(2*math.Pi*f*t) * math.Exp(-t*250)
		}
	}
	return 0.3 * sum
}

// notNumbers are samples that no file should have.
func notNumbers(i, rate, c int) float64 {
	switch i % 97 {
	case 3:
		return math.NaN()
	case 40:
		return math.Inf(1)
	case 41:
		return math.Inf(-1)
	}
	return music(i, rate, c)
}

// sound returns n samples of every channel.
func sound(cfg aac.Config, n int, at func(i, rate, c int) float64) [][]float32 {
	out := make([][]float32, cfg.Channels)
	for c := range out {
		for i := range n {
			out[c] = append(out[c], float32(at(i, cfg.SampleRate, c)))
		}
	}
	return out
}

// medley is every material in turn, a third of a second each, music first and last.
func medley(cfg aac.Config) [][]float32 {
	out := make([][]float32, cfg.Channels)
	for _, m := range append(slices.Clone(materials), materials[0]) {
		for c, s := range sound(cfg, cfg.SampleRate/3, m.at) {
			out[c] = append(out[c], s...)
		}
	}
	return out
}

// encode returns the access units of samples, written in pieces of the given
// lengths, over and over; none means at once.
func encode(t testing.TB, cfg aac.Config, bitrate int, samples [][]float32, pieces ...int) [][]byte {
	t.Helper()
	return encodeAll(t, cfg, []int{bitrate}, samples, pieces...)[0]
}

// encodeAll codes one analysis at several bit rates.
func encodeAll(t testing.TB, cfg aac.Config, bitrates []int, samples [][]float32, pieces ...int) [][][]byte {
	t.Helper()
	a, err := aac.NewAnalyzer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	units, coders := make([][][]byte, len(bitrates)), make([]*aac.Coder, len(bitrates))
	for i, bitrate := range bitrates {
		if coders[i], err = aac.NewCoder(cfg, bitrate); err != nil {
			t.Fatal(err)
		}
	}
	var f aac.Frame
	drain := func() {
		for a.Next(&f) {
			for i, c := range coders {
				units[i] = append(units[i], c.Code(nil, &f))
			}
		}
	}
	rest := slices.Clone(samples)
	for k := 0; len(rest[0]) > 0; k++ {
		n := len(rest[0])
		if len(pieces) > 0 {
			n = min(n, pieces[k%len(pieces)])
		}
		part := make([][]float32, len(rest))
		for c := range rest {
			part[c], rest[c] = rest[c][:n], rest[c][n:]
		}
		a.Write(part)
		drain()
	}
	a.Close()
	drain()
	return units
}

// unitsOf returns how many access units must cover the priming and n samples.
func unitsOf(n int) int { return (aac.Priming + n + aac.FrameSize - 1) / aac.FrameSize }

// bitratesOf returns the rates from 16 to 320 kbit/s that cfg may have.
func bitratesOf(cfg aac.Config) (out []int) {
	for _, rate := range []int{16_000, 24_000, 48_000, 96_000, 160_000, 256_000, 320_000} {
		if _, err := aac.NewCoder(cfg, rate); err == nil {
			out = append(out, rate)
		}
	}
	return out
}

// extremes returns the first and the last of a list.
func extremes(list []int) []int { return []int{list[0], list[len(list)-1]} }

// eachConfig runs a subtest for every rate and channel count; in short runs for
// two rates.
func eachConfig(t *testing.T, run func(t *testing.T, cfg aac.Config)) {
	for i, rate := range sampleRates {
		if testing.Short() && i%6 != 4 { // 44.1 and 11.025 kHz
			continue
		}
		for channels := 1; channels <= 2; channels++ {
			t.Run(fmt.Sprintf("%d Hz, %d channels", rate, channels), func(t *testing.T) {
				t.Parallel()
				run(t, aac.Config{SampleRate: rate, Channels: channels})
			})
		}
	}
}

func TestEveryStreamIsAACByTheLetter(t *testing.T) { // ISO/IEC 14496-3 §4.4.2, §4.5.2
	t.Parallel()
	eachConfig(t, func(t *testing.T, cfg aac.Config) {
		bitrates := extremes(bitratesOf(cfg))
		for _, m := range materials {
			samples := sound(cfg, cfg.SampleRate/5, m.at)
			for i, units := range encodeAll(t, cfg, bitrates, samples) {
				if want := unitsOf(len(samples[0])); len(units) != want {
					t.Errorf("%s at %d bit/s: %d access units instead of %d", m.name, bitrates[i], len(units), want)
				}
				if err := wellFormed(cfg, units); err != nil {
					t.Errorf("%s at %d bit/s: %v", m.name, bitrates[i], err)
				}
			}
		}
	})
}

// wellFormed reads all access units with the strict reader.
func wellFormed(cfg aac.Config, units [][]byte) error {
	s, err := newStrict(cfg.SampleRate, cfg.Channels)
	if err != nil {
		return err
	}
	var before []channelStream
	for i, unit := range units {
		u, err := s.read(unit)
		if err != nil {
			return fmt.Errorf("access unit %d of %d: %w", i, len(units), err)
		}
		for c, now := range u.channels {
			if before != nil && !follows(before[c].sequence, now.sequence) {
				return fmt.Errorf("access unit %d: window sequence %d after %d", i, now.sequence, before[c].sequence)
			}
		}
		before = u.channels
	}
	return nil
}

func TestAnyCutOfTheInputGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	for _, cfg := range []aac.Config{{SampleRate: 44100, Channels: 2}, {SampleRate: 16000, Channels: 1}} {
		samples := sound(cfg, cfg.SampleRate, notNumbers)
		bitrates := []int{24_000, 64_000}
		want := encodeAll(t, cfg, bitrates, samples)
		for _, pieces := range [][]int{{1024}, {1, 4095, 77}, {5000}} {
			if !equalStreams(encodeAll(t, cfg, bitrates, samples, pieces...), want) {
				t.Errorf("%+v in pieces of %d: other bytes", cfg, pieces)
			}
		}
		for i, bitrate := range bitrates {
			if alone := encode(t, cfg, bitrate, samples); !equalStreams([][][]byte{alone}, want[i:i+1]) {
				t.Errorf("%+v at %d bit/s: other bytes in the company of another rate", cfg, bitrate)
			}
		}
	}
}

func equalStreams(a, b [][][]byte) bool {
	return slices.EqualFunc(a, b, func(x, y [][]byte) bool { return slices.EqualFunc(x, y, bytes.Equal) })
}

func TestEveryLengthIsCoveredExactly(t *testing.T) { // GAP-1
	t.Parallel()
	cfg := aac.Config{SampleRate: 44100, Channels: 2}
	for _, n := range []int{0, 1, 1023, 1024, 1025, 2047, 2048, 2049, 3071, 3072, 3073, 5000} {
		units := encode(t, cfg, 96_000, sound(cfg, n, music))
		if len(units) != unitsOf(n) {
			t.Errorf("%d samples: %d access units instead of %d", n, len(units), unitsOf(n))
		}
		if err := wellFormed(cfg, units); err != nil {
			t.Errorf("%d samples: %v", n, err)
		}
	}
}

// outside reports whether other people's decoders are to judge. Where they are
// asked for, they must be there.
func outside(t *testing.T, program string) {
	t.Helper()
	if os.Getenv("MELODYUD_OUTSIDE") == "" {
		t.Skip("set MELODYUD_OUTSIDE=1 and install ffmpeg and faad to let them judge")
	}
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("%s is not installed", program)
	}
}

// judged is a stream that outside decoders are given.
type judged struct {
	cfg     aac.Config
	bitrate int
	source  [][]float32
	units   [][]byte
	file    string // ADTS
}

// eachStream codes the medley of every configuration at some rates. The streams are
// left in the directory that MELODYUD_STREAMS names, if it does.
func eachStream(t *testing.T, run func(t *testing.T, s judged)) {
	eachConfig(t, func(t *testing.T, cfg aac.Config) {
		dir := os.Getenv("MELODYUD_STREAMS")
		if dir == "" {
			dir = t.TempDir()
		}
		bitrates := bitratesOf(cfg)
		if testing.Short() {
			bitrates = extremes(bitrates)
		}
		source := medley(cfg)
		for i, units := range encodeAll(t, cfg, bitrates, source) {
			name := fmt.Sprintf("%d-%d-%d.aac", cfg.SampleRate, cfg.Channels, bitrates[i])
			s := judged{cfg, bitrates[i], source, units, filepath.Join(dir, name)}
			if err := os.WriteFile(s.file, adts(cfg, units), 0o600); err != nil {
				t.Fatal(err)
			}
			run(t, s)
		}
	})
}

// adts puts a header before every access unit (ISO/IEC 14496-3 §1.A.3.2).
func adts(cfg aac.Config, units [][]byte) []byte {
	index := slices.Index(sampleRates, cfg.SampleRate)
	var out []byte
	for _, u := range units {
		n := len(u) + 7
		out = append(out, 0xFF, 0xF1, byte(1<<6|index<<2), byte(cfg.Channels<<6|n>>11), byte(n>>3), byte(n<<5)|0x1F, 0xFC)
		out = append(out, u...)
	}
	return out
}

// explode makes ffmpeg end at the first thing it does not like.
var explode = []string{"-nostdin", "-hide_banner", "-v", "warning", "-xerror", "-err_detect", "explode"}

// TestOtherDecodersAgree gives every stream to ffmpeg, which must not say a word and
// find the sound where the priming puts it, and to faad, which must hear the same.
func TestOtherDecodersAgree(t *testing.T) { // GAP-1
	t.Parallel()
	outside(t, "ffmpeg")
	outside(t, "faad")
	eachStream(t, func(t *testing.T, s judged) {
		decoded := s.ffmpeg(t, s.file)
		if want := len(s.units) * aac.FrameSize; len(decoded[0]) != want {
			t.Errorf("%d bit/s: ffmpeg gave %d samples instead of %d", s.bitrate, len(decoded[0]), want)
		}
		if lag := lagOf(s.source, decoded); !s.near(lag) {
			t.Errorf("%d bit/s: the sound is %d samples late, the priming is %d", s.bitrate, lag, aac.Priming)
		}
		s.checkFAAD(t, decoded)
		if s.bitrate == 16_000 || s.bitrate == 96_000 {
			boxed := strings.TrimSuffix(s.file, ".aac") + ".m4a"
			s.run(t, exec.Command("ffmpeg", append(slices.Clone(explode), "-f", "aac", "-i", s.file, "-c", "copy", boxed)...))
			s.ffmpeg(t, boxed)
			s.run(t, exec.Command("faad", "-q", "-o", boxed+".wav", boxed))
		}
	})
}

// near reports whether a lag is the priming: exactly, or within half a millisecond
// where starved streams keep the lowest tones alone.
func (s judged) near(lag int) bool {
	off := max(lag-aac.Priming, aac.Priming-lag)
	return off == 0 || s.bitrate < s.cfg.SampleRate*s.cfg.Channels*3/2 && off <= s.cfg.SampleRate/2000
}

// checkFAAD compares faad's sound with decoded. It takes streams of 24 kHz and less
// for HE-AAC and doubles their rate: of those only the length is compared.
func (s judged) checkFAAD(t *testing.T, decoded [][]float32) {
	t.Helper()
	raw := s.file + ".raw"
	s.run(t, exec.Command("faad", "-q", "-f", "2", "-b", "4", "-o", raw, s.file))
	content, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	heard := planes(content, 2)                // it makes mono stereo
	want := (len(s.units) - 1) * aac.FrameSize // and keeps the first unit to itself
	if s.cfg.SampleRate <= 24_000 {
		want *= 2
	}
	if len(heard[0]) != want {
		t.Fatalf("%d bit/s: faad gave %d samples instead of %d", s.bitrate, len(heard[0]), want)
	}
	if s.cfg.SampleRate <= 24_000 {
		return
	}
	for c := range decoded {
		for i, v := range heard[c] {
			if d := math.Abs(float64(v - decoded[c][i+aac.FrameSize])); !(d < 1e-3) {
				t.Fatalf("%d bit/s, channel %d, sample %d: faad heard %g, ffmpeg %g", s.bitrate, c, i, v, decoded[c][i+aac.FrameSize])
			}
		}
	}
}

// planes takes interleaved 32-bit floats apart.
func planes(raw []byte, channels int) [][]float32 {
	out := make([][]float32, channels)
	for i := 0; i+4 <= len(raw); i += 4 {
		c := i / 4 % channels
		out[c] = append(out[c], math.Float32frombits(binary.LittleEndian.Uint32(raw[i:])))
	}
	return out
}

// ffmpeg decodes a file and wants silence on standard error.
func (s judged) ffmpeg(t *testing.T, file string) [][]float32 {
	t.Helper()
	args := append(slices.Clone(explode), "-i", file, "-f", "f32le", "-c:a", "pcm_f32le", "-")
	decoded := planes(s.run(t, exec.Command("ffmpeg", args...)), s.cfg.Channels)
	if len(decoded[0]) == 0 {
		t.Fatalf("%d bit/s: ffmpeg gave nothing", s.bitrate)
	}
	return decoded
}

// run runs a decoder, which must neither fail nor complain, and returns what it
// wrote.
func (s judged) run(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	var complaints []string
	for line := range strings.Lines(said.String()) {
		// Raw streams have no duration; that is no complaint about this one.
		if line = strings.TrimSpace(line); line != "" && !strings.Contains(line, "Estimating duration from bitrate") {
			complaints = append(complaints, line)
		}
	}
	if err != nil || len(complaints) > 0 {
		t.Fatalf("%+v at %d bit/s: %s: %v\n%s", s.cfg, s.bitrate, cmd.Args[0], err, strings.Join(complaints, "\n"))
	}
	return out.Bytes()
}

// lagOf returns by how many samples decoded is late against source: where the music
// at their beginning correlates best.
func lagOf(source, decoded [][]float32) int {
	const reach = aac.FrameSize / 8
	n := len(source[0]) / (len(materials) + 1)
	best, lag := math.Inf(-1), 0
	for l := aac.Priming - reach; l < aac.Priming+reach; l++ {
		product, energy := 0.0, 1e-9
		for c := range source {
			x, y := source[c][:n], decoded[c][l:l+n]
			for i, v := range y {
				product += float64(x[i]) * float64(v)
				energy += float64(v) * float64(v)
			}
		}
		if r := product / math.Sqrt(energy); r > best {
			best, lag = r, l
		}
	}
	return lag
}
