package faststart_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/melodyud/melodyud/fixtures"
	"github.com/melodyud/melodyud/transcode/decode/faststart"
)

func box(kind string, body ...[]byte) []byte {
	all := bytes.Join(body, nil)
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(all))), kind...), all...)
}

// table is a box of offsets of that many bytes each.
func table(kind string, width int, offsets ...uint64) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 0}, uint32(len(offsets)))
	for _, v := range offsets {
		if width == 4 {
			b = binary.BigEndian.AppendUint32(b, uint32(v))
		} else {
			b = binary.BigEndian.AppendUint64(b, v)
		}
	}
	return box(kind, b)
}

func streamed(t testing.TB, b []byte) []byte {
	t.Helper()
	r, err := faststart.Reader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAnIndexAtTheEndComesFirstAndStillPointsAtTheSound(t *testing.T) {
	t.Parallel()
	ftyp, mdat := box("ftyp", []byte("M4A ")), box("mdat", []byte("sound"))
	at := uint64(len(ftyp) + 8)
	index := func(at uint64) []byte {
		stbl := box("stbl", table("stco", 4, at, at+2, 5), table("co64", 8, at, 1<<40))
		return box("moov", box("mvhd", []byte("head")), box("trak", box("mdia", box("minf", stbl))))
	}
	moov := index(at)
	got := streamed(t, bytes.Join([][]byte{ftyp, mdat, moov, box("free")}, nil))
	want := bytes.Join([][]byte{ftyp, index(at + uint64(len(moov))), mdat, box("free")}, nil)
	if !bytes.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if sound := got[at+uint64(len(moov)):]; !bytes.HasPrefix(sound, []byte("sound")) {
		t.Errorf("the chunk begins with %q", sound)
	}
	if again := streamed(t, got); !bytes.Equal(again, got) {
		t.Error("what can be streamed was changed")
	}
}

func TestOddBoxesAreRefusedOrLeftAlone(t *testing.T) {
	t.Parallel()
	far := box("moov", box("trak", box("mdia", box("minf", box("stbl", table("stco", 4, 12))))))
	for name, tc := range map[string]struct {
		b    []byte
		form bool
	}{
		"nothing":          {nil, false},
		"no boxes":         {[]byte("RIFF"), false},
		"a size that lies": {[]byte("\xff\xff\xff\xffmdat"), true},
		"a size too small": {[]byte("\x00\x00\x00\x04mdat"), true},
		"a whole file":     {fixtures.Media(fixtures.ALAC), false},
		"no sound":         {far, false},
		"a count too high": {append(box("mdat"), box("moov", box("trak", box("stco", []byte("\x00\x00\x00\x00\xff\xff\xff\xff\x00"))))...), false},
		"deep":             {append(box("mdat"), box("moov", []byte(strings.Repeat("\x00\x00\x10\x00trak", 600)))...), false},
	} {
		r, err := faststart.Reader(bytes.NewReader(tc.b), int64(len(tc.b)))
		if errors.Is(err, faststart.ErrForm) != tc.form || !tc.form && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			continue
		}
		if n, err := io.Copy(io.Discard, r); n != int64(len(tc.b)) || err != nil {
			t.Errorf("%s: %d of %d bytes, %v", name, n, len(tc.b), err)
		}
	}
}

func FuzzFaststartKeepsEveryByte(f *testing.F) {
	for _, name := range []string{fixtures.ALAC, fixtures.AAC} {
		b := fixtures.Media(name)
		f.Add(b[:min(len(b), 4096)])
		f.Add(b[max(0, len(b)-4096):])
	}
	f.Add(append(box("mdat", []byte("s")), box("moov", box("trak", box("mdia", box("minf", box("stbl", table("stco", 4, 8))))))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := faststart.Reader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		if n, err := io.Copy(io.Discard, r); n != int64(len(b)) || err != nil {
			t.Fatalf("%d of %d bytes, %v", n, len(b), err)
		}
	})
}
