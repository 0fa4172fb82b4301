package edge

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/maypok86/otter/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/cache"
	"github.com/melodyud/melodyud/edge/cachestatus"
	"github.com/melodyud/melodyud/edge/telemetry"
	"github.com/melodyud/melodyud/edge/wire"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/ticket"
)

const (
	hotMemory = 64 << 20  // bytes, about, for all hot answers
	mostHot   = 512 << 10 // bytes of a playlist; three hours of music are 110 KB
	hotAround = 512       // bytes of bookkeeping counted for each
	hotZipped = 8 << 20   // bytes of playlists, before they were compressed
)

// hot are answers that were given by the handlers and can be given again, to anybody
// whose ticket says the same, until their release is no longer known to be there. So
// they are what the handlers answer, whatever that is. Segments have only their head
// here; their bytes are in the cache of blocks.
type hot struct {
	answers *otter.Cache[hotKey, *hotAnswer]
	zipped  *otter.Cache[string, []byte]
	files   *files
	meter   func(route string, status int) *api.Meter // set by Register
}

// hotKey is all that such an answer depends on.
type hotKey struct {
	path       string // below the ticket
	gzip       bool
	tier       ticket.Tier
	ads        ticket.Ads
	renditions ticket.Renditions
}

func hotKeyOf(path, acceptEncoding string, c *ticket.Claims) hotKey {
	k := hotKey{path: path, tier: c.Tier, ads: c.Ads, renditions: c.Renditions}
	if strings.HasSuffix(path, ".m3u8") || strings.HasSuffix(path, ".mpd") {
		k.gzip = acceptsGzip(acceptEncoding)
	}
	return k
}

// hotAnswer is an answer of status 200.
type hotAnswer struct {
	release *release
	head    []byte
	body    []byte   // of a playlist
	stretch *stretch // of anything else
	meter   *api.Meter
	told    *telemetry.Segment // of a segment; what its ticket says is left out
	size    int64              // of the file that stretch is of
	ahead   stretch            // what a listener wants next; empty: nobody knows
	wanted  atomic.Int64       // how often it was answered from the cache of blocks
	file    atomic.Pointer[wire.File]
	asked   atomic.Int64 // how often file was
}

// stretch is where bytes are in the cache of blocks.
type stretch struct {
	key            string
	offset, length int64
}

func newHot(dir string, fileBytes int64) (*hot, error) {
	answers, err := otter.New(&otter.Options[hotKey, *hotAnswer]{
		MaximumWeight: hotMemory,
		Weigher: func(k hotKey, a *hotAnswer) uint32 {
			return uint32(hotAround + len(k.path) + len(a.head) + len(a.body))
		},
	})
	if err != nil {
		return nil, fmt.Errorf("cache of answers: %w", err)
	}
	zipped, err := otter.New(&otter.Options[string, []byte]{
		MaximumWeight: hotZipped, Weigher: func(body string, _ []byte) uint32 { return uint32(hotAround + len(body)) },
	})
	if err != nil {
		return nil, fmt.Errorf("cache of compressed playlists: %w", err)
	}
	files, err := newFiles(dir, fileBytes)
	if err != nil {
		return nil, err
	}
	return &hot{answers: answers, zipped: zipped, files: files}, nil
}

// zip compresses a playlist, once for all who want it: that takes longer than
// everything else that is done for it.
func (h *hot) zip(ctx context.Context, body []byte) ([]byte, error) {
	return h.zipped.Get(ctx, string(body), otter.LoaderFunc[string, []byte](func(context.Context, string) ([]byte, error) {
		return compress(body)
	}))
}

func (h *hot) close() {
	h.answers.StopAllGoroutines()
	h.zipped.StopAllGoroutines()
	h.files.close()
}

// Resident answers what was answered before, if it is in memory whole. Whether the
// listener may have it is asked last, because that counts: what is not answered here
// is asked again by the handler, which also says why not.
func (e *Edge) Resident(r *wire.Request, a *wire.Answer) bool {
	token, path, ok := ticket.Cut(view(r.Path))
	if !ok {
		return false
	}
	claims, err := e.guard.read(token)
	if err != nil {
		return false
	}
	known, ok := e.hot.answers.GetIfPresent(hotKeyOf(path, view(r.AcceptEncoding), claims))
	if !ok || !e.lasts(known) || !e.lay(a, known) {
		return false
	}
	if e.admits(claims, path, r.From) != nil {
		if a.File != nil {
			a.File.Release()
		}
		return false
	}
	a.Head, a.What, a.Who = known.head, known, claims
	return true
}

// lasts reports whether an answer still is what the handler would answer. A playlist
// out of a release that could not be confirmed says so itself.
func (e *Edge) lasts(known *hotAnswer) bool {
	return (known.stretch != nil || !e.releases.failing(known.release)) && e.releases.serves(known.release)
}

// lay puts the body of an answer into a, if it is in memory whole.
func (e *Edge) lay(a *wire.Answer, known *hotAnswer) (ok bool) {
	s := known.stretch
	if s == nil {
		a.Body = append(a.Body, known.body)
		return true
	}
	if a.File = e.hot.files.get(known); a.File != nil {
		return true
	}
	if a.Body, ok = e.blocks.Resident(a.Body, s.key, s.offset, s.length); ok && known.wanted.Add(1)%tryAgain == wantedOften {
		e.hot.files.put(s, a.Body)
	}
	return ok
}

