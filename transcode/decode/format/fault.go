package format

import (
	"fmt"
	"strings"
)

// Fault is a refusal on its way from a decoder to the creator. It is the only
// error of a decoder that is not taken for damage.
type Fault struct {
	Code  string `json:"code"`
	What  string `json:"what,omitempty"`  // one of the names package decode knows
	Cause string `json:"cause,omitempty"` // for the log
}

// Error is for the log.
func (f *Fault) Error() string { return strings.TrimSuffix(f.Code+": "+f.Cause, ": ") }

// Reject returns a Fault of the code, with a cause for the log.
func Reject(code, format string, args ...any) error {
	return &Fault{Code: code, Cause: fmt.Sprintf(format, args...)}
}

func needsConverter(what string) error {
	return &Fault{Code: "audio.needs-converter", What: what}
}
