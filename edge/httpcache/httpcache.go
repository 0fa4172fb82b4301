// Package httpcache is a shared HTTP cache in front of one other web server: RFC
// 9110 and 9111, with stale-while-revalidate and stale-if-error (RFC 5861), targeted
// Cache-Control (RFC 9213) and Cache-Status (RFC 9211).
//
// Whole responses up to a size are kept in memory, and parts of large ones; what is
// larger streams through. Many requests for one thing become one to the origin, and
// all of them read the answer while it arrives.
package httpcache

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/cachestatus"
	"github.com/melodyud/melodyud/edge/cmcd"
)

// Config of a Cache.
type Config struct {
	// Origin is the server behind: scheme, host and, if any, the path that goes
	// before every request's. Requests carry its host.
	Origin *url.URL
	// Transport makes the requests; it must not follow redirects or change bodies.
	// Default: one of the cache's own.
	Transport http.RoundTripper
	// Bytes is the most memory for what is stored; default 64 MiB. Responses that are
	// arriving may take as much again.
	Bytes int64
	// Object is the largest response stored, in bytes; default 8 MiB, at most a
	// quarter of Bytes.
	Object int64
	// Name is the cache's token in Cache-Status and Via; default "melodyud-edge".
	Name string
	// Targets are the fields that stand for Cache-Control here, the first first (RFC
	// 9213); default CDN-Cache-Control.
	Targets []string
	// StaleAway is how long what is stale may be used while the origin cannot be
	// reached and has said nothing about it (RFC 9111 §4.2.4); default 1 hour,
	// negative: not at all.
	StaleAway time.Duration
	// Negative is for how long a 404 or 410 that says nothing about it is kept;
	// default 10 s (EDGE-10), negative: not at all.
	Negative time.Duration
	// Obey lets requests ask for validation (no-cache, max-age, min-fresh) or for
	// what is stale (max-stale). That is advice (RFC 9111 §5.2.1), and followed it
	// lets any client make the origin work; default false.
	Obey bool
	// Silence is how long the origin may be silent before a request to it fails, and
	// how long a client may take no byte of an answer before it is cut off; default
	// 30 s.
	Silence time.Duration
	Logger  *slog.Logger          // default: discards
	Metrics prometheus.Registerer // nil: not measured
	Now     func() time.Time      // default time.Now
}

// Cache is an http.Handler, safe for concurrent use. Close it after the last request.
type Cache struct {
	config  Config
	prefix  *url.URL // its path goes before every request's
	store   *store
	answers *prometheus.CounterVec

	mu       sync.Mutex
	flights  map[string]*flight // requests to the origin
	loners   uint64             // how many of them nobody could join, so far
	arriving atomic.Int64       // bytes of responses that are not stored yet

	life context.Context // of requests to the origin that belong to nobody
	end  context.CancelFunc
	work sync.WaitGroup
}

const (
	defaultBytes    = 64 << 20
	defaultObject   = 8 << 20
	defaultName     = "melodyud-edge"
	defaultAway     = time.Hour
	defaultNegative = 10 * time.Second
	defaultSilence  = 30 * time.Second
)

// New returns an empty cache.
func New(c Config) (*Cache, error) {
	if c.Origin == nil || c.Origin.Host == "" || c.Origin.Scheme != "http" && c.Origin.Scheme != "https" {
		return nil, fmt.Errorf("%w: the origin is an address such as https://files.example.com", melodyud.ErrInvalid)
	}
	if c.Origin.RawQuery != "" || c.Origin.Fragment != "" || c.Origin.User != nil {
		return nil, fmt.Errorf("%w: the origin %s may have a host and a path, nothing else", melodyud.ErrInvalid, c.Origin.Redacted())
	}
	c = c.withDefaults()
	known, err := newStore(c.Bytes)
	if err != nil {
		return nil, err
	}
	k := &Cache{
		config: c, prefix: prefixOf(c.Origin), store: known,
		flights: make(map[string]*flight), answers: answersCounter(),
	}
	k.life, k.end = context.WithCancel(context.Background())
	if c.Metrics != nil {
		c.Metrics.MustRegister(k.answers, k.bytesGauge())
	}
	return k, nil
}

// prefixOf is the origin's path without the slash at its end.
func prefixOf(origin *url.URL) *url.URL {
	return &url.URL{Path: strings.TrimSuffix(origin.Path, "/"), RawPath: strings.TrimSuffix(origin.RawPath, "/")}
}

func (c Config) withDefaults() Config {
	c.Bytes = cmp.Or(c.Bytes, defaultBytes)
	c.Object = min(cmp.Or(c.Object, defaultObject), c.Bytes/4)
	c.Name = cmp.Or(c.Name, defaultName)
	c.StaleAway = cmp.Or(c.StaleAway, defaultAway)
	c.Negative = max(0, cmp.Or(c.Negative, defaultNegative))
	c.Silence = cmp.Or(c.Silence, defaultSilence)
	if c.Targets == nil {
		c.Targets = []string{"CDN-Cache-Control"}
	}
	if c.Transport == nil {
		c.Transport = newTransport(c.Silence)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func answersCounter() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "melodyud_edge_http_answers_total", Help: "Answers of the HTTP cache by where they came from.",
	}, []string{"from"})
}

func (c *Cache) bytesGauge() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "melodyud_edge_http_stored_bytes", Help: "Memory of what the HTTP cache has stored.",
	}, func() float64 { return float64(c.store.bytes()) })
}

// Close ends requests to the origin that nobody waits for and drops what is stored.
func (c *Cache) Close() {
	c.end()
	c.work.Wait()
	c.store.close()
	if t, ok := c.config.Transport.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

// ServeHTTP implements http.Handler.
func (c *Cache) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if status := refused(r); status != 0 {
		http.Error(w, http.StatusText(status), status)
		return
	}
	switch reason := forwards(r); reason {
	case "":
		c.get(w, r)
	default:
		c.through(w, r, reason)
	}
}

// refused is the status for requests that are no business of a cache (RFC 9110 §9.3.6,
// §9.3.8), or whose path could mean another one at the origin (EDGE-17).
func refused(r *http.Request) int {
	switch {
	case r.Method == http.MethodConnect || r.Method == http.MethodTrace:
		return http.StatusMethodNotAllowed
	case !strings.HasPrefix(r.URL.Path, "/"):
		return http.StatusBadRequest
	}
	for segment := range strings.SplitSeq(strings.ReplaceAll(r.URL.Path, `\`, "/"), "/") {
		if segment == "." || segment == ".." {
			return http.StatusBadRequest
		}
	}
	return 0
}

// forwards says why a request is none to answer from the store, or nothing.
func forwards(r *http.Request) cachestatus.Reason {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return cachestatus.Method
	case r.ContentLength != 0:
		return cachestatus.Bypass
	case r.Header.Get("If-Match") != "" || r.Header.Get("If-Unmodified-Since") != "": // RFC 9111 §4.3.2
		return cachestatus.Bypass
	}
	return ""
}

// keyOf is the address a response is stored under: of GET alone, the path and query
// as they are (RFC 9111 §2), but for what players tell about themselves (CMCD-8).
func keyOf(u *url.URL) string {
	query := cmcd.StripQuery(u.RawQuery)
	if query == "" && !u.ForceQuery {
		return u.EscapedPath()
	}
	return u.EscapedPath() + "?" + query
}
