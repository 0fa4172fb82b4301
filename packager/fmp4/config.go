package fmp4

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
)

// aacRates is the samplingFrequencyIndex table of ISO/IEC 14496-3 §1.6.3.4.
var aacRates = []int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

const aacLC = 2

// checkASC holds an AudioSpecificConfig to what the stream says of itself:
// AAC-LC in frames of 1024, one or two channels. Trailing bytes (an encoder's
// "no SBR" extension) are allowed.
func checkASC(asc []byte, rate, channels int) error {
	if len(asc) < 2 || len(asc) > 64 {
		return fmt.Errorf("AudioSpecificConfig of %d bytes", len(asc))
	}
	head := binary.BigEndian.Uint16(asc)
	object, index, layout := head>>11, int(head>>7&15), int(head>>3&15)
	want := slices.Index(aacRates, rate)
	if object != aacLC || index != want || layout != channels || head&7 != 0 {
		return fmt.Errorf("AudioSpecificConfig %x is not AAC-LC of %d Hz and %d channels", asc, rate, channels)
	}
	return nil
}

// streamInfo is FLAC's STREAMINFO (RFC 9639 §8.2).
type streamInfo struct {
	minBlock, maxBlock int
	rate               int
	channels           int
	depth              int
	samples            int64
	md5                string
}

const streamInfoSize = 34

func parseStreamInfo(b []byte) (streamInfo, error) {
	if len(b) != streamInfoSize {
		return streamInfo{}, fmt.Errorf("STREAMINFO of %d bytes instead of %d", len(b), streamInfoSize)
	}
	packed := binary.BigEndian.Uint64(b[10:])
	return streamInfo{
		minBlock: int(binary.BigEndian.Uint16(b)),
		maxBlock: int(binary.BigEndian.Uint16(b[2:])),
		rate:     int(packed >> 44),
		channels: int(packed>>41&7) + 1,
		depth:    int(packed>>36&31) + 1,
		samples:  int64(packed & (1<<36 - 1)),
		md5:      hex.EncodeToString(b[18:]),
	}, nil
}

func checkStreamInfo(b []byte, rate, channels, depth int) error {
	s, err := parseStreamInfo(b)
	if err != nil {
		return err
	}
	if s.rate != rate || s.channels != channels || s.depth != depth {
		return fmt.Errorf("STREAMINFO says %d Hz, %d channels, %d bits; the stream says %d Hz, %d channels, %d bits",
			s.rate, s.channels, s.depth, rate, channels, depth)
	}
	return nil
}
