package workers_test

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/mewkiz/flac/frame"
	aacpcm "github.com/tphakala/go-aac/pcm"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/fixtures"
	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/packager"
	"github.com/melodyud/melodyud/packager/packagertest"
	"github.com/melodyud/melodyud/transcode"
	"github.com/melodyud/melodyud/workers"
)

// TestRendersAreExactForEveryKindOfMaster renders masters of every rate, depth,
// layout and awkward length through the real decoder child, encoders and packager.
func TestRendersAreExactForEveryKindOfMaster(t *testing.T) { // ALIGN-1..4, GAP-1..3, section 2.8 items 1 to 3
	engine, err := transcode.New(transcode.Config{FFmpeg: "-"})
	if err != nil {
		t.Fatal(err)
	}
	readers := packagertest.InstallReaders(t, filepath.Join("..", "packager", "testdata", "outside"))
	for _, c := range []struct {
		rate, channels int
		as             fixtures.Encoding
		samples        int
	}{
		{8000, 1, fixtures.S16, 8000 * 97 / 10}, {8000, 6, fixtures.S24, 1},
		{11025, 2, fixtures.S24, 11025 * 42 / 10},
		{22050, 6, fixtures.S16, 22050 * 3 / 10},
		{32000, 1, fixtures.S24, 32000 * 42 / 10},
		{44100, 2, fixtures.S16, 44100 * 97 / 10}, {44100, 1, fixtures.S24, 1},
		{48000, 6, fixtures.S24, 48000 * 42 / 10}, {48000, 2, fixtures.S16, 1},
		{88200, 2, fixtures.S24, 88200 * 97 / 10},
		{96000, 1, fixtures.S16, 96000 * 3 / 10},
		{192000, 6, fixtures.S24, 192000 * 3 / 10}, {192000, 2, fixtures.S16, 1},
	} {
		t.Run(fmt.Sprintf("%d Hz, %d channels, %s, %d samples", c.rate, c.channels, c.as, c.samples), func(t *testing.T) {
			spec := fixtures.Spec{Encoding: c.as, Rate: c.rate, Channels: c.channels, Samples: c.samples}
			dir := t.TempDir()
			m := renderSpec(t, engine, dir, spec)
			open := func(name string, off, _ int64) (io.ReadCloser, error) {
				f, err := os.Open(filepath.Join(dir, name))
				if err == nil {
					_, err = f.Seek(off, io.SeekStart)
				}
				return f, err
			}
			if err := packager.Verify(t.Context(), open, &m); err != nil {
				t.Error(err)
			}
			checkLossless(t, dir, &m, spec)
			checkLossy(t, dir, &m, spec)
			readers.Check(t, dir, &m)
		})
	}
}

func renderSpec(t *testing.T, engine *transcode.Engine, dir string, spec fixtures.Spec) melodyud.Manifest {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "master.wav"))
	if err == nil {
		err = fixtures.WAV(f, spec)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ladder := melodyud.Ladder{{Codec: melodyud.CodecAAC, Bitrate: 64_000}, {Codec: melodyud.CodecFLAC}}
	out, err := workers.RenderFile(t.Context(), engine, f, strings.Repeat("0", 64), dir, ladder, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out.Manifest
}

// packets reads a track file with a reader that is not ours.
func packets(t *testing.T, name string) (all []mp4.FullSample) {
	t.Helper()
	file, err := mp4.ReadMP4File(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range file.Segments {
		for _, f := range s.Fragments {
			got, err := f.GetFullSamples(file.Init.Moov.Mvex.Trex)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, got...)
		}
	}
	return all
}

// checkLossless decodes FLAC and compares every sample with the source's integers.
func checkLossless(t *testing.T, dir string, m *melodyud.Manifest, spec fixtures.Spec) {
	t.Helper()
	r, _ := m.Rendition("flac")
	depth := 8 * spec.Encoding.Bytes()
	if r.SampleRate != spec.Rate || r.Channels != spec.Channels || r.BitDepth != depth || r.Samples != int64(spec.Samples) {
		t.Fatalf("flac of %d Hz, %d channels, %d bits, %d samples", r.SampleRate, r.Channels, r.BitDepth, r.Samples)
	}
	want := fixtures.Planar(fixtures.Sines(440), spec.Rate, spec.Channels, spec.Samples)
	sum, at := md5.New(), 0
	for _, p := range packets(t, filepath.Join(dir, r.File)) {
		f, err := frame.Parse(bytes.NewReader(p.Data))
		if err != nil {
			t.Fatalf("frame at sample %d: %v", at, err)
		}
		var raw []byte
		for i := range int(f.BlockSize) {
			for c, s := range f.Subframes {
				if got, source := s.Samples[i], fixtures.Quantize(want[c][at+i], depth); float32(got)/float32(int(1)<<(depth-1)) != source {
					t.Fatalf("sample %d of channel %d is %d, the source has %g", at+i, c, got, source)
				}
				raw = binary.LittleEndian.AppendUint32(raw, uint32(s.Samples[i]))
				raw = raw[:len(raw)-4+depth/8]
			}
		}
		sum.Write(raw)
		at += int(f.BlockSize)
	}
	if at != spec.Samples || hex.EncodeToString(sum.Sum(nil)) != r.PCMMD5 {
		t.Errorf("%d samples of MD5 %x, want %d of %s", at, sum.Sum(nil), spec.Samples, r.PCMMD5)
	}
}

// checkLossy decodes AAC and compares the length that is presented with the source's.
func checkLossy(t *testing.T, dir string, m *melodyud.Manifest, spec fixtures.Spec) {
	t.Helper()
	r, _ := m.Rendition("aac-64")
	rate := int64(media.NewGrid(spec.Rate).AAC.Rate)
	want := (int64(spec.Samples)*rate + int64(spec.Rate) - 1) / int64(spec.Rate)
	var units bytes.Buffer
	var decoded, presented int64
	for _, p := range packets(t, filepath.Join(dir, r.File)) {
		units.Write(binary.BigEndian.AppendUint16(nil, uint16(len(p.Data))))
		units.Write(p.Data)
		decoded, presented = decoded+media.AACFrame, presented+int64(p.Dur)
	}
	if r.Samples != want || presented-r.EncoderDelay != want || decoded-r.EncoderDelay-r.EndPadding != want {
		t.Errorf("aac presents %d samples (%d in the file, %d decoded less %d), want %d",
			r.Samples, presented-r.EncoderDelay, decoded, r.EncoderDelay+r.EndPadding, want)
	}
	channels := min(spec.Channels, 2)
	config := map[int64]uint16{44100: 0x1200, 48000: 0x1180}[rate] | uint16(channels)<<3
	dec, err := aacpcm.NewDecoder(&units, aacpcm.WithRawStream(binary.BigEndian.AppendUint16(nil, config)))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, dec); err != nil || n != decoded*int64(2*channels) {
		t.Errorf("decoding gives %d bytes, %v, want %d", n, err, decoded*int64(2*channels))
	}
}
