package label

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"io"
	"strconv"
	"strings"
)

// id3Keys names the frames we know, of ID3v2.2 and of 2.3 and 2.4.
var id3Keys = map[string]string{
	"TT2": "title", "TP1": "artist", "TAL": "album",
	"TIT2": "title", "TPE1": "artist", "TALB": "album",
	"TRK": "number", "TPA": "disc", "TRCK": "number", "TPOS": "disc",
}

const (
	id3Unsync   = 0x80 // of the whole tag, flags in the header
	id3Extended = 0x40
)

// ReadID3 reads the ID3v2 tag of at most size bytes at at.
func (l *Set) ReadID3(in Peeker, at, size int64) {
	head, err := in.Peek(at, ID3Head)
	if err != nil {
		return
	}
	n, ok := ID3Size(head)
	if !ok {
		return
	}
	body, err := in.Peek(at+ID3Head, int(min(n-ID3Head, size-ID3Head, MaxTag)))
	if err != nil {
		return
	}
	version, flags := head[3], head[5]
	if flags&id3Unsync != 0 && version < 4 {
		body = resync(body)
	}
	if flags&id3Extended != 0 && version > 2 {
		body = skipExtended(body, version)
	}
	l.id3Frames(body, version)
}

// resync undoes ID3's unsynchronisation: a zero byte after every 0xFF.
func resync(b []byte) []byte { return bytes.ReplaceAll(b, []byte{0xFF, 0}, []byte{0xFF}) }

// skipExtended skips the extended header, unless the flag for one lies and a frame
// stands there.
func skipExtended(b []byte, version byte) []byte {
	if len(b) < 4 {
		return nil
	}
	if id3Keys[string(b[:4])] != "" {
		return b
	}
	n := int64(binary.BigEndian.Uint32(b)) + 4
	if version == 4 {
		n = synchsafe(b)
	}
	return b[min(n, int64(len(b))):]
}

func synchsafe(b []byte) int64 {
	return int64(b[0]&0x7F)<<21 | int64(b[1]&0x7F)<<14 | int64(b[2]&0x7F)<<7 | int64(b[3]&0x7F)
}

func (l *Set) id3Frames(b []byte, version byte) {
	for range maxLabels {
		id, body, rest, ok := id3Frame(b, version)
		if !ok {
			return
		}
		l.id3Note(id, body)
		b = rest
	}
}

// id3Frame splits off the first frame. Padding and nonsense end the tag.
func id3Frame(b []byte, version byte) (id string, body, rest []byte, ok bool) {
	idLen, head := 4, 10
	if version == 2 {
		idLen, head = 3, 6
	}
	if len(b) < head || b[0] == 0 {
		return "", nil, nil, false
	}
	id = string(b[:idLen])
	n := int64(0)
	switch version {
	case 2:
		n = int64(b[3])<<16 | int64(b[4])<<8 | int64(b[5])
	case 3:
		n = int64(binary.BigEndian.Uint32(b[4:]))
	default:
		n = id3FrameSize(b)
	}
	if n > int64(len(b)-head) {
		return "", nil, nil, false
	}
	body = b[head : int64(head)+n]
	switch version {
	case 3:
		body = unflag23(body, b[9])
	case 4:
		body = unflag(body, b[9])
	}
	return id, body, b[int64(head)+n:], true
}

// id3FrameSize reads a size of ID3v2.4, which some writers leave as in 2.3:
// whichever leads to another frame or to the end is right.
func id3FrameSize(b []byte) int64 {
	safe, plain := synchsafe(b[4:]), int64(binary.BigEndian.Uint32(b[4:]))
	if safe != plain && !leadsOn(b, safe) && leadsOn(b, plain) {
		return plain
	}
	return safe
}

func leadsOn(b []byte, n int64) bool {
	at := 10 + n
	if at >= int64(len(b)) {
		return at == int64(len(b))
	}
	c := b[at]
	return c == 0 || c >= 'A' && c <= 'Z'
}

// unflag undoes the format flags of an ID3v2.4 frame: grouping, data length
// indicator, unsynchronisation and compression. Encrypted frames are none.
func unflag(b []byte, flags byte) []byte {
	if flags&0x04 != 0 {
		return nil
	}
	if flags&0x40 != 0 {
		b = b[min(1, len(b)):]
	}
	if flags&0x01 != 0 {
		b = b[min(4, len(b)):]
	}
	if flags&0x02 != 0 {
		b = resync(b)
	}
	if flags&0x08 != 0 {
		b = inflate(b)
	}
	return b
}

// unflag23 undoes those of an ID3v2.3 frame.
func unflag23(b []byte, flags byte) []byte {
	if flags&0x40 != 0 {
		return nil
	}
	skip := 0
	if flags&0x80 != 0 {
		skip += 4 // the size it will have
	}
	if flags&0x20 != 0 {
		skip++ // grouping
	}
	b = b[min(skip, len(b)):]
	if flags&0x80 != 0 {
		b = inflate(b)
	}
	return b
}

// inflate unpacks at most MaxTag bytes of a compressed frame.
func inflate(b []byte) []byte {
	r, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil
	}
	out, err := io.ReadAll(io.LimitReader(r, MaxTag))
	if err != nil {
		return nil
	}
	return out
}

