package packager_test

import (
	"bytes"
	"context"
	"crypto/md5"

	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"

	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mewkiz/flac"
	"github.com/mewkiz/flac/frame"
	"github.com/mewkiz/flac/meta"
	"github.com/tphakala/go-aac"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/packager"
	"github.com/melodyud/melodyud/packager/packagertest"
)

// kind is a track of the matrix, of any length without long encoding: a second
// of AAC again and again, and FLAC of constant blocks.
type kind struct {
	rate, depth, channels int
	seconds               float64 // 0: one sample
}

func (k kind) String() string {
	return fmt.Sprintf("%d Hz, %d bits, %d channels, %g s", k.rate, k.depth, k.channels, k.seconds)
}

// long is of tracks whose gigabytes of samples are not digested and decoded: the
// MD5 they state is wrong.
func (k kind) long() bool { return k.seconds > 600 }

func (k kind) samples() int64 { return max(1, int64(k.seconds*float64(k.rate))) }

// TestStrictReadersAgreeOnEveryKindOfTrack gives packages to ffprobe, mediainfo
// and the readers from npm. None may have a word of warning.
func TestStrictReadersAgreeOnEveryKindOfTrack(t *testing.T) { // section 2.8, item 1; sections 1.10 and 9
	readers := packagertest.InstallReaders(t, filepath.Join("testdata", "outside"))
	kinds := []kind{
		{8000, 8, 1, 0}, {8000, 16, 2, 9.7}, {11025, 16, 2, 1.0}, {12000, 24, 1, 2.1}, {16000, 16, 1, 4.4},
		{22050, 8, 2, 8.05}, {24000, 24, 2, 31}, {32000, 16, 1, 8.25}, {37800, 16, 2, 12.5},
		{44100, 16, 2, 0}, {44100, 24, 1, 0.001}, {44100, 16, 1, 1.3}, {44100, 24, 2, 61.7},
		{48000, 16, 2, 8.49}, {48000, 24, 1, 8.5}, {48000, 8, 1, 0.02},
		{64000, 24, 2, 5}, {88200, 24, 2, 13}, {96000, 16, 1, 0}, {96000, 24, 2, 21.3},
		{128000, 16, 2, 3}, {176400, 24, 2, 9}, {192000, 24, 2, 0}, {192000, 16, 1, 16.6},
		{44101, 16, 2, 6}, // of no grid: packaged at 48 kHz
	}
	if !testing.Short() {
		kinds = append(kinds, kind{44100, 16, 2, 3 * 3600})
	}
	for _, k := range kinds {
		t.Run(k.String(), func(t *testing.T) {
			dir, m := k.build(t)
			decoder := byMewkiz(func(b [][]int32) [][]int32 { return b })
			if k.long() {
				decoder = nil
			}
			if err := packager.Prove(context.Background(), opener(dir), &m, decoder); err != nil {
				t.Error(err)
			}
			for i := range m.Renditions {
				checkProbe(t, dir, &m.Renditions[i])
				checkMediaInfo(t, dir, &m.Renditions[i])
			}
			readers.Check(t, dir, &m)
		})
	}
}

