// Package edge is what listeners touch: it checks the ticket in the path, makes
// playlists from the manifest and serves segments as byte ranges of the track
// files, through the cache. It reads no row and calls no service.
//
//	/p/<ticket>/<track>/<release>/index.m3u8            AAC ladder (HLS-34)
//	                             /hifi.m3u8             lossless and AAC, premium
//	                             /manifest.mpd          the same for DASH
//	                             /<rendition>/index.m3u8
//	                             /<rendition>/init.mp4
//	                             /<rendition>/s/<n>.m4s
//	                             /encrypted/aes-128/<secret>/…    the same for HLS, encrypted
//	                                                        /<n>.key
//	                             /preview/segments/<from>-<to>/…  the AAC ladder, cut
//	                             /offline/v1/<secret>/<device>/<rendition>.mud
//	                             /ads/breaks/<break>        what is heard in a break
//
// Several tracks play as one, such as an album, under /l/: see registerLists.
//
// All other addresses are relative to the first one (HLS-5), so the ticket is
// inherited and never stored in a playlist.
package edge

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/cache"
	"github.com/melodyud/melodyud/edge/cachestatus"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/ops"
	"github.com/melodyud/melodyud/internal/ticket"
)

// store is where manifests and track files are.
type store interface {
	Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, objectstore.Info, error)
	Stat(ctx context.Context, key string) (objectstore.Info, error)
}

// mediaKeys knows the keys of encrypted sound.
type mediaKeys interface {
	SegmentKey(s ticket.Stream, run int) ([]byte, bool)
	SegmentIV(s ticket.Stream, rendition string, run int) ([]byte, bool)
	OfflineKey(s ticket.Stream, binding, rendition string) ([]byte, bool)
}

// Config of an Edge.
type Config struct {
	Store   store
	Tickets tickets
	// Notices tells which tickets are void before they expire; nil: none is.
	Notices notices
	// Places tells where listeners are; nil: nobody knows, and what may be heard in
	// some countries only is heard in none.
	Places places
	// Bearers checks Common Access Tokens, which may be used instead of tickets; nil:
	// none is accepted.
	Bearers door
	// MediaKeys makes the keys of encrypted segments and offline files; nil: there
	// are none here.
	MediaKeys mediaKeys
	Ads       AdsConfig // default: breaks stay empty
	Streams   streams   // limits streams an account; nil: as many as it likes
	Pace      pace      // limits requests; nil: as fast as they come
	// CacheBytes is the memory for blocks of track files; default 256 MiB. A quarter of
	// it is for the segments that are wanted most.
	CacheBytes int64
	Scratch    string                // directory for files without a name, from which the kernel sends; default: in memory
	Disk       cache.DiskConfig      // of the cache of blocks; default none
	Peers      cache.PeersConfig     // of the cache of blocks; default none
	Segments   segments              // hears of each segment that is sent; nil: nobody does
	Logger     *slog.Logger          // default: discards
	Metrics    prometheus.Registerer // nil: not measured
	Now        func() time.Time      // default time.Now
}

// Edge serves players. It is safe for concurrent use; Close it after the last
// request.
type Edge struct {
	config   Config
	guard    *guard
	blocks   *cache.Cache
	releases *releases
	hot      *hot
}