// Sent counts an answer, and tells of a segment.
func (e *Edge) Sent(r *wire.Request, a *wire.Answer, whole bool, took time.Duration) {
	known, claims := a.What.(*hotAnswer), a.Who.(*ticket.Claims)
	known.meter.Observe(took)
	if known.ahead.length > 0 && (a.File == nil || known.asked.Load()%hearEvery == 0) {
		e.blocks.Warm(known.ahead.key, known.size, known.ahead.offset, known.ahead.length)
	}
	if known.told == nil || e.config.Segments == nil || r.Head || !whole {
		return
	}
	s := *known.told
	s.Session, s.Account, s.Tier, s.Query = claims.Session, claims.Account, string(claims.Tier), view(r.Query)
	e.config.Segments.Segment(s)
}

// view is b for looking things up, as long as b is not written to.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// watch lets serve answer and remembers the answer, if it can be given again.
func (h *hot) watch(w http.ResponseWriter, r *http.Request, p play, serve handler) error {
	if r.Method != http.MethodGet || r.Header.Get("Range") != "" || r.URL.RawQuery != "" && !strings.HasPrefix(r.URL.RawQuery, "CMCD=") {
		return serve(w, r, p)
	}
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/p/"+r.PathValue("ticket"))
	key := hotKeyOf(path, strings.Join(r.Header.Values("Accept-Encoding"), ","), &p.claims)
	if old, ok := h.answers.GetIfPresent(key); ok && old.release == p.release {
		return serve(w, r, p)
	}
	p.watched = &watcher{ResponseWriter: w}
	err := serve(p.watched, r, p)
	if known := p.watched.answer(); err == nil && known != nil {
		known.release, known.meter = p.release, h.meter(r.Pattern, http.StatusOK)
		if known.stretch != nil && r.PathValue("segment") != "" {
			known.isSegment(r, p)
		}
		h.answers.Set(key, known)
	}
	return err
}

// isSegment notes what will be told of a segment, and what follows it.
func (a *hotAnswer) isSegment(r *http.Request, p play) {
	name, s := r.PathValue("rendition"), a.stretch
	a.told = &telemetry.Segment{
		Track: melodyud.TrackID(r.PathValue("track")), Release: melodyud.ReleaseID(r.PathValue("release")),
		Rendition: name, Bytes: s.length, Hit: true,
	}
	starts := p.offsets[name]
	i, _ := slices.BinarySearch(starts, s.offset+s.length)
	end := min(i+readAhead, p.first+len(p.manifest.Segments), len(starts)-1)
	if found, ok := p.manifest.Rendition(name); ok && i < end {
		a.size = found.Size
		a.ahead = stretch{s.key, starts[i], starts[end] - starts[i]}
	}
}

// watcher notes an answer on its way out.
type watcher struct {
	http.ResponseWriter
	status   int
	header   http.Header
	playlist bool
	body     []byte // of a playlist
	wrote    int64
	stretch  *stretch // of anything else that can be answered again
}

// stretched notes that the body is a stretch of a file.
func (w *watcher) stretched(key string, p part) {
	if w != nil {
		w.stretch = &stretch{key, p.offset, p.length}
	}
}

// Unwrap serves http.ResponseController.
func (w *watcher) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader notes the header as it goes out.
func (w *watcher) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status, w.header = status, w.Header().Clone()
		w.playlist = slices.Contains([]string{typeHLS, typeDASH}, w.header.Get("Content-Type"))
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write notes playlists; all else can be had again.
func (w *watcher) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.playlist && len(w.body)+len(p) <= mostHot {
		w.body = append(w.body, p...)
	}
	n, err := w.ResponseWriter.Write(p)
	w.wrote += int64(n)
	return n, err
}

// answer returns what can be answered again; nil if it cannot: it is no whole answer,
// for one listener only, or has fields that nobody here knows to be the same for all.
func (w *watcher) answer() *hotAnswer {
	h := w.header
	if w.playlist && h.Get("Content-Length") == "" { // net/http counts compressed ones itself
		h.Set("Content-Length", strconv.Itoa(len(w.body)))
	}
	if w.status != http.StatusOK || !strings.HasPrefix(h.Get("Cache-Control"), "public,") ||
		h.Get("Content-Length") != strconv.FormatInt(w.wrote, 10) || w.stretch == nil && int64(len(w.body)) != w.wrote {
		return nil
	}
	for name := range h {
		if !slices.Contains(sharedFields, name) {
			return nil
		}
	}
	return &hotAnswer{head: hotHead(h), body: w.body, stretch: w.stretch}
}

// sharedFields are the fields of answers that are the same for all who get one, or
// that are made anew for each.
var sharedFields = []string{
	"Accept-Ranges", "Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Cache-Control", "Cache-Status",
	"Cmsd-Static", "Content-Encoding", "Content-Length", "Content-Security-Policy", "Content-Type",
	"Cross-Origin-Resource-Policy", "Etag", "No-Vary-Search", "Referrer-Policy", "Server-Timing", "Timing-Allow-Origin",
	"Vary", "X-Content-Type-Options", "X-Request-Id",
}

// hotHead prints a head as net/http does, for an answer out of memory.
func hotHead(h http.Header) []byte {
	h.Del("X-Request-Id") // each answer has its own
	if h.Get(cachestatus.Name) != "" {
		h.Set(cachestatus.Name, cache.Status{}.Header(cacheName))
	}
	if h.Get("Server-Timing") != "" {
		h.Set("Server-Timing", "edge;dur=0.0, auth;dur=0.0") // it takes microseconds
	}
	out := bytes.NewBufferString("HTTP/1.1 200 OK\r\n")
	_ = h.Write(out) // a buffer takes all
	return out.Bytes()
}
