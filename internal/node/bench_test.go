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

const benchSeconds = 60

// BenchmarkLadderBesideFFmpeg renders the default ladder, then lets one ffmpeg
// process make the same (four AAC renditions and FLAC as fragmented MP4 in HLS)
// of the same file, and reports our time in multiples of ffmpeg's. The processes'
// children are counted in.
func BenchmarkLadderBesideFFmpeg(b *testing.B) {
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		b.Skip("ffmpeg is not installed")
	}
	master := benchMaster(b)
	var ours, theirs cost
	for b.Loop() {
		ours.add(measure(b, exec.Command(self(), "render", master, b.TempDir())))
		theirs.add(measure(b, ladderByFFmpeg(ffmpeg, master, b.TempDir())))
	}
	sound := float64(benchSeconds * b.N)
	b.ReportMetric(ours.cpu/theirs.cpu, "cpu/ffmpeg")
	b.ReportMetric(ours.wall/theirs.wall, "wall/ffmpeg")
	b.ReportMetric(sound/ours.wall, "x-realtime")
	b.ReportMetric(sound/ours.cpu, "x-realtime/core")
	b.ReportMetric(sound/theirs.cpu, "ffmpeg-x-realtime/core")
	b.ReportMetric(0, "ns/op") // meaningless: both ran
}

// benchMaster is a minute of music made here.
func benchMaster(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "master.wav")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	music, noise := fixtures.Music(), fixtures.Noise(0.02)
	err = fixtures.WAV(f, fixtures.Spec{
		Samples: benchSeconds * 44100,
		Wave:    func(c int, t float64) float64 { return 0.9*music(c, t) + noise(c, t) },
	})
	if err != nil {
		b.Fatal(err)
	}
	return path
}

func ladderByFFmpeg(ffmpeg, master, dir string) *exec.Cmd {
	args := []string{"-nostdin", "-v", "error", "-i", master}
	streams := ""
	for i, r := range melodyud.DefaultLadder() {
		codec := fmt.Sprintf("-c:a:%d", i)
		args = append(args, "-map", "0:a")
		if r.Codec == melodyud.CodecFLAC {
			args = append(args, codec, "flac")
		} else {
			args = append(args, codec, "aac", fmt.Sprintf("-b:a:%d", i), fmt.Sprint(r.Bitrate))
		}
		streams += fmt.Sprintf("a:%d ", i)
	}
	args = append(args, "-strict", "-2", "-f", "hls", "-hls_time", "4", "-hls_playlist_type", "vod",
		"-hls_segment_type", "fmp4", "-var_stream_map", streams, filepath.Join(dir, "v%v.m3u8"))
	return exec.Command(ffmpeg, args...)
}

type cost struct{ wall, cpu float64 } // seconds

func (c *cost) add(d cost) { c.wall, c.cpu = c.wall+d.wall, c.cpu+d.cpu }

func measure(b *testing.B, cmd *exec.Cmd) cost {
	b.Helper()
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%s: %v\n%s", cmd.Path, err, out)
	}
	s := cmd.ProcessState
	return cost{time.Since(began).Seconds(), (s.UserTime() + s.SystemTime()).Seconds()}
}

// renderAlone is this binary as a process that renders one file.
func renderAlone(master, dir string) int {
	f, err := os.Open(master)
	if err == nil {
		defer f.Close()
		_, err = node.Render(context.Background(), f, node.RenderConfig{Out: dir, Child: child()})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
