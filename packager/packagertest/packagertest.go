// Package packagertest makes packaged tracks for tests: the boxes, lengths and
// playlists are those of real tracks, the coded bytes are noise nobody can decode.
package packagertest

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/packager"
)

// Track is a made-up track. Zero fields take the default.
type Track struct {
	Rate     int   // Hz of the source; default 44100
	Samples  int64 // per channel; default 10 s
	Channels int   // 1 or 2; default 2
	Ladder   melodyud.Ladder
	Priming  int64 // of AAC; default 1024, negative: none
	Stray    int   // AAC packets wholly beyond the end
	Loudness melodyud.Loudness
}

func (tr Track) filled() Track {
	if tr.Rate == 0 {
		tr.Rate = 44100
	}
	if tr.Samples == 0 {
		tr.Samples = 10 * int64(tr.Rate)
	}
	if tr.Channels == 0 {
		tr.Channels = 2
	}
	if tr.Ladder == nil {
		tr.Ladder = melodyud.DefaultLadder()
	}
	if tr.Priming == 0 {
		tr.Priming = media.AACFrame
	}
	tr.Priming = max(0, tr.Priming)
	return tr
}

// Build packages tr into dir. The same tr gives the same bytes.
func Build(t testing.TB, dir string, tr Track) melodyud.Manifest {
	t.Helper()
	m, err := TryBuild(dir, tr)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TryBuild is Build for tests that expect errors or use no testing.TB.
func TryBuild(dir string, tr Track) (m melodyud.Manifest, err error) {
	tr = tr.filled()
	grid := media.NewGrid(tr.Rate)
	p, err := packager.Create(dir, grid)
	if err != nil {
		return m, err
	}
	defer func() {
		if cerr := p.Close(); err == nil {
			err = cerr
		}
	}()
	lossless := Scale(tr.Samples, tr.Rate, grid.Lossless.Rate)
	for i, rung := range tr.Ladder {
		if err := tr.feed(p, grid, rung, lossless, uint64(i)); err != nil {
			return m, err
		}
	}
	return p.Seal(packager.Meta{
		RenderHash:   strings.Repeat("ab", 32),
		MasterSHA256: strings.Repeat("cd", 32),
		Source:       melodyud.Source{Container: "wav", Codec: "pcm_s16le", Lossless: true, SampleRate: tr.Rate, Channels: tr.Channels, BitDepth: 16, Gapless: true},
		Loudness:     tr.Loudness,
		SampleRate:   grid.Lossless.Rate,
		Samples:      lossless,
	})
}

// Scale is a length in samples at another rate, rounded up.
func Scale(samples int64, from, to int) int64 {
	return (samples*int64(to) + int64(from) - 1) / int64(from)
}

func (tr Track) feed(p *packager.Package, g media.Grid, rung melodyud.Rung, lossless int64, seed uint64) error {
	s, e := tr.stream(g, rung, lossless)
	sink, err := p.Open(s)
	if err != nil {
		return err
	}
	for packet := range slices.Values(Packets(s, e, tr.Stray, seed)) {
		if err := sink.WritePacket(packet); err != nil {
			return err
		}
	}
	return sink.Finish(e)
}

func (tr Track) stream(g media.Grid, rung melodyud.Rung, lossless int64) (media.Stream, media.Ending) {
	s := media.Stream{Name: rung.Name(), Codec: rung.Codec, Channels: tr.Channels, Bitrate: rung.Bitrate}
	if rung.Codec == melodyud.CodecFLAC {
		s.Timeline, s.FrameSize, s.BitDepth = g.Lossless, g.FLACBlock, 16
		s.SampleRate = s.Timeline.Rate
		md5 := strings.Repeat("5a", 16)
		return s, media.Ending{Samples: lossless, PCMMD5: md5, Config: StreamInfo(s, lossless, md5)}
	}
	s.Timeline, s.FrameSize, s.Priming = g.AAC, media.AACFrame, tr.Priming
	s.SampleRate = s.Timeline.Rate
	return s, media.Ending{Samples: Scale(lossless, g.Lossless.Rate, s.SampleRate), Config: ASC(s.SampleRate, s.Channels)}
}

// ASC is the AudioSpecificConfig of AAC-LC at 44.1 or 48 kHz.
func ASC(rate, channels int) []byte {
	index := 4
	if rate == 48000 {
		index = 3
	}
	return binary.BigEndian.AppendUint16(nil, uint16(2<<11|index<<7|channels<<3))
}

// StreamInfo is FLAC's STREAMINFO of a stream.
func StreamInfo(s media.Stream, samples int64, md5 string) []byte {
	b := make([]byte, 18, 34)
	binary.BigEndian.PutUint16(b, uint16(s.FrameSize))
	binary.BigEndian.PutUint16(b[2:], uint16(s.FrameSize))
	packed := uint64(s.SampleRate)<<44 | uint64(s.Channels-1)<<41 | uint64(s.BitDepth-1)<<36 | uint64(samples)
	binary.BigEndian.PutUint64(b[10:], packed)
	sum, err := hex.DecodeString(md5)
	if err != nil {
		panic(fmt.Sprintf("packagertest: MD5 %q: %v", md5, err))
	}
	return append(b, sum...)
}

// Packets are made-up packets of a stream that presents e.Samples, and of AAC
// stray more.
func Packets(s media.Stream, e media.Ending, stray int, seed uint64) []media.Packet {
	random := rand.New(rand.NewPCG(seed, uint64(e.Samples)))
	frame := int64(s.FrameSize)
	var out []media.Packet
	for left := s.Priming + e.Samples; left > 0; left -= frame {
		n := frame
		if s.Codec == melodyud.CodecFLAC {
			n = min(n, left)
		}
		out = append(out, media.Packet{Data: payload(s, len(out), random), Samples: int(n)})
	}
	if s.Codec == melodyud.CodecFLAC {
		stray = 0
	}
	for range stray {
		out = append(out, media.Packet{Data: payload(s, len(out), random), Samples: s.FrameSize})
	}
	return out
}

// FrameNumber codes n, below 2 to the 21st, as a FLAC frame does: like UTF-8, but
// with no numbers left out (RFC 9639 §9.1.5).
func FrameNumber(n int) []byte {
	switch {
	case n < 1<<7:
		return []byte{byte(n)}
	case n < 1<<11:
		return []byte{0xC0 | byte(n>>6), 0x80 | byte(n&63)}
	case n < 1<<16:
		return []byte{0xE0 | byte(n>>12), 0x80 | byte(n>>6&63), 0x80 | byte(n&63)}
	}
	return []byte{0xF0 | byte(n>>18), 0x80 | byte(n>>12&63), 0x80 | byte(n>>6&63), 0x80 | byte(n&63)}
}

func payload(s media.Stream, n int, random *rand.Rand) []byte {
	size := 40 + random.IntN(80)
	if s.Codec == melodyud.CodecFLAC {
		head := append([]byte{0xFF, 0xF8, 0xC9, 0x18}, FrameNumber(n)...)
		return append(head, bytes.Repeat([]byte{byte(n)}, size)...)
	}
	return append([]byte{0x21}, bytes.Repeat([]byte{byte(n)}, size)...)
}
