package node

import (
	"encoding/json"
	"io"

	"github.com/melodyud/melodyud/packager/fmp4"
)

// Dump writes what boxes an MP4 file has, one line each, or one JSON object each.
// What is no MP4 is refused; of a damaged one the boxes before the damage are
// written.
func Dump(w io.Writer, r io.Reader, asJSON bool) error {
	if !asJSON {
		return fmp4.Dump(w, r)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return fmp4.Walk(r, func(l fmp4.Line) error { return enc.Encode(l) })
}
