package packager_test

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/rand/v2"
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

// music is a made-up stereo signal in [-1, 1] that no shift of itself resembles.
func music(rate, samples int) [2][]float32 {
	random := rand.New(rand.NewPCG(1, uint64(rate)))
	var out [2][]float32
	for c := range out {
		out[c] = make([]float32, samples)
		for i := range out[c] {
			at := float64(i) / float64(rate)
			tone := math.Sin(2*math.Pi*(300+40*at+float64(c)*7)*at) + 0.5*math.Sin(2*math.Pi*1370*at)
			out[c][i] = float32(0.3*tone + 0.05*(random.Float64()-0.5))
		}
	}
	return out
}

// coded is a packaged track whose packets real encoders made.
type coded struct {
	dir      string
	manifest melodyud.Manifest
	pcm      [2][]float32 // what the AAC renditions were given
}

// encode packages a track of the given source rate, depth and length, AAC at the
// given rates and FLAC.
func encode(t *testing.T, rate, depth, samples int, kbps ...int) coded {
	t.Helper()
	grid := media.NewGrid(rate)
	c := coded{dir: t.TempDir()}
	p, err := packager.Create(c.dir, grid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, k := range kbps {
		c.pcm = music(grid.AAC.Rate, int(packagertest.Scale(int64(samples), rate, grid.AAC.Rate)))
		encodeAAC(t, p, grid, k, c.pcm)
	}
	encodeFLAC(t, p, grid, depth, music(rate, samples))
	c.manifest, err = p.Seal(packager.Meta{
		RenderHash: strings.Repeat("0", 64), MasterSHA256: strings.Repeat("1", 64),
		SampleRate: rate, Samples: int64(samples), Loudness: melodyud.Loudness{Integrated: new(-14.25)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func encodeAAC(t *testing.T, p *packager.Package, g media.Grid, kbps int, pcm [2][]float32) {
	t.Helper()
	enc, err := aac.NewEncoder(aac.EncoderConfig{SampleRate: g.AAC.Rate, Channels: 2, Bitrate: kbps * 1000})
	if err != nil {
		t.Fatal(err)
	}
	rung := melodyud.Rung{Codec: melodyud.CodecAAC, Bitrate: kbps * 1000}
	sink, err := p.Open(media.Stream{
		Name: rung.Name(), Codec: rung.Codec, SampleRate: g.AAC.Rate, Channels: 2,
		FrameSize: aac.FrameSize, Priming: aac.EncoderDelay, Bitrate: rung.Bitrate, Timeline: g.AAC,
	})
	if err != nil {
		t.Fatal(err)
	}
	write := func(data []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		if len(data) == 0 {
			return
		}
		if err := sink.WritePacket(media.Packet{Data: data, Samples: aac.FrameSize}); err != nil {
			t.Fatal(err)
		}
	}
	for at := 0; at < len(pcm[0]); at += aac.FrameSize {
		end := min(at+aac.FrameSize, len(pcm[0]))
		write(enc.EncodeFrame(nil, [][]float32{pcm[0][at:end], pcm[1][at:end]}))
	}
	for !enc.Drained() {
		write(enc.EncodeFrame(nil, nil))
	}
	if err := sink.Finish(media.Ending{Samples: int64(len(pcm[0])), Config: enc.AudioSpecificConfig()}); err != nil {
		t.Fatal(err)
	}
}

func encodeFLAC(t *testing.T, p *packager.Package, g media.Grid, depth int, pcm [2][]float32) {
	t.Helper()
	line := g.Lossless
	sink, err := p.Open(media.Stream{
		Name: "flac", Codec: melodyud.CodecFLAC, SampleRate: line.Rate, Channels: 2, BitDepth: depth,
		FrameSize: g.FLACBlock, Timeline: line,
	})
	if err != nil {
		t.Fatal(err)
	}
	info := &meta.StreamInfo{
		BlockSizeMin: uint16(g.FLACBlock), BlockSizeMax: uint16(g.FLACBlock), SampleRate: uint32(line.Rate),
		NChannels: 2, BitsPerSample: uint8(depth), NSamples: uint64(len(pcm[0])),
	}
	var out bytes.Buffer
	enc, err := flac.NewEncoder(&out, info)
	if err != nil {
		t.Fatal(err)
	}
	enc.EnablePredictionAnalysis(false)
	sum := md5.New()
	for at := 0; at < len(pcm[0]); at += g.FLACBlock {
		block := flacBlock(pcm, at, min(at+g.FLACBlock, len(pcm[0])), line.Rate, depth)
		sum.Write(interleave(block, depth))
		out.Reset()
		if err := enc.WriteFrame(block); err != nil {
			t.Fatal(err)
		}
		if err := sink.WritePacket(media.Packet{Data: out.Bytes(), Samples: int(block.BlockSize)}); err != nil {
			t.Fatal(err)
		}
	}
	digest := hex.EncodeToString(sum.Sum(nil))
	s := media.Stream{SampleRate: line.Rate, Channels: 2, BitDepth: depth, FrameSize: g.FLACBlock}
	if err := sink.Finish(media.Ending{
		Samples: int64(len(pcm[0])), PCMMD5: digest, Config: packagertest.StreamInfo(s, int64(len(pcm[0])), digest),
	}); err != nil {
		t.Fatal(err)
	}
}

func flacBlock(pcm [2][]float32, from, to, rate, depth int) *frame.Frame {
	f := &frame.Frame{Header: frame.Header{
		HasFixedBlockSize: true, BlockSize: uint16(to - from), SampleRate: uint32(rate),
		Channels: frame.ChannelsLR, BitsPerSample: uint8(depth),
	}}
	scale := float64(int(1)<<(depth-1) - 1)
	for c := range 2 {
		samples := make([]int32, to-from)
		for i := range samples {
			samples[i] = int32(math.Round(float64(pcm[c][from+i]) * scale))
		}
		f.Subframes = append(f.Subframes, &frame.Subframe{
			SubHeader: frame.SubHeader{Pred: frame.PredVerbatim}, Samples: samples, NSamples: to - from,
		})
	}
	return f
}

// interleave gives the samples as FLAC's MD5 wants them: little-endian, in as few
// whole bytes as the depth needs.
func interleave(f *frame.Frame, depth int) []byte {
	var out []byte
	for i := range f.Subframes[0].Samples {
		for _, s := range f.Subframes {
			var word [4]byte
			binary.LittleEndian.PutUint32(word[:], uint32(s.Samples[i]))
			out = append(out, word[:(depth+7)/8]...)
		}
	}
	return out
}
