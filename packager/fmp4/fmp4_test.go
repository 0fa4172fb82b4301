package fmp4_test

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/packager/fmp4"
	"github.com/melodyud/melodyud/packager/packagertest"
)

// aac and flac are streams on the grid of a source rate.
func aac(rate int) media.Stream {
	line := media.NewGrid(rate).AAC
	return media.Stream{
		Name: "aac-96", Codec: melodyud.CodecAAC, SampleRate: line.Rate, Channels: 2,
		FrameSize: media.AACFrame, Priming: 2048, Bitrate: 96000, Timeline: line,
	}
}

func flac(rate int) media.Stream {
	g := media.NewGrid(rate)
	return media.Stream{
		Name: "flac", Codec: melodyud.CodecFLAC, SampleRate: g.Lossless.Rate, Channels: 2, BitDepth: 24,
		FrameSize: g.FLACBlock, Timeline: g.Lossless,
	}
}

func ending(s media.Stream, samples int64) media.Ending {
	if s.Codec == melodyud.CodecAAC {
		return media.Ending{Samples: samples, Config: packagertest.ASC(s.SampleRate, s.Channels)}
	}
	md5 := strings.Repeat("5a", 16)
	return media.Ending{Samples: samples, PCMMD5: md5, Config: packagertest.StreamInfo(s, samples, md5)}
}

// parts is a track file in its parts.
type parts struct {
	init, index []byte
	segments    [][]byte
	cut         *fmp4.Cutter
}

func (p parts) file() []byte {
	return slices.Concat(p.init, p.index, slices.Concat(p.segments...))
}

// loudness is what every track file of these tests states.
var loudness = melodyud.Loudness{Integrated: new(-9.25), TruePeak: new(-0.40625), SamplePeak: new(-0.90625)}

