// Package plain makes other people's texts fit to be kept and shown.
package plain

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// MaxLine is how many characters of a title or a name are kept.
const MaxLine = 300

// Line makes s fit to be shown anywhere: valid UTF-8 in NFC, one line, no control or
// direction-changing characters, no stray byte order mark, at most MaxLine characters
// without parting one from its accents (A13).
func Line(s string) string {
	s = norm.NFC.String(strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), r == '\u2028', r == '\u2029':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\uFEFF':
			return -1
		}
		return r
	}, s)
	return clip(strings.Join(strings.Fields(s), " "))
}

func clip(s string) string {
	if utf8.RuneCountInString(s) <= MaxLine {
		return s
	}
	end := 0
	for n := 0; end < len(s); {
		size := norm.NFC.NextBoundaryInString(s[end:], true)
		n += utf8.RuneCountInString(s[end : end+size])
		if n > MaxLine {
			break
		}
		end += size
	}
	return strings.TrimSpace(s[:end])
}

// Text makes s a text that every database takes, of at most limit bytes before the
// mark that it was cut.
func Text(s string, limit int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}

// Stem is a title for want of a better one: the file's name without its folders and
// its ending.
func Stem(fileName string) string {
	name := fileName[strings.LastIndexAny(fileName, `/\`)+1:]
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		name = name[:i]
	}
	return Line(name)
}
