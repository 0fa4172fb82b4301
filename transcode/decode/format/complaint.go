package format

import (
	"bytes"
	"strings"
)

// Complaint keeps the beginning of what a program complains about: the panic, not the
// ten thousand goroutine lines after it.
type Complaint struct{ buf bytes.Buffer }

const maxStderr = 4 << 10

// Write takes all and keeps some.
func (c *Complaint) Write(p []byte) (int, error) {
	if room := maxStderr - c.buf.Len(); room > 0 {
		c.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// String returns what was kept as valid UTF-8.
func (c *Complaint) String() string { return strings.ToValidUTF8(c.buf.String(), "?") }
