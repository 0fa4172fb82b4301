package label_test

import (
	"bytes"
	"compress/zlib"
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
	l.ReadTrailing(memory(b), size)
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

// flagged sets flags in the header of a tag, frameWith in that of a frame.
func flagged(tag []byte, flags byte) []byte {
	tag[5] |= flags
	return tag
}

func frameWith(id string, flags byte, body string) string {
	f := []byte(frame(id, body))
	f[9] = flags
	return string(f)
}

func deflated(s string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.String()
}

// appended makes a tag one that stands at the end of a file, with a footer.
func appended(tag []byte) []byte {
	tag[5] |= 0x10
	foot := append([]byte("3DI"), tag[3:10]...)
	return append(append([]byte("some sound"), tag...), foot...)
}

func TestPerformersAndNumbersAreRead(t *testing.T) {
	t.Parallel()
	comments := "\x01\x00\x00\x00v\x03\x00\x00\x00\x08\x00\x00\x00ARTIST=A\x08\x00\x00\x00artist=B\x0d\x00\x00\x00TRACKNUMBER=7"
	for name, tc := range map[string]struct {
		body           []byte
		artist, number string
	}{
		"ID3v2.4 list":        {id3(4, frame("TPE1", "\x03A\x00B\x00")+frame("TRCK", "\x0007/12")), "A, B", "07/12"},
		"ID3v2.4 UTF-16 list": {id3(4, frame("TPE1", "\x01\xff\xfeA\x00\x00\x00\xff\xfeB\x00")), "A, B", ""},
		"Vorbis comments":     {[]byte(comments), "A, B", "7"},
		"ID3v1.1":             {[]byte("TAG" + strings.Repeat("\x00", 30) + "A" + strings.Repeat("\x00", 91) + "\x00\x09\x01"), "A", "9"},
		"too many":            {id3(4, frame("TPE1", "\x03A"+strings.Repeat("\x00A", 100))), strings.Repeat("A, ", 16) + "A", ""},
	} {
		l := readAll(tc.body)
		if l.Text("artist") != tc.artist || l.Text("number") != tc.number {
			t.Errorf("%s: %q %q", name, l.Text("artist"), l.Text("number"))
		}
	}
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
		"decomposed letters":        {id3(4, frame("TIT2", "\x03Cafe\u0301")), "Café"},
		"ID3v2.2 UTF-16":            {id3(2, "TT2\x00\x00\x07\x01\xfe\xff\x00S\x00o"), "So"},
		"ID3v2.4 UTF-16BE":          {id3(4, frame("TIT2", "\x02\x00S\x00o")), "So"},
		"ID3v2.3 unsynchronised":    {flagged(id3(3, strings.ReplaceAll(frame("TIT2", "\x01\xff\xfeS\x00o\x00"), "\xff", "\xff\x00")), 0x80), "So"},
		"ID3v2.3 extended header":   {flagged(id3(3, "\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00"+frame("TIT2", "\x00Song")), 0x40), "Song"},
		"ID3v2.4 extended header":   {flagged(id3(4, "\x00\x00\x00\x06\x01\x00"+frame("TIT2", "\x00Song")), 0x40), "Song"},
		"no extended header at all": {flagged(id3(4, frame("TIT2", "\x00Song")), 0x40), "Song"},
		"ID3v2.4 unsynchronised":    {id3(4, frameWith("TIT2", 0x02, "\x01\xff\x00\xfeS\x00o\x00")), "So"},
		"ID3v2.4 with its length":   {id3(4, frameWith("TIT2", 0x01, "\x00\x00\x00\x05\x00Song")), "Song"},
		"ID3v2.4 grouped":           {id3(4, frameWith("TIT2", 0x40, "\x07\x00Song")), "Song"},
		"ID3v2.4 compressed":        {id3(4, frameWith("TIT2", 0x09, "\x00\x00\x00\x05"+deflated("\x00Song"))), "Song"},
		"ID3v2.3 compressed":        {id3(3, frameWith("TIT2", 0x80, "\x00\x00\x00\x05"+deflated("\x00Song"))), "Song"},
		"ID3v2.4 encrypted":         {id3(4, frameWith("TIT2", 0x04, "\x00Song")), ""},
		"ID3v2.4 appended":          {appended(id3(4, frame("TIT2", "\x00Song"))), "Song"},
		"appended and ID3v1":        {append(appended(id3(4, frame("TIT2", "\x00Song"))), "TAGOther"+strings.Repeat("\x00", 120)...), "Song"},
		"bext":                      {append([]byte("bext"), make([]byte, 300)...), ""},
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
