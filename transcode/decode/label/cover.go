package label

import (
	"bytes"
	"encoding/binary"
)

// maxCoverSide keeps a picture of a few kilobytes from unpacking to gigabytes in
// a listener's browser.
const maxCoverSide = 6000

// MaxPicture is the most bytes a picture may have.
const MaxPicture = 5 << 20

// Picture returns the MIME type of data if it is a JPEG or a PNG we pass on, ""
// if not. Only its header is read: nobody here unpacks pixels.
func Picture(data []byte) string {
	if len(data) == 0 || len(data) > MaxPicture {
		return ""
	}
	mime, w, h := "image/png", 0, 0
	if bytes.HasPrefix(data, []byte("\xff\xd8\xff")) {
		mime = "image/jpeg"
		w, h = jpegSize(data)
	} else {
		w, h = pngSize(data)
	}
	if w < 1 || h < 1 || w > maxCoverSide || h > maxCoverSide {
		return ""
	}
	return mime
}

// pngSize reads the IHDR, which PNG wants first (PNG 3rd edition, 5.6).
func pngSize(b []byte) (w, h int) {
	if len(b) < 33 || string(b[:16]) != "\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR" {
		return 0, 0
	}
	return dimension(binary.BigEndian.Uint32(b[16:])), dimension(binary.BigEndian.Uint32(b[20:]))
}

func dimension(v uint32) int { return int(min(v, 1<<30)) }

// jpegSize walks the marker segments to the first frame header (ITU-T T.81, B.2.2).
func jpegSize(b []byte) (w, h int) {
	for i := 2; i+9 <= len(b); {
		if b[i] != 0xFF {
			return 0, 0
		}
		marker := b[i+1]
		if marker == 0xFF { // fill byte
			i++
			continue
		}
		if isFrameHeader(marker) {
			return int(binary.BigEndian.Uint16(b[i+7:])), int(binary.BigEndian.Uint16(b[i+5:]))
		}
		i += 2 + int(binary.BigEndian.Uint16(b[i+2:]))
	}
	return 0, 0
}

// isFrameHeader: SOF0..SOF15 without DHT, JPG and DAC, which share their range.
func isFrameHeader(marker byte) bool {
	return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC
}
