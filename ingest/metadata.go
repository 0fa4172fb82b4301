package ingest

import (
	"encoding/base64"
	"strings"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/plain"
)

// metadata is what a creator's program says of a file. Nothing of it is trusted,
// and none of it becomes a path (TUS-6).
type metadata struct {
	raw      string // as given, for HEAD
	fileName string
	tags     melodyud.Tags

	sha256     string           // of the file, as its sender has it; or empty
	duplicates string           // keep, discard, or anything else: ask
	replaces   melodyud.TrackID // the track whose audio it is to be; empty: a new one
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
		m.fileName = plain.Line(value[strings.LastIndexAny(value, `/\`)+1:])
	case "title":
		m.tags.Title = plain.Line(value)
	case "artist":
		m.tags.Artist = plain.Line(value)
	case "album":
		m.tags.Album = plain.Line(value)
	case "sha256":
		m.sha256 = strings.ToLower(value)
	case "duplicates":
		m.duplicates = value
	case "replaces":
		m.replaces = melodyud.TrackID(value)
	}
}
