package label

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

const maxClean = 300

// Clean makes s one line of at most maxClean characters of valid UTF-8 in
// composed form (NFC), without control characters, line separators or direction overrides.
func Clean(s string) string {
	if len(s) > 16*maxClean {
		s = s[:16*maxClean]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.Is(unicode.Cc, r), isOverride(r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	runes := []rune(strings.TrimSpace(norm.NFC.String(s)))
	return strings.TrimSpace(string(runes[:min(len(runes), maxClean)]))
}

// isOverride: U+202A..202E and U+2066..2069 turn the text around them about;
// U+FEFF is a byte order mark gone astray.
func isOverride(r rune) bool {
	return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 || r == 0xFEFF
}