func (l *Set) id3Note(id string, b []byte) {
	switch {
	case id3Keys[id] != "" && len(b) > 1:
		text := b[1:min(len(b), MaxText)]
		l.SetText(id3Keys[id], id3Text(b[0], text))
		if id == "TPE1" {
			l.more(id3Text(b[0], text), id3Values(b[0], text))
		}
	case (id == "COMM" || id == "COM") && len(b) > 4:
		if name, value := id3Pair(b[0], b[4:min(len(b), MaxText)]); name == "iTunSMPB" {
			l.SetText("smpb", value)
		}
	case id == "APIC" && len(b) > 4:
		mime := bytes.IndexByte(b[1:], 0)
		if mime >= 0 {
			l.id3Picture(b[0], b[min(mime+2, len(b)):])
		}
	case id == "PIC" && len(b) > 5:
		l.id3Picture(b[0], b[4:])
	}
}

// id3Picture takes an attached picture from its type on.
func (l *Set) id3Picture(enc byte, b []byte) {
	if len(b) < 2 {
		return
	}
	if _, data, ok := id3Cut(enc, b[1:]); ok {
		l.setPicture(int(b[0]), data)
	}
}

// id3Text decodes one string of the given text encoding (ID3v2.4 structure, 4).
func id3Text(enc byte, b []byte) string {
	switch enc {
	case 1:
		return utf16Text(b, binary.LittleEndian)
	case 2:
		return utf16Text(b, binary.BigEndian)
	case 3:
		b, _, _ = bytes.Cut(b, []byte{0})
		return strings.ToValidUTF8(string(b), "")
	}
	return Latin1(b)
}

// id3Values are the strings after the first of a list (ID3v2.4 structure, 4.2).
func id3Values(enc byte, b []byte) (values []string) {
	_, b, _ = id3Cut(enc, b)
	for len(b) > 0 && len(values) < maxArtists {
		one, rest, ok := id3Cut(enc, b)
		if !ok {
			one = b
		}
		values, b = append(values, id3Text(enc, one)), rest
	}
	return values
}

func id3Pair(enc byte, b []byte) (name, value string) {
	first, rest, ok := id3Cut(enc, b)
	if !ok {
		return "", ""
	}
	return id3Text(enc, first), id3Text(enc, rest)
}

// id3Cut splits at the terminator of the text encoding.
func id3Cut(enc byte, b []byte) (before, after []byte, ok bool) {
	if enc != 1 && enc != 2 {
		return bytes.Cut(b, []byte{0})
	}
	for i := 0; i+1 < len(b); i += 2 {
		if b[i] == 0 && b[i+1] == 0 {
			return b[:i], b[i+2:], true
		}
	}
	return nil, nil, false
}

// ReadID3v1 reads the 128 bytes at the end of a file of that size.
func (l *Set) ReadID3v1(in Peeker, size int64) {
	b, err := in.Peek(size-128, 128)
	if err != nil || len(b) < 128 || string(b[:3]) != "TAG" {
		return
	}
	l.SetText("title", Latin1(b[3:33]))
	l.SetText("artist", Latin1(b[33:63]))
	l.SetText("album", Latin1(b[63:93]))
	if b[125] == 0 && b[126] != 0 { // version 1.1
		l.SetText("number", strconv.Itoa(int(b[126])))
	}
}

// MaxTags is how many tags in a row are skipped.
const MaxTags = 256

// SkipID3 returns where the file begins after any ID3v2 tags. Tags that claim
// more than the file are not believed.
func SkipID3(in Peeker, size int64) (int64, error) {
	at := int64(0)
	for range MaxTags {
		head, err := in.Peek(at, ID3Head)
		if err != nil {
			return 0, err
		}
		n, ok := ID3Size(head)
		if !ok || at+n > size {
			break
		}
		at += n
	}
	return at, nil
}

// ReadLeading reads the ID3v2 tags in front of at.
func (l *Set) ReadLeading(in Peeker, at int64) {
	for from, i := int64(0), 0; from < at && i < MaxTags; i++ {
		head, err := in.Peek(from, ID3Head)
		size, ok := ID3Size(head)
		if err != nil || !ok {
			return
		}
		l.ReadID3(in, from, size)
		from += size
	}
}

// ID3Head is the length of the header of an ID3v2 tag.
const ID3Head = 10

// ID3Size returns the whole length of the ID3v2 tag that begins with head
// (ID3v2.4 structure, 3.1).
func ID3Size(head []byte) (int64, bool) {
	if len(head) < ID3Head || string(head[:3]) != "ID3" || head[3] == 0xFF || head[4] == 0xFF {
		return 0, false
	}
	if binary.BigEndian.Uint32(head[6:])&0x80808080 != 0 {
		return 0, false
	}
	n := synchsafe(head[6:])
	if head[5]&0x10 != 0 { // a footer, too
		n += ID3Head
	}
	return n + ID3Head, true
}

// ID3Footer returns the whole length of the ID3v2.4 tag that ends with foot
// (ID3v2.4 structure, 3.4).
func ID3Footer(foot []byte) (int64, bool) {
	if len(foot) < ID3Head || string(foot[:3]) != "3DI" || foot[3] != 4 || binary.BigEndian.Uint32(foot[6:])&0x80808080 != 0 {
		return 0, false
	}
	return synchsafe(foot[6:]) + 2*ID3Head, true
}

// ReadTrailing reads the tags that were appended to a file of that size: ID3v2.4,
// and ID3v1 behind it.
func (l *Set) ReadTrailing(in Peeker, size int64) {
	end := size
	if b, err := in.Peek(size-128, 3); err == nil && string(b) == "TAG" {
		end -= 128
	}
	if foot, err := in.Peek(end-ID3Head, ID3Head); err == nil {
		if n, ok := ID3Footer(foot); ok && n <= end {
			l.ReadID3(in, end-n, n)
		}
	}
	l.ReadID3v1(in, size)
}