// New returns an edge with cold caches.
func New(c Config) (*Edge, error) {
	if c.Store == nil || c.Tickets == nil {
		return nil, fmt.Errorf("%w: edge needs a store and tickets", melodyud.ErrInvalid)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	var err error
	if c.Ads, err = c.Ads.withDefaults(c.Metrics); err != nil {
		return nil, err
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = defaultCacheBytes
	}
	blocks, err := newBlocks(c)
	if err != nil {
		return nil, err
	}
	known, err := newReleases(c)
	if err != nil {
		return nil, err
	}
	guard, err := newGuard(c)
	if err != nil {
		return nil, err
	}
	hot, err := newHot(c.Scratch, c.CacheBytes/filesPart)
	if err != nil {
		return nil, err
	}
	return &Edge{config: c, guard: guard, blocks: blocks, releases: known, hot: hot}, nil
}

// Close stops the caches' own goroutines.
func (e *Edge) Close() {
	e.blocks.Close()
	e.releases.close()
	e.guard.close()
	e.hot.close()
}

// Register hangs the playback addresses on r.
func (e *Edge) Register(r *api.Router) {
	e.hot.meter = r.Meter
	const root = "/p/{ticket}/{track}/{release}/"
	streams := map[string]handler{
		"index.m3u8":              e.standard,
		"hifi.m3u8":               e.hifi,
		"{rendition}/index.m3u8":  e.media,
		"{rendition}/init.mp4":    e.initSegment,
		"{rendition}/s/{segment}": e.told(e.segment),
	}
	for pattern, serve := range streams {
		r.Mux.Handle("GET "+root+pattern, e.open(serve))
		r.Mux.Handle("GET "+root+"encrypted/aes-128/{secret}/"+pattern, e.open(e.encrypted(serve)))
		r.Mux.Handle("GET "+root+"preview/segments/{range}/"+pattern, e.open(preview(serve)))
	}
	r.Mux.Handle("GET "+root+"manifest.mpd", e.open(e.dash))
	r.Mux.Handle("GET "+root+"encrypted/aes-128/{secret}/{key}", e.open(e.encrypted(e.key)))
	r.Mux.Handle("GET "+root+"offline/v1/{secret}/{device}/{file}", e.open(e.offline))
	r.Mux.HandleFunc("GET /p/", gone)
	r.Mux.HandleFunc("OPTIONS /p/", preflight)
	e.registerLists(r)
	e.registerBreaks(r)
	e.registerPeers(r)
	e.registerCommon(r)
}

func gone(w http.ResponseWriter, r *http.Request) {
	allowOrigins(w.Header())
	fail(w, r, errGone)
}

// play is one authorised request.
type play struct {
	manifest *melodyud.Manifest // of the release, or of the part of it that is played
	first    int                // the number of the manifest's first segment
	offsets  map[string][]int64 // per rendition: where each of the release's segments starts, and the end
	cipher   *cbc               // nil: segments are clear
	claims   ticket.Claims
	release  *release
	made     cachestatus.Status // of the manifest
	timing   timing
	watched  *watcher // notes the answer; nil: nobody does
}

type handler func(w http.ResponseWriter, r *http.Request, p play) error

// open checks the ticket, finds the release and hands over to serve. The ticket
// is checked on every request, before any cache is asked (TOK-7).
func (e *Edge) open(serve handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		allowOrigins(w.Header())
		p, err := e.admit(r)
		if err == nil {
			r = r.WithContext(ops.With(r.Context(), slog.String("track", r.PathValue("track")),
				slog.String("session", p.claims.Session)))
			err = e.hot.watch(w, r, p, serve)
		}
		if err != nil {
			fail(w, r, err)
		}
	})
}

// admit decides by allow alone whether the listener may have it: Resident does not
// come by here.
func (e *Edge) admit(r *http.Request) (play, error) {
	t := timing{began: e.config.Now()}
	claims, err := e.allowed(r, "/p/")
	if err != nil {
		return play{}, err
	}
	return e.load(r, claims, t)
}

// load finds the release of a request whose listener may have it.
func (e *Edge) load(r *http.Request, claims ticket.Claims, t timing) (play, error) {
	checked := e.config.Now()
	t.auth = checked.Sub(t.began)
	id, err := melodyud.ParseReleaseID(r.PathValue("release"))
	if err != nil {
		return play{}, errGone.Because(err)
	}
	known, made, err := e.find(r.Context(), id)
	if err != nil {
		return play{}, err
	}
	if made.Forward != "" {
		t.origin = e.config.Now().Sub(checked)
	}
	return play{manifest: known.manifest, offsets: known.offsets, claims: claims, release: known, made: made, timing: t}, nil
}

var (
	errGone = melodyud.Refuse(melodyud.ErrNotFound, "playback.not-found",
		"There is nothing to play at this address.")
	errTier = melodyud.Refuse(melodyud.ErrForbidden, "playback.premium-only",
		"Lossless playback is part of the premium plan.")
	errBusy = melodyud.Refuse(melodyud.ErrUnavailable, "playback.unavailable",
		"This track cannot be played right now. Try again in a moment.")
)

// rendition finds the rendition the path names, if the listener may have it.
func (p play) rendition(r *http.Request) (*melodyud.Rendition, error) {
	found, ok := p.manifest.Rendition(r.PathValue("rendition"))
	if !ok {
		return nil, errGone
	}
	if !opens(p.claims, found) {
		return nil, errTier
	}
	return found, nil
}

// fail answers with a problem, which no cache keeps (EDGE-13).
func fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the listener hung up
	}
	if _, said := melodyud.AsRefusal(err); !said && melodyud.Kind(err) == melodyud.ErrUnavailable {
		err = errBusy.Because(err)
	}
	h := w.Header()
	for _, name := range []string{"Etag", "Accept-Ranges", "Last-Modified", "Content-Encoding", cachestatus.Name} {
		h.Del(name)
	}
	api.WriteProblem(w, r, err)
}

// allowOrigins lets players on any site read media (HLS-82).
func allowOrigins(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Content-Length, Content-Range, CTA-Common-Access-Token, ETag, Age, Date, Cache-Status, CMSD-Static, Server-Timing")
	h.Set("Timing-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	// What players tell in the query makes no other answer of it: browsers, too, keep
	// one for all (CMCD-8).
	h.Set("No-Vary-Search", `params=("CMCD")`)
}

func preflight(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	allowOrigins(h)
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
	h.Set("Access-Control-Allow-Headers",
		"Range, Authorization, CMCD-Request, CMCD-Object, CMCD-Status, CMCD-Session, CTA-Common-Access-Token")
	h.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}