func cut(t testing.TB, s media.Stream, samples int64, stray int) parts {
	t.Helper()
	var out bytes.Buffer
	c, err := fmp4.NewCutter(&out, s)
	if err != nil {
		t.Fatal(err)
	}
	e := ending(s, samples)
	for _, p := range packagertest.Packets(s, e, stray, 1) {
		if err := c.WritePacket(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Finish(e); err != nil {
		t.Fatal(err)
	}
	n := fmp4.Segments(s.Timeline, samples, media.TargetDuration)
	if err := c.Close(len(n), samples-n[len(n)-1]); err != nil {
		t.Fatal(err)
	}
	p := parts{cut: c}
	track := c.Track()
	track.Loudness = loudness
	if p.init, err = track.Init(); err != nil {
		t.Fatal(err)
	}
	if p.index, err = fmp4.Index(s.SampleRate, c.Sizes(), c.Durations()); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.Sizes() {
		p.segments = append(p.segments, slices.Clone(out.Next(int(n))))
	}
	if out.Len() != 0 {
		t.Fatalf("%d bytes belong to no segment", out.Len())
	}
	return p
}

func TestBoxesAreThoseOfTheStandardTables(t *testing.T) { // tables 2.1, 2.2, 2.3
	t.Parallel()
	for name, p := range map[string]parts{
		"aac-44100.txt":         cut(t, aac(44100), 10*44100, 0),
		"aac-one-sample.txt":    cut(t, aac(48000), 1, 0),
		"aac-44100-runt.txt":    cut(t, aac(44100), 176128+100, 1),
		"flac-44100.txt":        cut(t, flac(44100), 10*44100, 0),
		"flac-96000.txt":        cut(t, flac(96000), 96000*5, 0),
		"flac-176400-short.txt": cut(t, flac(176400), 5000, 0),
	} {
		var text bytes.Buffer
		if err := fmp4.Dump(&text, bytes.NewReader(p.file())); err != nil {
			t.Fatal(err)
		}
		packagertest.Golden(t, name, text.Bytes())
	}
}

func TestPartsReadBackAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	for _, rate := range []int{44100, 48000, 88200, 96000, 176400, 192000} {
		for _, s := range []media.Stream{aac(rate), flac(rate)} {
			p := cut(t, s, 2*s.Timeline.Segment+s.Timeline.Segment/2+1, 0)
			h, err := fmp4.ReadInit(p.init)
			if err != nil {
				t.Fatalf("%s %d: %v", s.Name, rate, err)
			}
			want := p.cut.Track()
			want.Loudness = loudness
			if diff := cmp.Diff(want, h.Track); diff != "" {
				t.Errorf("%s %d:\n%s", s.Name, rate, diff)
			}
			if _, refs, err := fmp4.ReadIndex(p.index); err != nil || len(refs) != 5 {
				t.Errorf("%s %d: index %v, %v", s.Name, rate, refs, err)
			}
			next := int64(0)
			for i, b := range p.segments {
				g, err := fmp4.ReadSegment(b, s.Codec)
				if err != nil || g.DecodeTime != next || g.Number != i+1 {
					t.Errorf("%s %d segment %d: %+v, %v", s.Name, rate, i, g, err)
				}
				next = g.End()
			}
		}
	}
}

func TestLoudnessIsStatedAsExactlyAsTheBoxCan(t *testing.T) { // NORM-6, ISO/IEC 14496-12 §12.2.7
	t.Parallel()
	none := melodyud.Loudness{}
	for _, c := range []struct{ in, want melodyud.Loudness }{
		{none, none},
		{melodyud.Loudness{TruePeak: new(-1.0), SamplePeak: new(-1.0)}, none}, // of silence
		{melodyud.Loudness{Integrated: new(-57.9)}, none},
		{melodyud.Loudness{Integrated: new(6.2)}, none},
		{melodyud.Loudness{Integrated: new(-57.8)}, melodyud.Loudness{Integrated: new(-57.75)}},
		{melodyud.Loudness{Integrated: new(6.1)}, melodyud.Loudness{Integrated: new(6.0)}},
		{
			melodyud.Loudness{Integrated: new(-13.88), Range: new(4.0), TruePeak: new(0.7), SamplePeak: new(-0.02)},
			melodyud.Loudness{Integrated: new(-14.0), TruePeak: new(0.6875), SamplePeak: new(-0.03125)},
		},
		{melodyud.Loudness{Integrated: new(-40.0), TruePeak: new(-108.1), SamplePeak: new(20.0)}, melodyud.Loudness{Integrated: new(-40.0)}},
	} {
		if diff := cmp.Diff(c.want, fmp4.Stated(c.in)); diff != "" {
			t.Errorf("%v", diff)
		}
		for _, s := range []media.Stream{aac(44100), flac(44100)} {
			track := fmp4.Track{Codec: s.Codec, SampleRate: 44100, Channels: 2, BitDepth: s.BitDepth, Config: ending(s, 1).Config, Loudness: c.in}
			b, err := track.Init()
			if err != nil {
				t.Fatal(err)
			}
			if h, err := fmp4.ReadInit(b); err != nil || !cmp.Equal(h.Loudness, c.want) {
				t.Errorf("%s: %v, %s", s.Name, err, cmp.Diff(c.want, h.Loudness))
			}
		}
	}
}

func TestEsdsTellsTheRatesOfThePackets(t *testing.T) { // section 2.3
	t.Parallel()
	s := aac(44100)
	c, err := fmp4.NewCutter(io.Discard, s)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 { // 43 packets of 1024 make a second
		size := 100
		if i >= 50 && i < 60 {
			size = 200
		}
		if err := c.WritePacket(media.Packet{Data: make([]byte, size), Samples: 1024}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Finish(media.Ending{Samples: 98 * 1024, Config: packagertest.ASC(44100, 2)}); err != nil {
		t.Fatal(err)
	}
	got := c.Track()
	if got.BufferSize != 200 || got.MaxBitrate != 8*(43*100+10*100) || got.AvgBitrate != 8*11000*44100/(100*1024) {
		t.Errorf("buffer %d, max %d, average %d", got.BufferSize, got.MaxBitrate, got.AvgBitrate)
	}
}

func TestRuntTailJoinsTheSegmentBeforeUnlessThatGetsTooLong(t *testing.T) { // HLS-51, HLS-73
	t.Parallel()
	l44 := media.Timeline{Rate: 44100, Segment: 176128}
	l48 := media.Timeline{Rate: 48000, Segment: 192512, Step: 4096}
	ramp := []int64{12 * 4096, 12 * 4096, 23 * 4096}
	for _, c := range []struct {
		line    media.Timeline
		samples int64
		want    []int64
	}{
		{l44, 0, nil},
		{l44, 1, []int64{1}},
		{l44, 176128, []int64{176128}},
		{l44, 176129, []int64{176129}},
		{l44, 176128 + 22049, []int64{176128 + 22049}},
		{l44, 176128 + 22050, []int64{176128, 22050}},
		{l44, 2 * 176128, []int64{176128, 176128}},
		{l44, 3*176128 + 5, []int64{176128, 176128, 176133}},
		{l48, 1, []int64{1}},
		{l48, 12*4096 + 23999, []int64{12*4096 + 23999}},
		{l48, 12*4096 + 24000, []int64{12 * 4096, 24000}},
		{l48, 192512 + 23999, []int64{12 * 4096, 12 * 4096, 23*4096 + 23999}},
		{l48, 192512 + 24000, append(ramp, 24000)},
		{l48, 2*192512 + 23487, append(ramp, 215999)},             // 4.49998 s
		{l48, 2*192512 + 23488, append(ramp, 188416, 23488+4096)}, // 4.5 s would round to 5
		{l48, 2*192512 + 23999, append(ramp, 188416, 23999+4096)},
		{l48, 2*192512 + 24000, append(ramp, 192512, 24000)},
	} {
		if got := fmp4.Segments(c.line, c.samples, 4); !slices.Equal(got, c.want) {
			t.Errorf("%d samples at %d Hz: %v instead of %v", c.samples, c.line.Rate, got, c.want)
		}
	}
}

func TestCutterRefusesWhatWouldNotPlay(t *testing.T) {
	t.Parallel()
	raw := []byte{0x21, 1, 2, 3, 4, 5, 6}
	frame := func(n byte) []byte { return []byte{0xFF, 0xF8, 0xC9, 0x18, n, 0, 0} }
	for _, c := range []struct {
		name    string
		stream  media.Stream
		packets []media.Packet
		want    string
	}{
		{"ADTS", aac(44100), []media.Packet{{Data: []byte{0xFF, 0xF1, 0x50, 0x80}, Samples: 1024}}, "ADTS"},
		{"empty packet", aac(44100), []media.Packet{{Samples: 1024}}, "empty"},
		{"long packet", aac(44100), []media.Packet{{Data: raw, Samples: 2048}}, "2048 samples"},
		{"packet of nothing", aac(44100), []media.Packet{{Data: raw}}, "0 samples"},
		{"packet after a short one", aac(44100), []media.Packet{{Data: raw, Samples: 1000}, {Data: raw, Samples: 1024}}, "short packet"},
		{"FLAC of variable blocks", flac(44100), []media.Packet{{Data: []byte{0xFF, 0xF9, 0, 0, 0, 0}, Samples: 4096}}, "fixed block size"},
		{"FLAC frame out of order", flac(44100), []media.Packet{{Data: frame(0), Samples: 4096}, {Data: frame(2), Samples: 4096}}, "frame 2 instead of 1"},
	} {
		cutter, err := fmp4.NewCutter(io.Discard, c.stream)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range c.packets {
			err = cutter.WritePacket(p)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestEndingMustFitThePackets(t *testing.T) { // GAP-3
	t.Parallel()
	for _, c := range []struct {
		name    string
		stream  media.Stream
		packets int
		samples int64
		want    string
	}{
		{"more promised than held", aac(44100), 4, 2*1024 + 1, "promised"},
		{"much beyond the end", aac(44100), 10, 1, "beyond the end"},
		{"FLAC beyond the end", flac(44100), 2, 8191, "instead of 8191"},
		{"nothing", aac(44100), 4, 0, "no samples"},
	} {
		cutter, err := fmp4.NewCutter(io.Discard, c.stream)
		if err != nil {
			t.Fatal(err)
		}
		held := ending(c.stream, int64(c.packets*c.stream.FrameSize)-c.stream.Priming)
		for _, p := range packagertest.Packets(c.stream, held, 0, 1) {
			if err := cutter.WritePacket(p); err != nil {
				t.Fatal(err)
			}
		}
		if err := cutter.Finish(ending(c.stream, c.samples)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err := cutter.Close(1, 0); err == nil {
			t.Errorf("%s: the unfinished stream was closed", c.name)
		}
	}
}

func TestSegmentsThatStreamsCannotMakeAreRefused(t *testing.T) { // ALIGN-4
	t.Parallel()
	s := aac(44100)
	nominal := s.Timeline.Segment
	for _, want := range []struct {
		n    int
		last int64
		ok   bool
	}{
		{4, nominal, true}, {5, 2 * nominal, true}, {5, 2*nominal - 1024, true}, // the tail merged, apart, enlarged
		{3, nominal, false}, {4, 2 * nominal, false}, {5, nominal, false}, {5, 2*nominal - 1, false}, {5, 3 * nominal, false}, {6, 2 * nominal, false},
	} {
		c, err := fmp4.NewCutter(io.Discard, s)
		if err != nil {
			t.Fatal(err)
		}
		e := ending(s, 2*nominal+100)
		for _, p := range packagertest.Packets(s, e, 0, 1) {
			if err := c.WritePacket(p); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Finish(e); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(want.n, want.last); (err == nil) != want.ok {
			t.Errorf("%d segments, the last from %d: %v", want.n, want.last, err)
		}
	}
}

type written struct{ bytes int64 }

func (w *written) Write(b []byte) (int, error) { w.bytes += int64(len(b)); return len(b), nil }

func TestCutterHoldsNoMoreThanASegmentAndARunt(t *testing.T) {
	t.Parallel()
	s := aac(44100)
	var out written
	c, err := fmp4.NewCutter(&out, s)
	if err != nil {
		t.Fatal(err)
	}
	in, most := int64(0), int64(0)
	packet := make([]byte, 1000)
	for range 5000 {
		if err := c.WritePacket(media.Packet{Data: packet, Samples: 1024}); err != nil {
			t.Fatal(err)
		}
		in += 1000
		most = max(most, in-out.bytes)
	}
	segment := s.Timeline.Segment / 1024
	if limit := (segment + segment/4) * 1000; most > limit {
		t.Errorf("%d bytes held, a segment has %d", most, segment*1000)
	}
}
