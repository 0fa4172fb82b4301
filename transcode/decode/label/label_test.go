package label_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/melodyud/melodyud/fixtures"
	"github.com/melodyud/melodyud/transcode/decode/cover"
	"github.com/melodyud/melodyud/transcode/decode/label"
)

// memory is a file of labels.
type memory []byte

func (m memory) Peek(off int64, n int) ([]byte, error) {
	if off < 0 || off >= int64(len(m)) {
		return nil, nil
	}
	return m[off:min(int64(len(m)), off+int64(n))], nil
}

// readAll reads b as every kind of label there is.
func readAll(b []byte) *label.Set {
	l := &label.Set{}
	size := int64(len(b))
	l.ReadID3(memory(b), 0, size)
	l.ReadID3v1(memory(b), size)
	l.ReadInfo(memory(b), 0, size)
	l.ReadComments(b)
	l.ReadPicture(b)
	l.UserData(b)
	return l
}

func frame(id, body string) string {
	return id + string(binary.BigEndian.AppendUint32(nil, uint32(len(body)))) + "\x00\x00" + body
}

func id3(version byte, frames string) []byte {
	n := len(frames)
	return append([]byte{'I', 'D', '3', version, 0, 0, byte(n >> 21 & 127), byte(n >> 14 & 127), byte(n >> 7 & 127), byte(n & 127)}, frames...)
}

func TestTitlesAreReadFromEveryKindOfLabel(t *testing.T) {
	t.Parallel()
	comment := "\x01\x00\x00\x00v\x01\x00\x00\x00\x0a\x00\x00\x00title=Song"
	for name, tc := range map[string]struct {
		body []byte
		want string
	}{
		"ID3v2.3 Latin-1":           {id3(3, frame("TIT2", "\x00Caf\xe9")), "Café"},
		"ID3v2.3 UTF-16":            {id3(3, frame("TIT2", "\x01\xff\xfeS\x00o\x00\x00\x00x\x00")), "So"},
		"ID3v2.3 odd UTF-16":        {id3(3, frame("TIT2", "\x01\xff\xfeS\x00o")), "S"},
		"ID3v2.4 UTF-8":             {id3(4, frame("TIT2", "\x03Søng")), "Søng"},
		"ID3v2.4 broken UTF-8":      {id3(4, frame("TIT2", "\x03S\xffng")), "Sng"},
		"ID3v2.2":                   {id3(2, "TT2\x00\x00\x05\x00Song"), "Song"},
		"ID3v2.4 with a plain size": {id3(4, frame("TXXX", "\x03"+strings.Repeat("x", 199))+frame("TIT2", "\x03Song")), "Song"},
		"ID3v1":                     {[]byte("TAG" + "Song" + strings.Repeat("\x00", 121)), "Song"},
		"INFO":                      {[]byte("INFOINAM\x05\x00\x00\x00Song\x00\x00"), "Song"},
		"Vorbis comment":            {[]byte(comment), "Song"},
		"control characters":        {id3(4, frame("TIT2", "\x03A\r\nB\x1b\u202eC")), "A BC"},
		"a frame that claims more":  {id3(3, "TIT2\x7f\xff\xff\xff\x00\x00\x00Song"), ""},
	} {
		if got := label.Clean(readAll(tc.body).Text("title")); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestOnlyPicturesAreTakenForCovers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		data string
		want bool
	}{
		"png": {"\x89PNG\r\n\x1a\n", true}, "jpeg": {"\xff\xd8\xff\xe0", true}, "gif": {"GIF89a", true}, "webp": {"RIFF\x00\x00\x00\x00WEBP", true},
		"svg": {"<svg onload=alert(1)>", false}, "another RIFF": {"RIFF\x00\x00\x00\x00WAVE", false}, "a link": {"http://127.0.0.1/", false},
		"too large": {"\x89PNG\r\n\x1a\n" + strings.Repeat("\x00", cover.MaxBytes), false},
	} {
		got := readAll(id3(3, frame("APIC", "\x00image/png\x00\x03\x00"+tc.data))).Cover()
		if (got != nil) != tc.want {
			t.Errorf("%s: taken %v, want %v", name, got != nil, tc.want)
		}
	}
}

func FuzzLabelsAreClean(f *testing.F) {
	f.Add(id3(3, frame("TIT2", "\x01\xff\xfeS\x00")+frame("APIC", "\x00image/png\x00\x03\x00\x89PNG")))
	f.Add(id3(4, frame("COMM", "\x00engiTunSMPB\x00 00000000 00000210 000007A4 0000000000A1B2C4")))
	f.Add([]byte("INFOINAM\xff\xff\xff\xff"))
	for _, name := range []string{fixtures.MP3, fixtures.OggVorbis, fixtures.AAC, fixtures.ALAC} {
		b := fixtures.Media(name)
		f.Add(b[:min(len(b), 4096)])
		f.Add(b[max(0, len(b)-4096):])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l := readAll(b)
		for _, key := range []string{"title", "artist", "album"} {
			s := label.Clean(l.Text(key))
			if !utf8.ValidString(s) || utf8.RuneCountInString(s) > 300 || bytes.ContainsAny([]byte(s), "\x00\r\n\x1b") {
				t.Fatalf("label %q", s)
			}
		}
		if len(l.Cover()) > cover.MaxBytes || len(l.Cover()) > 0 && cover.Kind(l.Cover()) == "" {
			t.Fatalf("cover of %d bytes", len(l.Cover()))
		}
	})
}
