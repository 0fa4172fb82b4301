package fmp4_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/packager/fmp4"
)

func TestDumpReadsSizesOfEveryForm(t *testing.T) { // ISO/IEC 14496-12 §4.2
	t.Parallel()
	ftyp := "\x00\x00\x00\x14ftypiso6\x00\x00\x00\x00mp41"
	large := "\x00\x00\x00\x01mdat\x00\x00\x00\x00\x00\x00\x00\x13abc"
	toEnd := "\x00\x00\x00\x00mdatabc"
	var out bytes.Buffer
	if err := fmp4.Dump(&out, strings.NewReader(ftyp+large+toEnd)); err != nil {
		t.Fatal(err)
	}
	want := "" +
		"       0       20  ftyp  major=iso6 minor=0 compatible=mp41\n" +
		"      20       19  mdat  sha256=ba7816bf8f01cfea414140de5dae2223\n" +
		"      39       11  mdat  sha256=ba7816bf8f01cfea414140de5dae2223\n"
	if out.String() != want {
		t.Errorf("%s", out.String())
	}
	for _, bad := range []string{
		"\x00\x00\x00\x01mdat\x00\x00\x00\x00\x00\x00\x00\x0f",
		"\x00\x00\x00\x01mdat\xff\xff\xff\xff\xff\xff\xff\xff",
		"\x00\x00\x00\x01mda", "\x00\x00\x00\x07free", "\x10\x00\x00\x00free", "\x00\x00\x00\x09free",
	} {
		if err := fmp4.Dump(io.Discard, strings.NewReader(ftyp+bad)); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestDumpRefusesWhatIsNoMP4(t *testing.T) {
	t.Parallel()
	for _, b := range []string{"", "ID3", "fLaC\x00\x00\x00\x22", "RIFF\x00\x00\x00\x00WAVEfmt ", strings.Repeat("\x00", 64)} {
		err := fmp4.Dump(io.Discard, strings.NewReader(b))
		if r, ok := melodyud.AsRefusal(err); !ok || r.Code != "file.not-mp4" || !errors.Is(err, melodyud.ErrInvalid) {
			t.Errorf("%q: %v", b, err)
		}
	}
}

func TestWalkStopsWhenTold(t *testing.T) {
	t.Parallel()
	p := cut(t, aac(44100), 3000, 0)
	enough := errors.New("enough")
	seen := 0
	err := fmp4.Walk(bytes.NewReader(p.file()), func(fmp4.Line) error {
		if seen++; seen == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || seen != 3 {
		t.Errorf("%v after %d boxes", err, seen)
	}
}