func (k kind) build(t *testing.T) (dir string, m melodyud.Manifest) {
	t.Helper()
	grid, dir := media.NewGrid(k.rate), t.TempDir()
	p, err := packager.Create(dir, grid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	lossless := packagertest.Scale(k.samples(), k.rate, grid.Lossless.Rate)
	k.addAAC(t, p, grid, packagertest.Scale(lossless, grid.Lossless.Rate, grid.AAC.Rate))
	k.addFLAC(t, p, grid, lossless)
	m, err = p.Seal(packager.Meta{
		RenderHash: strings.Repeat("0", 64), MasterSHA256: strings.Repeat("1", 64), SampleRate: grid.Lossless.Rate, Samples: lossless,
		Loudness: melodyud.Loudness{Integrated: new(-14.25), Range: new(4.5), TruePeak: new(-0.75), SamplePeak: new(-1.0)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir, m
}

func (k kind) addAAC(t *testing.T, p *packager.Package, g media.Grid, samples int64) {
	t.Helper()
	enc, err := aac.NewEncoder(aac.EncoderConfig{SampleRate: g.AAC.Rate, Channels: k.channels, Bitrate: 64_000})
	if err != nil {
		t.Fatal(err)
	}
	sink, err := p.Open(media.Stream{
		Name: "aac-64", Codec: melodyud.CodecAAC, SampleRate: g.AAC.Rate, Channels: k.channels,
		FrameSize: aac.FrameSize, Priming: aac.EncoderDelay, Bitrate: 64_000, Timeline: g.AAC,
	})
	if err != nil {
		t.Fatal(err)
	}
	var loop [][]byte
	sound := music(g.AAC.Rate, 40*aac.FrameSize)
	for at := 0; at < len(sound[0]); at += aac.FrameSize {
		block := [][]float32{sound[0][at : at+aac.FrameSize], sound[1][at : at+aac.FrameSize]}
		data, err := enc.EncodeFrame(nil, block[:k.channels])
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 0 {
			loop = append(loop, data)
		}
	}
	for i, left := 0, samples+aac.EncoderDelay; left > 0; i, left = i+1, left-aac.FrameSize {
		if err := sink.WritePacket(media.Packet{Data: loop[i%len(loop)], Samples: aac.FrameSize}); err != nil {
			t.Fatal(err)
		}
	}
	if err := sink.Finish(media.Ending{Samples: samples, Config: enc.AudioSpecificConfig()}); err != nil {
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
	var out bytes.Buffer
	enc, err := flac.NewEncoder(&out, &meta.StreamInfo{
		BlockSizeMin: uint16(g.FLACBlock), BlockSizeMax: uint16(g.FLACBlock), SampleRate: uint32(s.SampleRate),
		NChannels: uint8(k.channels), BitsPerSample: uint8(k.depth),
	})
	if err != nil {
		t.Fatal(err)
	}
	enc.EnablePredictionAnalysis(false)
	sum := md5.New()
	for n, left := int32(0), samples; left > 0; n, left = n+1, left-int64(g.FLACBlock) {
		size := int(min(left, int64(g.FLACBlock)))
		packet := media.Packet{Data: k.quick(size, n), Samples: size}
		if !k.long() {
			block := k.constant(s.SampleRate, size, n%100-50)
			sum.Write(interleave(block, k.depth))
			out.Reset()
			if err := enc.WriteFrame(block); err != nil {
				t.Fatal(err)
			}
			packet.Data = out.Bytes()
		}
		if err := sink.WritePacket(packet); err != nil {
			t.Fatal(err)
		}
	}
	digest := hex.EncodeToString(sum.Sum(nil))
	if err := sink.Finish(media.Ending{Samples: samples, PCMMD5: digest, Config: packagertest.StreamInfo(s, samples, digest)}); err != nil {
		t.Fatal(err)
	}
}

// quick is silent frame n, without the hours that making and hashing its samples
// takes (RFC 9639 §9).
func (k kind) quick(samples int, n int32) []byte {
	const fromStreamInfo, constant = 0, 0
	b := []byte{0xFF, 0xF8, 7<<4 | fromStreamInfo, byte(k.channels-1)<<4 | fromStreamInfo}
	b = append(b, packagertest.FrameNumber(int(n))...)
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

// constant is a frame of one value in all samples and channels.
func (k kind) constant(rate, samples int, value int32) *frame.Frame {
	layout := []frame.Channels{frame.ChannelsMono, frame.ChannelsLR}[k.channels-1]
	f := &frame.Frame{Header: frame.Header{
		HasFixedBlockSize: true, BlockSize: uint16(samples), SampleRate: uint32(rate), Channels: layout, BitsPerSample: uint8(k.depth),
	}}
	all := make([]int32, samples)
	for i := range all {
		all[i] = value
	}
	for range k.channels {
		f.Subframes = append(f.Subframes, &frame.Subframe{SubHeader: frame.SubHeader{Pred: frame.PredConstant}, Samples: all, NSamples: samples})
	}
	return f
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
