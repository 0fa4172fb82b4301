package inbox

import (
	"path"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const reportName = "report.json"

// role is what a file in an inbox is for.
type role int

const (
	sound   role = iota // to be taken
	sidecar             // says what one file is called
	table               // says what the files of a folder are called
	aside               // comes along with music, and stays
	passing             // unfinished, hidden or ours: not there
)

// asides come along with music. What is sound and what is not its content decides, but
// these would only be refused one by one.
var asides = map[string]bool{
	".jpg": true, ".jpeg": true, ".png": true, ".gif": true, ".webp": true, ".pdf": true, ".txt": true, ".nfo": true, ".log": true, ".md": true,
	".m3u": true, ".m3u8": true, ".cue": true, ".pls": true, ".sfv": true, ".md5": true, ".ini": true, ".db": true, ".url": true, ".xml": true,
}

// unfinished are the names that programs give to what they are still writing.
var unfinished = map[string]bool{
	".part": true, ".partial": true, ".tmp": true, ".temp": true, ".filepart": true, ".crdownload": true, ".download": true, ".swp": true,
}

// roleOf judges a file by its name below the inbox.
func roleOf(name string) role {
	folder, rest, inFolder := strings.Cut(name, "/")
	base := path.Base(name)
	ext := strings.ToLower(path.Ext(base))
	switch {
	case !inFolder || folder == "" || rest == reportName || strings.HasSuffix(base, "~") || unfinished[ext]:
		return passing
	case strings.HasPrefix(rest, ".") || strings.Contains(rest, "/."):
		return passing
	case ext == ".json":
		return sidecar
	case ext == ".csv":
		return table
	case asides[ext]:
		return aside
	}
	return sound
}

// owner is the first folder of a name.
func owner(name string) string {
	folder, _, _ := strings.Cut(name, "/")
	return folder
}

// storable reports whether a name can stand in a row and a report as it is.
func storable(name string) bool {
	return utf8.ValidString(name) && !strings.Contains(name, "\x00") && len(name) <= 2000
}

// same makes names comparable however a program composed their letters.
func same(name string) string { return norm.NFC.String(name) }
