// Package label reads what a sound file says of itself: ID3, Vorbis comments,
// RIFF INFO and the items of MP4. Every reader is bounded and none can fail: a
// label that cannot be read is none.
package label

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/melodyud/melodyud/transcode/decode/cover"
)

// Peeker gives up to n bytes of a file at off, fewer at its end.
type Peeker interface {
	Peek(off int64, n int) ([]byte, error)
}

// Set collects labels. The first word on a subject wins.
type Set struct {
	text    map[string]string // title, artist, album, number, disc, smpb (iTunSMPB)
	picture []byte
	front   bool // picture is said to be the front cover
}

const (
	// MaxText bounds the bytes of one label before they are cleaned.
	MaxText = 16 << 10
	// MaxTag bounds what of a tag is read at once; it holds any cover we keep.
	MaxTag    = 16 << 20
	chunkHead = 8
	// maxLabels bounds how many entries of a tag are looked at.
	maxLabels = 20_000
)

// SetText notes value under the key unless there is one.
func (l *Set) SetText(key, value string) {
	value = strings.TrimSpace(strings.Trim(value, "\x00"))
	if value == "" || l.text[key] != "" {
		return
	}
	if l.text == nil {
		l.text = map[string]string{}
	}
	l.text[key] = value[:min(len(value), MaxText)]
}

// pictureFront is the picture type of a front cover in ID3v2 and FLAC.
const pictureFront = 3

func (l *Set) setPicture(kind int, data []byte) {
	front := kind == pictureFront
	if cover.Kind(data) == "" || len(data) > cover.MaxBytes || len(l.picture) > 0 && (l.front || !front) {
		return
	}
	l.picture, l.front = data, front
}

// Text returns what was found under the key: title, artist, album or smpb.
func (l *Set) Text(key string) string { return l.text[key] }

// Number returns what was found under number or disc, written as "3", "03" or
// "3/12": 1 to most, or 0 for anything else.
func (l *Set) Number(key string, most int) int {
	digits, _, _ := strings.Cut(l.text[key], "/")
	n, err := strconv.Atoi(strings.TrimSpace(digits))
	if err != nil || n < 1 || n > most {
		return 0
	}
	return n
}

// Cover returns the picture found, as it is in the file; nil for none.
func (l *Set) Cover() []byte { return l.picture }

// Latin1 decodes ISO 8859-1, or UTF-8 where writers have put it regardless.
func Latin1(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	if s := string(b); strings.ToValidUTF8(s, "") == s {
		return s
	}
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}

// utf16Text decodes UTF-16 with a byte order mark, or in the given order without.
func utf16Text(b []byte, order binary.ByteOrder) string {
	for len(b) >= 2 && (b[0] == 0xFF && b[1] == 0xFE || b[0] == 0xFE && b[1] == 0xFF) {
		order = binary.ByteOrder(binary.LittleEndian)
		if b[0] == 0xFE {
			order = binary.BigEndian
		}
		b = b[2:]
	}
	units := make([]uint16, 0, len(b)/2)
	for ; len(b) >= 2; b = b[2:] {
		u := order.Uint16(b)
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	return string(utf16.Decode(units))
}

// ReadInfo reads the body of a RIFF LIST chunk of type INFO.
func (l *Set) ReadInfo(in Peeker, at, size int64) {
	body, err := in.Peek(at, int(min(size, 1<<20)))
	if err != nil || !bytes.HasPrefix(body, []byte("INFO")) {
		return
	}
	keys := map[string]string{"INAM": "title", "IART": "artist", "IPRD": "album", "ITRK": "number", "IPRT": "number"}
	body = body[4:]
	for range maxLabels {
		if len(body) < chunkHead {
			return
		}
		n := int(min(int64(binary.LittleEndian.Uint32(body[4:])), int64(len(body)-chunkHead)))
		if key := keys[string(body[:4])]; key != "" {
			l.SetText(key, Latin1(body[chunkHead:][:min(n, MaxText)]))
		}
		body = body[min(chunkHead+n+n&1, len(body)):]
	}
}

// commentKeys are the field names of Vorbis comments, in upper case.
var commentKeys = map[string]string{
	"TITLE": "title", "ARTIST": "artist", "ALBUM": "album", "TRACKNUMBER": "number", "DISCNUMBER": "disc",
}

// ReadComments reads a Vorbis comment header (Vorbis I, 5) without its framing:
// also FLAC's VORBIS_COMMENT and OpusTags.
func (l *Set) ReadComments(b []byte) {
	_, b, ok := prefixed(b) // vendor
	if !ok || len(b) < 4 {
		return
	}
	count := binary.LittleEndian.Uint32(b)
	b = b[4:]
	var artists []string
	for i := uint32(0); i < count && i < maxLabels; i++ {
		var entry []byte
		if entry, b, ok = prefixed(b); !ok {
			return
		}
		if name, value, _ := bytes.Cut(entry, []byte("=")); strings.EqualFold(string(name), "ARTIST") && len(artists) < maxArtists {
			artists = append(artists, string(value[:min(len(value), MaxText)]))
		}
		l.comment(entry)
	}
	if len(artists) > 1 {
		l.more(artists[0], artists[1:])
	}
}

// maxArtists bounds how many performers of one track are named.
const maxArtists = 16

// more adds performers to the first, if that is the one we know.
func (l *Set) more(first string, artists []string) {
	all := l.text["artist"]
	if all == "" || all != strings.TrimSpace(strings.Trim(first, "\x00")) {
		return
	}
	for _, a := range artists {
		if a = strings.TrimSpace(strings.Trim(a, "\x00")); a != "" && len(all)+len(a) < MaxText {
			all += ", " + a
		}
	}
	l.text["artist"] = all
}

func (l *Set) comment(entry []byte) {
	name, value, ok := bytes.Cut(entry, []byte("="))
	if !ok || len(name) > 64 {
		return
	}
	key := strings.ToUpper(string(name))
	if key == "METADATA_BLOCK_PICTURE" && len(value) <= MaxTag {
		if raw, err := base64.StdEncoding.DecodeString(string(value)); err == nil {
			l.ReadPicture(raw)
		}
		return
	}
	if to := commentKeys[key]; to != "" {
		l.SetText(to, string(value[:min(len(value), MaxText)]))
	}
}

// prefixed splits off a field with a little-endian length in front.
func prefixed(b []byte) (field, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := int64(binary.LittleEndian.Uint32(b))
	if n > int64(len(b)-4) {
		return nil, nil, false
	}
	return b[4 : 4+n], b[4+n:], true
}

// ReadPicture reads the body of a FLAC PICTURE block (RFC 9639, 8.8).
func (l *Set) ReadPicture(b []byte) {
	if len(b) < 8 {
		return
	}
	kind := binary.BigEndian.Uint32(b)
	b = b[4:]
	for range 2 { // MIME type, description
		n := int64(0)
		if len(b) >= 4 {
			n = 4 + int64(binary.BigEndian.Uint32(b))
		}
		if n == 0 || n > int64(len(b)) {
			return
		}
		b = b[n:]
	}
	if len(b) < 20 || int64(binary.BigEndian.Uint32(b[16:])) > int64(len(b)-20) {
		return
	}
	l.setPicture(int(min(kind, 255)), b[20:20+binary.BigEndian.Uint32(b[16:])])
}

// ReadBroadcast reads the body of a bext chunk (EBU Tech 3285): its description
// stands for a title.
func (l *Set) ReadBroadcast(in Peeker, at, size int64) {
	const description = 256
	if body, err := in.Peek(at, int(min(size, description))); err == nil {
		l.SetText("title", Latin1(body))
	}
}
