package elementary_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/mewkiz/flac"
	"pgregory.net/rapid"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/packager/elementary"
	"github.com/melodyud/melodyud/transcode/encode"
	"github.com/melodyud/melodyud/transcode/pcm"
)

func TestADTSHeadersSayRateChannelsAndLength(t *testing.T) { // ISO/IEC 14496-3 table 1.A.6, 1.A.7
	t.Parallel()
	rates := []int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}
	rapid.Check(t, func(t *rapid.T) {
		index := rapid.IntRange(0, len(rates)-1).Draw(t, "rate")
		channels := rapid.IntRange(1, 2).Draw(t, "channels")
		unit := bytes.Repeat([]byte{0xA5}, rapid.IntRange(1, 8184).Draw(t, "size"))
		var out bytes.Buffer
		sink, err := elementary.NewADTS(&out, media.Stream{Codec: melodyud.CodecAAC, SampleRate: rates[index], Channels: channels})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // a header must not remember the one before
			if err := sink.WritePacket(media.Packet{Data: unit, Samples: 1024}); err != nil {
				t.Fatal(err)
			}
		}
		frame := out.Next(7 + len(unit))
		if !bytes.Equal(frame, out.Bytes()) || !bytes.Equal(frame[7:], unit) {
			t.Fatal("the second frame is not the first")
		}
		var head uint64
		for _, b := range frame[:7] {
			head = head<<8 | uint64(b)
		}
		field := func(from, bits int) int { return int(head >> (56 - from - bits) & (1<<bits - 1)) }
		for _, f := range []struct{ from, bits, want int }{
			{0, 12, 0xFFF}, {12, 1, 0}, {13, 2, 0}, {15, 1, 1}, // sync word, MPEG-4, layer, no CRC
			{16, 2, 1}, {18, 4, index}, {23, 3, channels}, {30, 13, 7 + len(unit)},
			{43, 11, 0x7FF}, {54, 2, 0},
		} {
			if got := field(f.from, f.bits); got != f.want {
				t.Fatalf("bit %d: %d instead of %d", f.from, got, f.want)
			}
		}
	})
}

func TestStreamsWithoutAFormAreRefused(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]media.Stream{
		"FLAC in ADTS":  {Codec: melodyud.CodecFLAC, SampleRate: 44100, Channels: 2},
		"odd rate":      {Codec: melodyud.CodecAAC, SampleRate: 44000, Channels: 2},
		"six channels":  {Codec: melodyud.CodecAAC, SampleRate: 44100, Channels: 6},
		"zero channels": {Codec: melodyud.CodecAAC, SampleRate: 44100},
	} {
		if _, err := elementary.NewADTS(io.Discard, s); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	sink, err := elementary.NewADTS(io.Discard, media.Stream{Codec: melodyud.CodecAAC, SampleRate: 44100, Channels: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 8185} {
		if err := sink.WritePacket(media.Packet{Data: make([]byte, n), Samples: 1024}); err == nil {
			t.Errorf("an access unit of %d bytes was taken", n)
		}
	}
}

func TestFLACFilesReadBackWithTheirLengthAndDigest(t *testing.T) { // FLAC-1, FLAC-2
	t.Parallel()
	const samples = 3*media.FLACBlock + 17
	stream := media.Stream{
		Codec: melodyud.CodecFLAC, SampleRate: 44100, Channels: 1, BitDepth: 16, FrameSize: media.FLACBlock,
	}
	name := filepath.Join(t.TempDir(), "out.flac")
	want := make([]float32, samples)
	for i := range want {
		want[i] = float32(i*7919%65536-32768) / 32768
	}
	writeFLAC(t, name, stream, want)
	in, err := flac.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if in.Info.NSamples != samples || in.Info.MD5sum == [16]byte{} || in.Info.FrameSizeMax == 0 {
		t.Errorf("%+v", in.Info)
	}
	at := 0
	for {
		f, err := in.ParseNext()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range f.Subframes[0].Samples {
			if float32(v)/32768 != want[at] {
				t.Fatalf("sample %d is %d, not %g", at, v, want[at]*32768)
			}
			at++
		}
	}
	if at != samples {
		t.Errorf("%d samples instead of %d", at, samples)
	}
}

func writeFLAC(t *testing.T, name string, s media.Stream, samples []float32) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sink, err := elementary.NewFLAC(f, s)
	if err != nil {
		t.Fatal(err)
	}
	enc, err := encode.NewFLAC(s, sink)
	if err != nil {
		t.Fatal(err)
	}
	if err := enc.Encode(pcm.Block{Samples: [][]float32{samples}}); err != nil {
		t.Fatal(err)
	}
	end, err := enc.Close()
	if err != nil {
		t.Fatal(err)
	}
	if err := sink.Finish(end); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seek(0, io.SeekCurrent); err != nil {
		t.Fatal(err)
	}
}
