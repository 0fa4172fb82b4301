package plain_test

import (
	"strings"
	"testing"
	"testing/quick"
	"unicode/utf8"

	"github.com/melodyud/melodyud/internal/plain"
)

func TestLinesAreFitToBeShown(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"  Morning\n Light\t":    "Morning Light",
		"Cafe\u0301":             "Caf\u00e9",              // NFC
		"a\u202eb\u0000c":        "abc",                    // no reversal, no control character
		"\ufeffTitle":            "Title",                  // a byte order mark gone astray
		"bad \xff byte":          "bad \ufffd byte",        // valid UTF-8
		"x\u2028y":               "x y",                    // one line
		strings.Repeat("é", 301): strings.Repeat("é", 300), // bounded
		strings.Repeat("a", 299) + "e\u0323\u0302": strings.Repeat("a", 299) + "ệ",
	} {
		if got := plain.Line(in); got != want {
			t.Errorf("Line(%q) = %q, want %q", in, got, want)
		}
	}
	if err := quick.Check(func(s string) bool {
		once := plain.Line(s)
		return utf8.ValidString(once) && utf8.RuneCountInString(once) <= plain.MaxLine && plain.Line(once) == once
	}, nil); err != nil {
		t.Error(err)
	}
}

func TestTextsAreCutAtACharacter(t *testing.T) {
	t.Parallel()
	if got := plain.Text("a\x00b\xff", 10); got != "ab\ufffd" {
		t.Errorf("%q", got)
	}
	if got := plain.Text("ééé", 3); got != "é…" {
		t.Errorf("%q", got)
	}
}

func TestATitleIsMadeOfAFilesName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`C:\Music\01 Morning Light.flac`: "01 Morning Light", "a/b/song.tar.gz": "song.tar", ".hidden": ".hidden", "bare": "bare", "": "",
	} {
		if got := plain.Stem(in); got != want {
			t.Errorf("Stem(%q) = %q, want %q", in, got, want)
		}
	}
}
