package node_test

import (
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/melodyud/melodyud/internal/node"
	"github.com/melodyud/melodyud/transcode/features"
	audio "github.com/melodyud/melodyud/transcode/pcm"
)

// BenchmarkAnalysisBesideAubio hears a minute of music: everything but decoding,
// with the meters and the waveform, in this process; then with decoding from FLAC.
// In turn aubio finds onsets alone, and tempo alone, and fpcalc the fingerprint
// alone, each from WAV, which costs next to nothing to decode. All figures are
// seconds of sound per second of processor time.
func BenchmarkAnalysisBesideAubio(b *testing.B) {
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		b.Skip("ffmpeg is not installed")
	}
	master, seconds := benchMaster(b, ffmpeg)
	wav := filepath.Join(b.TempDir(), "master.wav")
	measure(b, exec.Command(ffmpeg, "-nostdin", "-v", "error", "-i", master, wav))
	sound := samplesOf(b, wav)
	others := map[string]*exec.Cmd{
		"aubioonset": exec.Command("aubioonset", "-i", wav), "aubiotrack": exec.Command("aubiotrack", "-i", wav),
		"fpcalc": exec.Command("fpcalc", "-length", "0", wav),
	}
	spent := map[string]float64{}
	var peak int64
	for b.Loop() {
		spent["analysis"] += cpuOf(func() { listen(b, sound) })
		a := analyzeFile(b, master)
		spent["decode+analysis"] += a.CPUSeconds
		peak = max(peak, a.PeakBytes)
		for name, cmd := range others {
			again := exec.Command(cmd.Path, cmd.Args[1:]...)
			if cmd.Err != nil || again.Run() != nil && name != "fpcalc" { // which ends with 3 at the end of some files
				continue
			}
			spent[name] += (again.ProcessState.UserTime() + again.ProcessState.SystemTime()).Seconds()
		}
	}
	for name, cpu := range spent {
		b.ReportMetric(seconds*float64(b.N)/cpu, name+"-x-realtime")
	}
	b.ReportMetric(float64(peak)/1e6, "peak-MB")
	b.ReportMetric(0, "ns/op") // meaningless: all ran
}

// listen hears sound as a render does.
func listen(b *testing.B, sound audio.Block) {
	b.Helper()
	format := audio.Format{Rate: 44100, Channels: len(sound.Samples), BitDepth: 16}
	a, err := features.New(format, features.Source{Lossless: true, BitDepth: 16}, features.Config{})
	if err != nil {
		b.Fatal(err)
	}
	m, w := audio.NewMeter(format), features.NewWaveform(format)
	for rest := sound; rest.Len() > 0; {
		var head audio.Block
		head, rest = rest.Cut(8192)
		m.Write(head)
		w.Write(head)
		a.Write(head)
	}
	w.Encode()
	w.Overview()
	a.Close(features.Measured{Loudness: m.Loudness(), Blocks: m.Blocks(), ShortTerm: m.ShortTerm()})
}

func analyzeFile(b *testing.B, path string) node.Analyzed {
	b.Helper()
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	a, err := node.Analyze(b.Context(), f, node.AnalyzeConfig{Child: child(), LogOutput: io.Discard})
	if err != nil {
		b.Fatal(err)
	}
	return a
}

// cpuOf is the processor time that f takes in this process, in seconds.
func cpuOf(f func()) float64 {
	before := usage()
	f()
	return (usage() - before).Seconds()
}

func usage() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// samplesOf reads 16-bit stereo WAV as ffmpeg writes it.
func samplesOf(b *testing.B, path string) audio.Block {
	b.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	const header = 78 // ffmpeg's, with its name in it
	raw = raw[header:]
	sound := audio.Block{Samples: [][]float32{make([]float32, len(raw)/4), make([]float32, len(raw)/4)}}
	for i := range len(raw) / 4 {
		for c := range 2 {
			sound.Samples[c][i] = float32(int16(binary.LittleEndian.Uint16(raw[4*i+2*c:]))) / 32768
		}
	}
	return sound
}
