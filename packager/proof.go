package packager

import (
	"bytes"
	"crypto/md5" //nolint:gosec // FLAC's own checksum, not for security
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	melodyud "github.com/melodyud/melodyud"
)

// Decoder decodes the FLAC frames that src begins with. What it returns gives the
// samples of the next frame by channel, valid until the next call, and io.EOF after
// the last. It must share no code with the encoder: that is what makes it a proof.
type Decoder func(src io.Reader, rate, channels, depth int) (next func() ([][]int32, error))

// proof decodes a lossless rendition segment by segment.
type proof struct {
	want   *melodyud.Rendition
	decode Decoder
	sum    hash.Hash
	raw    []byte
}

// newProof returns nil, which proves nothing, for a lossy rendition and without a
// decoder.
func newProof(r *melodyud.Rendition, decode Decoder) *proof {
	if decode == nil || r.Codec != melodyud.CodecFLAC {
		return nil
	}
	return &proof{want: r, decode: decode, sum: md5.New()} //nolint:gosec // see above
}

// add decodes the frames of a segment, which must hold exactly so many samples.
func (p *proof) add(frames []byte, samples int64) error {
	if p == nil {
		return nil
	}
	next := p.decode(bytes.NewReader(frames), p.want.SampleRate, p.want.Channels, p.want.BitDepth)
	for {
		block, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("decode FLAC: %w", err)
		}
		samples -= int64(len(block[0]))
		p.digest(block)
	}
	if samples != 0 {
		return fmt.Errorf("its FLAC frames have %d samples too few", samples)
	}
	return nil
}

// digest adds a block as STREAMINFO's MD5 has it: interleaved, little-endian, in
// whole bytes (RFC 9639 §8.2).
func (p *proof) digest(block [][]int32) {
	width := (p.want.BitDepth + 7) / 8
	size := len(block[0]) * len(block) * width
	if cap(p.raw) < size {
		p.raw = make([]byte, size)
	}
	raw, at := p.raw[:size], 0
	for i := range block[0] {
		for _, channel := range block {
			v := channel[i]
			for range width {
				raw[at] = byte(v)
				v >>= 8
				at++
			}
		}
	}
	_, _ = p.sum.Write(raw) // a hash never fails
}

func (p *proof) end() error {
	if p == nil {
		return nil
	}
	if got := hex.EncodeToString(p.sum.Sum(nil)); got != p.want.PCMMD5 {
		return fmt.Errorf("its FLAC frames decode to samples of MD5 %s, those encoded had %s", got, p.want.PCMMD5)
	}
	return nil
}
