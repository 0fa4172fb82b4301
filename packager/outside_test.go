package packager_test

import (
	"context"

	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"

	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tphakala/go-aac"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/packager"
	"github.com/melodyud/melodyud/packager/packagertest"
)

// kind is a track of the matrix, of any length without long encoding: a second
// of AAC again and again, and silent FLAC.
type kind struct {
	rate, depth, channels int
	seconds               float64 // 0: one sample
}

func (k kind) String() string {
	return fmt.Sprintf("%d Hz, %d bits, %d channels, %g s", k.rate, k.depth, k.channels, k.seconds)
}

func (k kind) samples() int64 { return max(1, int64(k.seconds*float64(k.rate))) }

// TestStrictReadersAgreeOnEveryKindOfTrack gives packages to ffprobe, mediainfo
// and the readers from npm. None may have a word of warning.
func TestStrictReadersAgreeOnEveryKindOfTrack(t *testing.T) { // section 2.8, item 1; sections 1.10 and 9
	readers := packagertest.InstallReaders(t, filepath.Join("testdata", "outside"))
	kinds := []kind{
		{8000, 8, 1, 0}, {11025, 16, 2, 9.7}, {16000, 16, 1, 4.4}, {22050, 8, 2, 8.05}, {32000, 24, 1, 8.25}, {37800, 16, 2, 12.5},
		{44100, 16, 2, 0}, {44100, 16, 1, 1.3}, {44100, 24, 2, 61.7}, {48000, 16, 2, 8.49}, {48000, 24, 1, 8.5},
		{88200, 24, 2, 13}, {96000, 16, 1, 0}, {176400, 24, 2, 9}, {192000, 24, 2, 16.6},
		{44101, 16, 2, 6}, // of no grid: packaged at 48 kHz
	}
	if !testing.Short() {
		kinds = append(kinds, []kind{
			{8000, 16, 2, 9.7}, {12000, 24, 1, 2.1}, {24000, 24, 2, 31}, {44100, 24, 1, 0.001}, {48000, 8, 1, 0.02}, {64000, 24, 2, 5},
			{96000, 24, 2, 21.3}, {128000, 16, 2, 3}, {192000, 16, 1, 0}, {44100, 16, 2, 3 * 3600},
		}...)
	}
	packages := map[string]*melodyud.Manifest{}
	loops := coders{}
	for _, k := range kinds {
		dir := t.TempDir()
		m := k.build(t, dir, loops)
		packages[dir] = &m
		if err := packager.Verify(context.Background(), opener(dir), &m); err != nil {
			t.Errorf("%s: %v", k, err)
		}
		for i := range m.Renditions {
			checkProbe(t, dir, &m.Renditions[i])
			checkMediaInfo(t, dir, &m.Renditions[i])
		}
	}
	readers.CheckAll(t, packages)
}

// coders are what a second of sound becomes, by rate and channels.
type coders map[[2]int]coder

type coder struct {
	config  []byte
	packets [][]byte
}

func (c coders) of(t *testing.T, rate, channels int) coder {
	t.Helper()
	if made, ok := c[[2]int{rate, channels}]; ok {
		return made
	}
	enc, err := aac.NewEncoder(aac.EncoderConfig{SampleRate: rate, Channels: channels, Bitrate: 64_000})
	if err != nil {
		t.Fatal(err)
	}
	made := coder{config: enc.AudioSpecificConfig()}
	sound := music(rate, 40*aac.FrameSize)
	for at := 0; at < len(sound[0]); at += aac.FrameSize {
		block := [][]float32{sound[0][at : at+aac.FrameSize], sound[1][at : at+aac.FrameSize]}
		data, err := enc.EncodeFrame(nil, block[:channels])
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 0 {
			made.packets = append(made.packets, data)
		}
	}
	c[[2]int{rate, channels}] = made
	return made
}

