package elementary

import (
	"errors"
	"fmt"
	"io"
	"slices"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/media"
)

// rates are the sampling frequencies by index, ISO/IEC 14496-3 table 1.18.
var rates = []int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// headerSize is the length of an ADTS header without CRC, largestFrame what its
// length field can say.
const (
	headerSize   = 7
	largestFrame = 1<<13 - 1
)

// ADTS writes AAC-LC access units, each behind a header. It is a media.Sink.
type ADTS struct {
	w      io.Writer
	header [headerSize]byte
}

// NewADTS returns a sink that writes s to w. It fails unless s is AAC of 1 or 2
// channels at one of the thirteen rates that ADTS has a number for.
func NewADTS(w io.Writer, s media.Stream) (*ADTS, error) {
	index := slices.Index(rates, s.SampleRate)
	switch {
	case s.Codec != melodyud.CodecAAC:
		return nil, fmt.Errorf("an ADTS stream holds AAC, not %s", s.Codec)
	case index < 0:
		return nil, fmt.Errorf("ADTS has no number for %d Hz", s.SampleRate)
	case s.Channels < 1 || s.Channels > 2:
		return nil, fmt.Errorf("ADTS of %d channels: 1 and 2 are supported", s.Channels)
	}
	const lowComplexity = 1
	return &ADTS{w: w, header: [headerSize]byte{
		0xFF, 0xF1, // sync word, MPEG-4, no CRC
		lowComplexity<<6 | byte(index)<<2,
		byte(s.Channels) << 6,
		0, 0x1F, 0xFC, // buffer fullness: variable rate; one access unit
	}}, nil
}

// WritePacket implements media.Sink.
func (a *ADTS) WritePacket(p media.Packet) error {
	size := headerSize + len(p.Data)
	if len(p.Data) == 0 || size > largestFrame {
		return fmt.Errorf("an access unit of %d bytes has no ADTS form", len(p.Data))
	}
	h := a.header
	h[3] |= byte(size >> 11)
	h[4] = byte(size >> 3)
	h[5] |= byte(size << 5)
	if _, err := a.w.Write(h[:]); err != nil {
		return fmt.Errorf("write ADTS header: %w", err)
	}
	if _, err := a.w.Write(p.Data); err != nil {
		return fmt.Errorf("write access unit: %w", err)
	}
	return nil
}

// Finish implements media.Sink.
func (a *ADTS) Finish(e media.Ending) error {
	if e.Samples <= 0 {
		return errors.New("finish ADTS: no samples")
	}
	return nil
}
