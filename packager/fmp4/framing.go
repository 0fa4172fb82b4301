package fmp4

import (
	"errors"
	"fmt"
	"math/bits"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/media"
)

// checkFraming catches what would play as noise: AAC still in ADTS (CMAF-2), FLAC
// frames of variable block size or wrong number (FLAC-1, FLAC-2).
func checkFraming(s media.Stream, decoded int64, data []byte) error {
	if s.Codec == melodyud.CodecAAC {
		if len(data) >= 2 && data[0] == 0xFF && data[1]&0xF6 == 0xF0 {
			return errors.New("it has an ADTS header; a track file takes raw access units")
		}
		return nil
	}
	if len(data) < 6 || data[0] != 0xFF || data[1] != 0xF8 {
		return errors.New("it is no FLAC frame of fixed block size")
	}
	n, ok := codedNumber(data[4:])
	if want := decoded / int64(s.FrameSize); !ok || n != want {
		return fmt.Errorf("it is FLAC frame %d instead of %d", n, want)
	}
	return nil
}

// codedNumber reads a FLAC frame number, which is coded like UTF-8 but up to 36
// bits long (RFC 9639 §9.1.5).
func codedNumber(b []byte) (int64, bool) {
	ones := bits.LeadingZeros8(^b[0])
	if ones == 0 {
		return int64(b[0]), true
	}
	if ones == 1 || ones == 8 || len(b) < ones {
		return 0, false
	}
	n := int64(b[0] & (0x7F >> ones))
	for _, c := range b[1:ones] {
		if c&0xC0 != 0x80 {
			return 0, false
		}
		n = n<<6 | int64(c&0x3F)
	}
	return n, true
}

// rateMeter measures coded bytes over a sliding second.
type rateMeter struct {
	window  int   // packets in a second
	recent  []int // their sizes, a ring
	next    int
	sum     int
	busiest int
	largest int
	total   int64
}

func (m *rateMeter) add(size int) {
	if len(m.recent) < m.window {
		m.recent = append(m.recent, size)
	} else {
		m.sum -= m.recent[m.next]
		m.recent[m.next] = size
		m.next = (m.next + 1) % m.window
	}
	m.sum += size
	m.total += int64(size)
	m.busiest = max(m.busiest, m.sum)
	m.largest = max(m.largest, size)
}
