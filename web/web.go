// Package web is the page for people: the studio for creators and the player for
// listeners, built from TypeScript by Vite (make web) and embedded in the binary.
//
// It serves files and knows no data; everything the page shows comes from the
// HTTP API.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

//go:embed all:dist
var dist embed.FS

// Policy is the Content-Security-Policy the page is written for: no inline
// script or style, nothing from other hosts. Sound comes through Media Source
// Extensions, hence blob: for media. Where the edge has an origin of its own,
// connect-src and media-src must name it: set the header before calling Handler,
// which then keeps it.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; " +
	"img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; " +
	"manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

const (
	forever    = "public, max-age=31536000, immutable"
	revalidate = "no-cache"
	notBuilt   = "The web page is not built: run make web."
)

// Handler serves the page at /, /studio and /player, and its files. Files under
// assets/ carry their content's hash in the name and are cached for ever; all
// else is revalidated with an ETag. Without a built page every address answers
// 503 and says how to build it.
func Handler() http.Handler {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic("web: " + err.Error()) // "dist" is a constant and embedded.
	}
	return handlerOf(files)
}

func handlerOf(files fs.FS) http.Handler {
	pages, err := load(files)
	if err != nil || pages["index.html"] == nil {
		return http.HandlerFunc(unbuilt)
	}
	return pages
}

func unbuilt(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, notBuilt, http.StatusServiceUnavailable)
}

// site holds the built files by their path.
type site map[string]*file

type file struct {
	name   string
	kind   string // Content-Type
	tag    string // of the plain bytes; the compressed form has its own
	plain  []byte
	packed func() []byte // gzip, made at the first request; nil where it saves nothing
}

func load(files fs.FS) (site, error) {
	s := site{}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		s[name] = newFile(name, body)
		return nil
	})
	return s, err
}

func newFile(name string, body []byte) *file {
	sum := sha256.Sum256(body)
	f := &file{name: name, kind: kindOf(name), tag: hex.EncodeToString(sum[:12]), plain: body}
	if strings.HasPrefix(f.kind, "text/") || strings.HasPrefix(f.kind, "image/svg") {
		f.packed = sync.OnceValue(func() []byte { return pack(body) })
	}
	return f
}

// kinds are those of the files Vite makes; the system's table may lack or differ in them.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml", ".woff2": "font/woff2",
	".md": "text/plain; charset=utf-8", ".txt": "text/plain; charset=utf-8",
}

func kindOf(name string) string {
	ext := path.Ext(name)
	if kind, ok := kinds[ext]; ok {
		return kind
	}
	if kind := mime.TypeByExtension(ext); kind != "" {
		return kind
	}
	return "application/octet-stream"
}

func pack(body []byte) []byte {
	var out bytes.Buffer
	z, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // the level is valid.
	_, _ = z.Write(body)                                    // a Buffer takes everything.
	_ = z.Close()
	return out.Bytes()
}

// ServeHTTP answers GET and HEAD for the built files.
func (s site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "This address can only be read.", http.StatusMethodNotAllowed)
		return
	}
	f := s.find(r.URL.Path)
	if f == nil {
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "There is no page at this address.", http.StatusNotFound)
		return
	}
	f.serve(w, r)
}

// find knows the page's rooms, which exist only in the browser, besides the files.
func (s site) find(address string) *file {
	name := strings.TrimPrefix(path.Clean(address), "/")
	if room, _, _ := strings.Cut(name, "/"); room == "" || room == "studio" || room == "player" {
		name = "index.html"
	}
	return s[name]
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", f.caching())
	if f.name == "index.html" {
		setDefault(h, "Content-Security-Policy", Policy)
		setDefault(h, "Referrer-Policy", "same-origin")
	}
	body, tag := f.plain, f.tag
	if f.packed != nil {
		h.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r) {
			body, tag = f.packed(), f.tag+"-gz"
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, f.name, time.Time{}, bytes.NewReader(body))
}

func (f *file) caching() string {
	if strings.HasPrefix(f.name, "assets/") {
		return forever
	}
	return revalidate
}

func setDefault(h http.Header, name, value string) {
	if h.Get(name) == "" {
		h.Set(name, value)
	}
}

// acceptsGzip reads Accept-Encoding as far as it matters here: gzip named and
// not refused with q=0 (RFC 9110 §12.5.3).
func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		coding, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		q := strings.TrimPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
		return strings.Trim(q, "0.") != "" || q == ""
	}
	return false
}
