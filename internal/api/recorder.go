package api

import (
	"io"
	"net/http"
	"time"
)

// recorder remembers status and size of an answer. http.ResponseController
// reaches deadlines through Unwrap.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// Unwrap serves http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// WriteHeader remembers the first final status.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write counts.
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// Flush serves streams of events.
func (r *recorder) Flush() {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	_ = http.NewResponseController(r.ResponseWriter).Flush() // a writer that cannot flush has nothing to flush
}

// endingBody takes a body's read deadline away once the body has ended. net/http
// reads on behind it, to notice clients that leave. A deadline that is set during
// that, as huma does for bodies that are allowed to be absent, would cancel this
// request and every later one of the same connection when it expires.
type endingBody struct {
	io.ReadCloser
	conn *http.ResponseController
}

// Read passes on.
func (b *endingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		_ = b.conn.SetReadDeadline(time.Time{}) // without deadlines there is none to take away
	}
	return n, err
}

// discard takes an answer that nobody will see.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }
