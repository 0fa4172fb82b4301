package encode_test

import (
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/mewkiz/flac"

	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/transcode/encode"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// BenchmarkFLACBesideLibFLAC encodes the corpus' clips, or music made here when
// there is no corpus, and lets `flac -5` do the same: processor time and size in
// multiples of flac's. The time counts ours only, not the benchmark's around it.
func BenchmarkFLACBesideLibFLAC(b *testing.B) {
	path, err := exec.LookPath("flac")
	if err != nil {
		b.Skip("flac is not installed")
	}
	clips := stereoClips(b)
	var ours, theirs, seconds float64
	var size, theirSize int64
	for b.Loop() {
		for _, clip := range clips {
			sink := &weighing{}
			began := processorTime(b, syscall.RUSAGE_SELF)
			enc, err := encode.NewFLAC(media.Stream{SampleRate: 44100, Channels: 2, BitDepth: 16, FrameSize: 4096}, sink)
			if err != nil {
				b.Fatal(err)
			}
			code(b, enc, clip, 8192)
			ours += processorTime(b, syscall.RUSAGE_SELF) - began
			size += sink.bytes
			took, bytes := byLibFLAC(b, path, clip)
			theirs, theirSize = theirs+took, theirSize+bytes
			seconds += float64(clip.Len()) / 44100
		}
	}
	b.ReportMetric(seconds/ours, "x-realtime/core")
	b.ReportMetric(ours/theirs, "cpu/flac-5")
	b.ReportMetric(float64(size)/float64(theirSize), "size/flac-5")
	b.ReportMetric(0, "ns/op") // meaningless: both ran
}

// BenchmarkAACLadderBesideFFmpeg makes the default ladder's four bit rates of a
// minute of the clips, from one analysis and on one core, and lets ffmpeg make the
// same four with both of its coders. Processor time, so that what else the machine
// does matters little: how many times ours theirs is.
func BenchmarkAACLadderBesideFFmpeg(b *testing.B) {
	ffmpeg := ffmpegPath(b)
	minute := beginnings(stereoClips(b), 5)
	raw := filepath.Join(b.TempDir(), "in.raw")
	if err := os.WriteFile(raw, interleaved(minute), 0o600); err != nil {
		b.Fatal(err)
	}
	var ours, theirs, fast, seconds float64
	for b.Loop() {
		began := processorTime(b, syscall.RUSAGE_SELF)
		sinks := map[int]media.Sink{}
		for _, bitrate := range ladder {
			sinks[bitrate] = void{}
		}
		codeAAC(b, media.Stream{SampleRate: 44100, Channels: 2}, minute, 8192, sinks)
		ours += processorTime(b, syscall.RUSAGE_SELF) - began
		theirs += byFFmpeg(b, ffmpeg, raw, "twoloop") // the default
		fast += byFFmpeg(b, ffmpeg, raw, "fast")
		seconds += float64(minute.Len()) / 44100
	}
	b.ReportMetric(seconds/ours, "x-realtime/core")
	b.ReportMetric(theirs/ours, "ffmpeg-cpu/ours")
	b.ReportMetric(fast/ours, "ffmpeg-fast-cpu/ours")
	b.ReportMetric(0, "ns/op") // meaningless: all ran
}

var ladder = []int{64000, 96000, 160000, 256000}

// beginnings joins the first seconds of each clip.
func beginnings(clips []pcm.Block, seconds int) pcm.Block {
	joined := pcm.Block{Samples: make([][]float32, 2)}
	for _, clip := range clips {
		head, _ := clip.Cut(seconds * 44100)
		for c, plane := range head.Samples {
			joined.Samples[c] = append(joined.Samples[c], plane...)
		}
	}
	return joined
}

// byFFmpeg returns the processor time of one ffmpeg that makes the ladder.
func byFFmpeg(b *testing.B, path, raw, coder string) float64 {
	b.Helper()
	args := []string{"-nostdin", "-v", "error", "-threads", "1", "-f", "s16le", "-ar", "44100", "-ac", "2", "-i", raw}
	for _, bitrate := range ladder {
		args = append(args, "-map", "0:a", "-c:a", "aac", "-aac_coder", coder, "-b:a", strconv.Itoa(bitrate), "-f", "null", "-")
	}
	cmd := exec.Command(path, args...)
	if msg, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, msg)
	}
	s := cmd.ProcessState
	return (s.UserTime() + s.SystemTime()).Seconds()
}

// interleaved returns the samples as 16 bits.
func interleaved(clip pcm.Block) []byte {
	var raw []byte
	for i := range clip.Len() {
		for _, plane := range clip.Samples {
			raw = binary.LittleEndian.AppendUint16(raw, uint16(int16(plane[i]*32768)))
		}
	}
	return raw
}

// weighing is a sink that counts bytes.
type weighing struct {
	void
	bytes int64
}

func (w *weighing) WritePacket(p media.Packet) error {
	w.bytes += int64(len(p.Data))
	return nil
}

func processorTime(b *testing.B, who int) float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

func stereoClips(b *testing.B) []pcm.Block {
	b.Helper()
	root := os.Getenv("MELODYUD_CORPUS")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "corpus")
	}
	files, err := filepath.Glob(filepath.Join(root, "aac-clips", "*.flac"))
	if err != nil || len(files) == 0 {
		b.Log("no corpus: music made here")
		return []pcm.Block{music(44100)}
	}
	var clips []pcm.Block
	for _, f := range files {
		if clip := readClip(b, f); len(clip.Samples) == 2 {
			clips = append(clips, clip)
		}
	}
	return clips
}

func readClip(b *testing.B, path string) pcm.Block {
	b.Helper()
	dec, err := flac.ParseFile(path)
	if err != nil {
		b.Fatal(err)
	}
	defer dec.Close()
	clip := pcm.Block{Samples: make([][]float32, dec.Info.NChannels)}
	for {
		f, err := dec.ParseNext()
		if err == io.EOF {
			return clip
		}
		if err != nil {
			b.Fatal(err)
		}
		for c, sub := range f.Subframes {
			for _, v := range sub.Samples {
				clip.Samples[c] = append(clip.Samples[c], float32(v)/32768)
			}
		}
	}
}

// byLibFLAC returns the processor time and the size of what `flac -5` makes.
func byLibFLAC(b *testing.B, path string, clip pcm.Block) (seconds float64, size int64) {
	b.Helper()
	in, out := filepath.Join(b.TempDir(), "in.raw"), filepath.Join(b.TempDir(), "out.flac")
	if err := os.WriteFile(in, interleaved(clip), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(path, "-5", "-s", "-f", "--no-padding", "--force-raw-format", "--endian=little", "--sign=signed",
		"--channels=2", "--bps=16", "--sample-rate=44100", "-o", out, in)
	if msg, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, msg)
	}
	info, err := os.Stat(out)
	if err != nil {
		b.Fatal(err)
	}
	s := cmd.ProcessState
	return (s.UserTime() + s.SystemTime()).Seconds(), info.Size()
}
