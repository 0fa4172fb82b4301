package ingest

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	melodyud "github.com/melodyud/melodyud"
)

// maxText is how many characters of a name or title are kept.
const maxText = 300

// metadata is what a creator's program says of a file. Nothing of it is trusted,
// and none of it becomes a path (TUS-6).
type metadata struct {
	raw      string // as given, for HEAD
	fileName string
	tags     melodyud.Tags

	sha256     string // of the file, as its sender has it; or empty
	duplicates string // keep, discard, or anything else: ask
}

// parseMetadata reads the Upload-Metadata header: keys that are not empty and
// differ, each with a base64 value or none, separated by commas. Keys we do not
// know are kept in raw only.
func parseMetadata(header string) (metadata, error) {
	m := metadata{raw: header}
	if strings.TrimSpace(header) == "" {
		return m, nil
	}
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(header, ",") {
		key, coded, _ := strings.Cut(strings.TrimSpace(pair), " ")
		if !plainKey(key) || seen[key] {
			return metadata{}, errMetadata
		}
		seen[key] = true
		value, err := base64.StdEncoding.DecodeString(strings.TrimSpace(coded))
		if err != nil {
			return metadata{}, errMetadata
		}
		m.set(key, string(value))
	}
	return m, nil
}

func plainKey(key string) bool {
	return key != "" && !strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == ',' })
}

func (m *metadata) set(key, value string) {
	switch key {
	case "filename":
		m.fileName = cleanText(value[strings.LastIndexAny(value, `/\`)+1:])
	case "title":
		m.tags.Title = cleanText(value)
	case "artist":
		m.tags.Artist = cleanText(value)
	case "album":
		m.tags.Album = cleanText(value)
	case "sha256":
		m.sha256 = strings.ToLower(value)
	case "duplicates":
		m.duplicates = value
	}
}

// cleanText makes s fit to be shown: valid UTF-8 in NFC on one line, without
// control characters and without marks that turn the direction of what follows.
func cleanText(s string) string {
	s = norm.NFC.String(strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.Join(strings.FieldsFunc(s, unicode.IsSpace), " ")
	s = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) || c == '\uFEFF' {
			return -1
		}
		return c
	}, s)
	s = strings.TrimSpace(s)
	if utf8.RuneCountInString(s) > maxText {
		s = string([]rune(s)[:maxText])
	}
	return s
}
