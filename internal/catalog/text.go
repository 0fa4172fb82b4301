package catalog

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	maxText   = 300  // characters of a title, artist or album
	maxReason = 1000 // bytes of a dead letter's reason
)

// tidy makes a text fit to be shown anywhere: valid UTF-8 in NFC, one line, no
// control or direction-changing characters, at most maxText characters (A13).
func tidy(s string) string {
	s = norm.NFC.String(strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, s)
	return clip(strings.Join(strings.Fields(s), " "))
}

// clip cuts s to maxText characters without splitting one from its accents.
func clip(s string) string {
	if utf8.RuneCountInString(s) <= maxText {
		return s
	}
	end := 0
	for n := 0; end < len(s); {
		size := norm.NFC.NextBoundaryInString(s[end:], true)
		n += utf8.RuneCountInString(s[end : end+size])
		if n > maxText {
			break
		}
		end += size
	}
	return strings.TrimSpace(s[:end])
}

// reasonOf writes an error as keepable text.
func reasonOf(err error) string { return keepable(err.Error()) }

// keepable makes s a text that every database takes, of bounded length.
func keepable(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
	if len(s) > maxReason {
		s = strings.ToValidUTF8(s[:maxReason], "") + "…"
	}
	return s
}

// stem is a title for want of a better one: the file's name without its ending.
func stem(fileName string) string {
	name := fileName
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		name = name[:i]
	}
	return tidy(name)
}
