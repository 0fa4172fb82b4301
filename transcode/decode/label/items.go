package label

import (
	"encoding/binary"
	"strconv"

	"github.com/Eyevinn/mp4ff/mp4"
)

// itemKeys are the metadata items of iTunes we know; \xa9 is the copyright sign.
var itemKeys = map[string]string{"\xa9nam": "title", "\xa9ART": "artist", "\xa9alb": "album"}

// ReadItems reads moov/udta/meta/ilst. The parser keeps it as boxes it may or
// may not know, so it is written out and walked anew, bounded by its own length.
func (l *Set) ReadItems(moov *mp4.MoovBox) {
	for _, child := range moov.Children {
		if child.Type() != "udta" || child.Size() > MaxTag {
			continue
		}
		var b sliceWriter
		if child.Encode(&b) == nil {
			l.UserData(b)
		}
	}
}

type sliceWriter []byte

func (w *sliceWriter) Write(p []byte) (int, error) {
	*w = append(*w, p...)
	return len(p), nil
}

// UserData reads a udta box.
func (l *Set) UserData(b []byte) {
	meta := within(within(b, "udta", 0), "meta", 4)
	ilst := within(meta, "ilst", 0)
	for range maxLabels {
		kind, body, rest, ok := splitBox(ilst)
		if !ok {
			return
		}
		l.item(kind, body)
		ilst = rest
	}
}

// item takes one entry: a data box with eight bytes of type and locale in front.
func (l *Set) item(kind string, body []byte) {
	data := within(body, "data", 8)
	switch {
	case itemKeys[kind] != "":
		l.SetText(itemKeys[kind], string(data[:min(len(data), MaxText)]))
	case (kind == "trkn" || kind == "disk") && len(data) >= 4:
		key := map[string]string{"trkn": "number", "disk": "disc"}[kind]
		l.SetText(key, strconv.Itoa(int(binary.BigEndian.Uint16(data[2:]))))
	case kind == "covr":
		l.setPicture(pictureFront, data)
	case kind == "----" && string(within(body, "name", 4)) == "iTunSMPB":
		l.SetText("smpb", string(data[:min(len(data), MaxText)]))
	}
}

// within is the body of the first box of the kind in b, after skip bytes.
func within(b []byte, kind string, skip int) []byte {
	for range maxLabels {
		k, body, rest, ok := splitBox(b)
		if !ok {
			return nil
		}
		if k == kind {
			return body[min(skip, len(body)):]
		}
		b = rest
	}
	return nil
}

func splitBox(b []byte) (kind string, body, rest []byte, ok bool) {
	if len(b) < 8 {
		return "", nil, nil, false
	}
	n := int64(binary.BigEndian.Uint32(b))
	if n < 8 || n > int64(len(b)) {
		return "", nil, nil, false
	}
	return string(b[4:8]), b[8:n], b[n:], true
}
