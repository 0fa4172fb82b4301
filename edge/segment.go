package edge

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/cache"
	"github.com/melodyud/melodyud/edge/cmcd"
)

// forever is the freshness of bytes that never change under their name (RFC 8246).
const forever = "public, max-age=31536000, immutable"

func (e *Edge) initSegment(w http.ResponseWriter, r *http.Request, p play) error {
	found, err := p.rendition(r)
	if err != nil {
		return err
	}
	return e.stretch(w, r, p, found, part{0, found.InitSize}, clear)
}

func (e *Edge) segment(w http.ResponseWriter, r *http.Request, p play) error {
	found, err := p.rendition(r)
	if err != nil {
		return err
	}
	i, ok := numbered(r.PathValue("segment"), ".m4s", p.first+len(p.manifest.Segments))
	if !ok || i < p.first {
		return errGone
	}
	starts := p.offsets[found.Name]
	as := clear
	if p.cipher != nil {
		if as, err = p.cipher.segment(found.Name, i); err != nil {
			return err
		}
	}
	w.Header().Set("CMSD-Static", cmcd.Static(found.AverageBandwidth, found.Length(i)))
	err = e.stretch(w, r, p, found, part{starts[i], starts[i+1] - starts[i]}, as)
	if err == nil {
		e.goesOn(r, p, found, i)
	}
	return err
}

// part is a stretch of a track file, in bytes.
type part struct{ offset, length int64 }

// shape is how a part is sent.
type shape struct {
	tag   string                                            // tells its bytes from other shapes' in the ETag
	apply func(io.ReadSeeker, int64) (io.ReadSeeker, error) // to a part of so many bytes
}

// clear sends bytes as they are stored.
var clear = shape{
	apply: func(body io.ReadSeeker, _ int64) (io.ReadSeeker, error) { return body, nil },
}

// keyOf is where the track file of a rendition is.
func keyOf(m *melodyud.Manifest, r *melodyud.Rendition) string {
	return "media/" + m.RenderHash + "/" + r.File
}

// stretch answers with a part of a track file.
func (e *Edge) stretch(w http.ResponseWriter, r *http.Request, p play, found *melodyud.Rendition, part part, as shape) error {
	key := keyOf(p.manifest, found)
	body := e.blocks.Reader(r.Context(), key, found.Size, part.offset, part.length)
	if r.Method == http.MethodGet { // fail before the headers are out, if at all
		if err := warm(body); err != nil {
			return err
		}
	}
	sent, err := as.apply(body, part.length)
	if err != nil {
		return err
	}
	p.timing.tell(w.Header(), e.config.Now(), body.Status())
	if sent == io.ReadSeeker(body) {
		p.watched.stretched(key, part)
		w = direct{w, body}
	}
	return media(w, r, fmt.Sprintf(`"%.20s-%x-%x%s"`, found.SHA256, part.offset, part.length, as.tag), sent)
}

// media answers with bytes that never change under their name, audio unless the
// headers say otherwise, honouring conditionals and a single range (EDGE-4, EDGE-6).
func media(w http.ResponseWriter, r *http.Request, tag string, body io.ReadSeeker) error {
	h := w.Header()
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "audio/mp4")
		h.Set("Cache-Control", forever)
	}
	h.Set("ETag", tag)
	size, err := body.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	content(beyond{w}, oneRange(r, tag, size), body, size)
	return nil
}

// beyond makes a refusal of the answer to a range that is not there (EDGE-13).
type beyond struct{ http.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (b beyond) WriteHeader(status int) {
	if h := b.Header(); status == http.StatusRequestedRangeNotSatisfiable {
		h.Set("Cache-Control", "private, no-store")
		h.Del("CMSD-Static")
	}
	b.ResponseWriter.WriteHeader(status)
}

// ReadFrom leaves the copying to what is below.
func (b beyond) ReadFrom(src io.Reader) (int64, error) { return io.Copy(b.ResponseWriter, src) }

// Unwrap serves http.ResponseController.
func (b beyond) Unwrap() http.ResponseWriter { return b.ResponseWriter }

// direct hands the cache's blocks to the connection as they are: net/http would
// copy them in pieces of 32 KB.
type direct struct {
	http.ResponseWriter
	body *cache.Reader
}

// Unwrap serves http.ResponseController.
func (d direct) Unwrap() http.ResponseWriter { return d.ResponseWriter }

// ReadFrom implements io.ReaderFrom, which io.CopyN asks for.
func (d direct) ReadFrom(src io.Reader) (int64, error) {
	if part, ok := src.(*io.LimitedReader); ok && part.R == io.Reader(d.body) {
		return d.body.CopyN(d.ResponseWriter, part.N)
	}
	return io.Copy(d.ResponseWriter, src)
}

// warm reads the first byte, so that a store that is away is an answer of its own
// and not a cut body.
func warm(body io.ReadSeeker) error {
	if _, err := body.Read(make([]byte, 1)); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	_, err := body.Seek(0, io.SeekStart)
	return err
}

// cacheName is this cache's in Cache-Status (EDGE-11).
const cacheName = "melodyud-edge"

var byteRange = regexp.MustCompile(`^bytes=(\d{1,18})?-(\d{1,18})?$`)

// oneRange is r with its Range only if that is one well-formed byte range, of a GET;
// any other counts as absent (RFC 9110 §14.2), as does one of other bytes than tag's
// (§13.1.5). The last 0 bytes become what net/http knows as unsatisfiable: a start at
// length.
func oneRange(r *http.Request, tag string, length int64) *http.Request {
	values := r.Header.Values("Range")
	if len(values) == 0 {
		return r
	}
	var m []string
	if len(values) == 1 && r.Method == http.MethodGet && sameBytes(r.Header.Values("If-Range"), tag) {
		m = byteRange.FindStringSubmatch(values[0])
	}
	switch {
	case m == nil || !sensible(m[1], m[2]):
		return withRange(r)
	case m[1] == "" && strings.Trim(m[2], "0") == "":
		return withRange(r, fmt.Sprintf("bytes=%d-", length))
	}
	return r
}

// sameBytes evaluates If-Range, of which net/http reads no more than the first tag.
func sameBytes(ifRange []string, tag string) bool {
	return len(ifRange) == 0 || len(ifRange) == 1 && ifRange[0] == tag
}

// withRange is r with other Range fields than it has, if any. R stays as it is.
func withRange(r *http.Request, fields ...string) *http.Request {
	if len(r.Header["Range"]) == 0 {
		return r
	}
	r = r.WithContext(r.Context())
	r.Header = maps.Clone(r.Header)
	r.Header["Range"] = fields
	return r
}

func sensible(first, last string) bool {
	if first == "" || last == "" {
		return first != last // at least one of them
	}
	a, _ := strconv.ParseInt(first, 10, 64)
	b, _ := strconv.ParseInt(last, 10, 64)
	return a <= b
}
