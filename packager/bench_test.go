package packager_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/packager"
)

// BenchmarkPackagingBesideFFmpeg packages coded packets that are read from an MP4
// file, as `ffmpeg -c copy -f hls -hls_segment_type fmp4` does of the same file,
// and reports how many times as fast that is. We also hash everything, index it,
// write manifest, MPD and Multivariant playlists, and read it all back.
func BenchmarkPackagingBesideFFmpeg(b *testing.B) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		b.Skip("ffmpeg is not installed")
	}
	const minutes = 30
	source := filepath.Join(b.TempDir(), "source.mp4")
	out, err := exec.CommandContext(b.Context(), "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "anoisesrc=d=60:c=pink:a=0.3:r=44100",
		"-ac", "2", "-c:a", "aac", "-b:a", "128k", "-f", "adts", source+".aac").CombinedOutput()
	if err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	out, err = exec.CommandContext(b.Context(), "ffmpeg", "-v", "error", "-stream_loop", "29", "-i", source+".aac", "-c", "copy", source).CombinedOutput()
	if err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	var ours, theirs time.Duration
	for b.Loop() {
		began := time.Now()
		copyByUs(b, source)
		ours += time.Since(began)
		began = time.Now()
		copyByFFmpeg(b, source)
		theirs += time.Since(began)
	}
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "x-ffmpeg")
	b.ReportMetric(minutes*60*float64(b.N)/ours.Seconds(), "x-realtime")
}

func copyByFFmpeg(b *testing.B, source string) {
	b.Helper()
	dir := b.TempDir()
	out, err := exec.CommandContext(b.Context(), "ffmpeg", "-v", "error", "-i", source, "-c", "copy", "-f", "hls",
		"-hls_segment_type", "fmp4", "-hls_time", "4", "-hls_playlist_type", "vod", filepath.Join(dir, "index.m3u8")).CombinedOutput()
	if err != nil {
		b.Fatalf("%v: %s", err, out)
	}
}

func copyByUs(b *testing.B, source string) {
	b.Helper()
	dir, grid := b.TempDir(), media.NewGrid(44100)
	p, err := packager.Create(dir, grid)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	sink, err := p.Open(media.Stream{
		Name: "aac-128", Codec: melodyud.CodecAAC, SampleRate: 44100, Channels: 2,
		FrameSize: media.AACFrame, Priming: media.AACFrame, Bitrate: 128_000, Timeline: grid.AAC,
	})
	if err != nil {
		b.Fatal(err)
	}
	config, packets := copyPackets(b, source, sink)
	samples := (packets - 1) * media.AACFrame
	if err := sink.Finish(media.Ending{Samples: samples, Config: config}); err != nil {
		b.Fatal(err)
	}
	m, err := p.Seal(packager.Meta{
		RenderHash: strings.Repeat("0", 64), MasterSHA256: strings.Repeat("1", 64), SampleRate: 44100, Samples: samples,
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := packager.Verify(b.Context(), opener(dir), &m); err != nil {
		b.Fatal(err)
	}
}

// copyPackets reads the packets of an MP4 file one by one.
func copyPackets(b *testing.B, source string, sink media.Sink) (config []byte, packets int64) {
	b.Helper()
	f, err := os.Open(source)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	file, err := mp4.DecodeFile(f, mp4.WithDecodeMode(mp4.DecModeLazyMdat))
	if err != nil {
		b.Fatal(err)
	}
	stbl := file.Moov.Trak.Mdia.Minf.Stbl
	if _, err := f.Seek(int64(file.Mdat.PayloadAbsoluteOffset()), io.SeekStart); err != nil {
		b.Fatal(err)
	}
	data, err := io.ReadAll(io.LimitReader(f, int64(file.Mdat.Size())))
	if err != nil {
		b.Fatal(err)
	}
	at := uint32(0)
	for i := range stbl.Stsz.GetNrSamples() {
		size := stbl.Stsz.GetSampleSize(int(i) + 1)
		if err := sink.WritePacket(media.Packet{Data: data[at : at+size], Samples: media.AACFrame}); err != nil {
			b.Fatal(err)
		}
		at += size
	}
	return stbl.Stsd.Mp4a.Esds.DecConfigDescriptor.DecSpecificInfo.DecConfig, int64(stbl.Stsz.GetNrSamples())
}
