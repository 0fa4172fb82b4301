package edge

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

// A listener who takes less than leastRate on average, after a first stall, cannot
// play even the lowest quality: the connection is cut (EDGE-16). One that reads
// nothing holds no more than this.
const (
	stall     = 30 * time.Second
	leastRate = 2 << 10 // bytes a second
)

// content answers with size bytes of body, honouring conditionals and ranges, to
// clients that take them.
func content(w http.ResponseWriter, r *http.Request, body io.ReadSeeker, size int64) {
	if h := w.Header(); h.Get("Content-Encoding") != "" && r.Header.Get("If-Match") == "" && r.Header.Get("If-Unmodified-Since") == "" {
		h.Set("Content-Length", strconv.FormatInt(size, 10)) // which is left out for encoded content, and flushing would cut it in chunks
	}
	client := http.NewResponseController(w)
	// Deadlines of connections go by the system's clock.
	limited := client.SetWriteDeadline(time.Now().Add(stall+time.Duration(size/leastRate)*time.Second)) == nil
	http.ServeContent(w, r, "", time.Time{}, body)
	if limited {
		_ = client.Flush() // what is left has the same limit; an error closes the connection
		_ = client.SetWriteDeadline(time.Time{})
	}
}