func (k kind) build(t *testing.T, dir string, loops coders) melodyud.Manifest {
	t.Helper()
	grid := media.NewGrid(k.rate)
	p, err := packager.Create(dir, grid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	lossless := packagertest.Scale(k.samples(), k.rate, grid.Lossless.Rate)
	k.addAAC(t, p, grid, packagertest.Scale(lossless, grid.Lossless.Rate, grid.AAC.Rate), loops.of(t, grid.AAC.Rate, k.channels))
	k.addFLAC(t, p, grid, lossless)
	m, err := p.Seal(packager.Meta{
		RenderHash: strings.Repeat("0", 64), MasterSHA256: strings.Repeat("1", 64), SampleRate: grid.Lossless.Rate, Samples: lossless,
		Loudness: melodyud.Loudness{Integrated: new(-14.25), Range: new(4.5), TruePeak: new(-0.75), SamplePeak: new(-1.0)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (k kind) addAAC(t *testing.T, p *packager.Package, g media.Grid, samples int64, loop coder) {
	t.Helper()
	sink, err := p.Open(media.Stream{
		Name: "aac-64", Codec: melodyud.CodecAAC, SampleRate: g.AAC.Rate, Channels: k.channels,
		FrameSize: aac.FrameSize, Priming: aac.EncoderDelay, Bitrate: 64_000, Timeline: g.AAC,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, left := 0, samples+aac.EncoderDelay; left > 0; i, left = i+1, left-aac.FrameSize {
		if err := sink.WritePacket(media.Packet{Data: loop.packets[i%len(loop.packets)], Samples: aac.FrameSize}); err != nil {
			t.Fatal(err)
		}
	}
	if err := sink.Finish(media.Ending{Samples: samples, Config: loop.config}); err != nil {
		t.Fatal(err)
	}
}

func (k kind) addFLAC(t *testing.T, p *packager.Package, g media.Grid, samples int64) {
	t.Helper()
	s := media.Stream{
		Name: "flac", Codec: melodyud.CodecFLAC, SampleRate: g.Lossless.Rate, Channels: k.channels, BitDepth: k.depth,
		FrameSize: g.FLACBlock, Timeline: g.Lossless,
	}
	sink, err := p.Open(s)
	if err != nil {
		t.Fatal(err)
	}
	for n, left := 0, samples; left > 0; n, left = n+1, left-int64(g.FLACBlock) {
		size := int(min(left, int64(g.FLACBlock)))
		if err := sink.WritePacket(media.Packet{Data: k.silence(size, n), Samples: size}); err != nil {
			t.Fatal(err)
		}
	}
	unknown := strings.Repeat("0", 32) // RFC 9639 §8.2
	if err := sink.Finish(media.Ending{Samples: samples, PCMMD5: unknown, Config: packagertest.StreamInfo(s, samples, unknown)}); err != nil {
		t.Fatal(err)
	}
}

// silence is FLAC frame n (RFC 9639 §9).
func (k kind) silence(samples, n int) []byte {
	const fromStreamInfo, constant = 0, 0
	b := []byte{0xFF, 0xF8, 7<<4 | fromStreamInfo, byte(k.channels-1)<<4 | fromStreamInfo}
	b = append(b, packagertest.FrameNumber(n)...)
	b = binary.BigEndian.AppendUint16(b, uint16(samples-1))
	b = append(b, byte(remainder(b, 8, 0x07)))
	for range k.channels {
		b = append(append(b, constant), make([]byte, k.depth/8)...)
	}
	return binary.BigEndian.AppendUint16(b, uint16(remainder(b, 16, 0x8005)))
}

// remainder is the CRC of b with a polynomial of 8 or 16 bits.
func remainder(b []byte, bits int, polynomial uint32) (sum uint32) {
	for _, c := range b {
		sum ^= uint32(c) << (bits - 8)
		for range 8 {
			top := sum >> (bits - 1) & 1
			sum = sum<<1 ^ top*polynomial
		}
	}
	return sum & (1<<bits - 1)
}

// checkProbe has ffprobe read every packet.
func checkProbe(t *testing.T, dir string, r *melodyud.Rendition) {
	t.Helper()
	if _, err := exec.LookPath("ffprobe"); err != nil {
		t.Log("ffprobe is not installed and was not asked")
		return
	}
	out := run(t, "ffprobe", "-v", "warning", "-of", "json", "-count_packets",
		"-show_entries", "stream=codec_name,sample_rate,channels,nb_read_packets,bits_per_raw_sample", filepath.Join(dir, r.File))
	var said struct {
		Streams []struct {
			Codec    string `json:"codec_name"`
			Rate     string `json:"sample_rate"`
			Channels int    `json:"channels"`
			Packets  string `json:"nb_read_packets"`
			Depth    string `json:"bits_per_raw_sample"`
		}
	}
	if err := json.Unmarshal(out, &said); err != nil || len(said.Streams) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	frameSize := int64(aac.FrameSize)
	if r.Codec == melodyud.CodecFLAC {
		frameSize = int64(media.NewGrid(r.SampleRate).FLACBlock)
	}
	packets := (r.EncoderDelay + r.Samples + frameSize - 1) / frameSize
	s := said.Streams[0]
	if s.Codec != string(r.Codec) || s.Rate != strconv.Itoa(r.SampleRate) || s.Channels != r.Channels || s.Packets != strconv.FormatInt(packets, 10) {
		t.Errorf("%s: ffprobe says %+v, it has %d packets", r.File, s, packets)
	}
	if r.BitDepth != 0 && s.Depth != strconv.Itoa(r.BitDepth) {
		t.Errorf("%s: ffprobe says %s bits", r.File, s.Depth)
	}
}

// checkMediaInfo compares what mediainfo says of a file. It knows no edit list of
// fragmented files, so that AAC lasts as long as all its packets.
func checkMediaInfo(t *testing.T, dir string, r *melodyud.Rendition) {
	t.Helper()
	if _, err := exec.LookPath("mediainfo"); err != nil {
		t.Log("mediainfo is not installed and was not asked")
		return
	}
	out := run(t, "mediainfo", "--Output=JSON", "--Full", filepath.Join(dir, r.File))
	for _, bad := range []string{"Error", "Warning", "Truncated", "Conformance"} {
		if strings.Contains(string(out), bad) {
			t.Errorf("%s: mediainfo has something to say:\n%s", r.File, out)
		}
	}
	var said struct {
		Media struct {
			Track []map[string]any
		}
	}
	if err := json.Unmarshal(out, &said); err != nil || len(said.Media.Track) != 2 {
		t.Fatalf("%v: %s", err, out)
	}
	sound := said.Media.Track[1]
	duration, err := strconv.ParseFloat(fmt.Sprint(sound["Duration"]), 64)
	if want := float64(r.EncoderDelay+r.Samples) / float64(r.SampleRate); err != nil || math.Abs(duration-want) > 0.0015 {
		t.Errorf("%s: mediainfo says %v s instead of %f", r.File, sound["Duration"], want)
	}
	format := map[melodyud.Codec]string{melodyud.CodecAAC: "AAC", melodyud.CodecFLAC: "FLAC"}[r.Codec]
	rate, err := strconv.ParseFloat(fmt.Sprint(sound["SamplingRate"]), 64)
	if sound["Format"] != format || err != nil || int(rate) != r.SampleRate || fmt.Sprint(sound["Channels"]) != strconv.Itoa(r.Channels) {
		t.Errorf("%s: mediainfo says %v, %v Hz, %v channels", r.File, sound["Format"], sound["SamplingRate"], sound["Channels"])
	}
	if depth := fmt.Sprint(sound["BitDepth"]); r.BitDepth != 0 && depth != strconv.Itoa(r.BitDepth) {
		t.Errorf("%s: mediainfo says %s bits", r.File, depth)
	}
}
