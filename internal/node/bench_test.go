package node_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/fixtures"
	"github.com/melodyud/melodyud/internal/node"
)

// BenchmarkRenderBesideFFmpeg renders the default ladder from FLAC, then lets one
// ffmpeg process make the same (four AAC renditions and FLAC as fragmented MP4 in
// HLS) of the same file. On one core processor time is compared, so that what else
// the machine does matters little; on all of them the wall clock, against ffmpeg's
// fast coder. Children are counted in.
func BenchmarkRenderBesideFFmpeg(b *testing.B) {
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		b.Skip("ffmpeg is not installed")
	}
	master, seconds := benchMaster(b, ffmpeg)
	var one, all, theirs, fast cost
	for b.Loop() {
		one.add(measure(b, onOneCore(b, renderBySelf(b, master))))
		theirs.add(measure(b, onOneCore(b, ladderByFFmpeg(b, ffmpeg, master, "twoloop")))) // its default
		all.add(measure(b, renderBySelf(b, master)))
		fast.add(measure(b, ladderByFFmpeg(b, ffmpeg, master, "fast")))
	}
	n := float64(b.N)
	b.ReportMetric(theirs.cpu/one.cpu, "ffmpeg-cpu/ours")
	b.ReportMetric(fast.cpu/one.cpu, "ffmpeg-fast-cpu/ours")
	b.ReportMetric(all.wall/fast.wall, "wall/ffmpeg-fast")
	b.ReportMetric(all.first/n, "first-segment-s")
	b.ReportMetric(one.first/n, "first-segment-s-one-core")
	b.ReportMetric(seconds*n/one.cpu, "x-realtime/core")
	b.ReportMetric(seconds*n/all.wall, "x-realtime")
	b.ReportMetric(0, "ns/op") // meaningless: all ran
}

// benchMaster is a FLAC file of a minute, from the corpus' clips or made here, and
// its length in seconds. It is short so that the rivals take turns often: the load
// of the machine changes what a second of its processor is worth.
func benchMaster(b *testing.B, ffmpeg string) (path string, seconds float64) {
	b.Helper()
	root := os.Getenv("MELODYUD_CORPUS")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "corpus")
	}
	clips, err := filepath.Glob(filepath.Join(root, "aac-clips", "*.flac"))
	if err != nil || len(clips) == 0 {
		b.Log("no corpus: a minute of music made here")
		clips = []string{musicMade(b)}
	}
	path = filepath.Join(b.TempDir(), "master.flac")
	args, joined := []string{"-nostdin", "-v", "error"}, ""
	for i, clip := range clips {
		args = append(args, "-i", clip)
		joined += fmt.Sprintf("[%d:a]atrim=end=%d,aformat=s16:44100:stereo[c%d];", i, 60/len(clips), i)
	}
	for i := range clips {
		joined += fmt.Sprintf("[c%d]", i)
	}
	args = append(args, "-filter_complex", joined+fmt.Sprintf("concat=n=%d:v=0:a=1", len(clips)), path)
	measure(b, exec.Command(ffmpeg, args...))
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	v, err := node.Probe(b.Context(), f, node.ProbeConfig{FFmpeg: "-"})
	if err != nil {
		b.Fatal(err)
	}
	return path, v.Seconds
}

func musicMade(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "music.wav")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	music, noise := fixtures.Music(), fixtures.Noise(0.02)
	err = fixtures.WAV(f, fixtures.Spec{
		Samples: 60 * 44100,
		Wave:    func(c int, t float64) float64 { return 0.9*music(c, t) + noise(c, t) },
	})
	if err != nil {
		b.Fatal(err)
	}
	return path
}

func renderBySelf(b *testing.B, master string) *exec.Cmd {
	return exec.Command(self(), "render", master, b.TempDir())
}

// onOneCore ties cmd and its children to a processor.
func onOneCore(b *testing.B, cmd *exec.Cmd) *exec.Cmd {
	b.Helper()
	taskset, err := exec.LookPath("taskset")
	if err != nil {
		b.Fatal("taskset (of util-linux) is not installed")
	}
	return exec.Command(taskset, append([]string{"-c", "0", cmd.Path}, cmd.Args[1:]...)...)
}

func ladderByFFmpeg(b *testing.B, ffmpeg, master, coder string) *exec.Cmd {
	args := []string{"-nostdin", "-v", "error", "-threads", "1", "-i", master}
	streams := ""
	for i, r := range melodyud.DefaultLadder() {
		codec := fmt.Sprintf("-c:a:%d", i)
		args = append(args, "-map", "0:a")
		if r.Codec == melodyud.CodecFLAC {
			args = append(args, codec, "flac")
		} else {
			args = append(args, codec, "aac", fmt.Sprintf("-aac_coder:a:%d", i), coder, fmt.Sprintf("-b:a:%d", i), fmt.Sprint(r.Bitrate))
		}
		streams += fmt.Sprintf("a:%d ", i)
	}
	args = append(args, "-strict", "-2", "-f", "hls", "-hls_time", "4", "-hls_playlist_type", "vod",
		"-hls_segment_type", "fmp4", "-var_stream_map", streams, filepath.Join(b.TempDir(), "v%v.m3u8"))
	return exec.Command(ffmpeg, args...)
}

// cost is in seconds; first is until the first segment lay ready.
type cost struct{ wall, cpu, first float64 }

func (c *cost) add(d cost) {
	c.wall, c.cpu, c.first = c.wall+d.wall, c.cpu+d.cpu, c.first+d.first
}

func measure(b *testing.B, cmd *exec.Cmd) cost {
	b.Helper()
	began := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("%s: %v\n%s", cmd.Path, err, out)
	}
	c := cost{wall: time.Since(began).Seconds()}
	_, _ = fmt.Sscan(string(out), &c.first) // of renderAlone
	s := cmd.ProcessState
	c.cpu = (s.UserTime() + s.SystemTime()).Seconds()
	return c
}

// renderAlone is this binary as a process that renders one file and says after how
// many seconds the first segment lay ready.
func renderAlone(master, dir string) int {
	f, err := os.Open(master)
	if err == nil {
		defer f.Close()
		var r node.Rendered
		r, err = node.Render(context.Background(), f, node.RenderConfig{Out: dir, Child: child()})
		fmt.Println(r.FirstSegment)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
