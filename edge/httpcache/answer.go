package httpcache

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/melodyud/melodyud/edge/cachestatus"
)

// get answers a GET or HEAD.
func (c *Cache) get(w http.ResponseWriter, r *http.Request) {
	for attempt := 0; !c.try(w, r, attempt); attempt++ {
	}
}

// alone is the attempt that waits for nobody: the others before came to nothing.
const alone = 2

// try answers a request unless it waited for an answer that is none to it.
func (c *Cache) try(w http.ResponseWriter, r *http.Request, attempt int) bool {
	now := c.config.Now()
	q := question{Request: r, key: keyOf(r.URL)}
	q.seen, q.why = c.store.find(q.key, r.Header)
	if q.seen != nil {
		q.why = c.judge(q.seen, r, now)
	}
	switch {
	case q.why == "":
		c.count("hit")
		c.answer(w, r, q.seen, q.seen.header, c.hit(q.seen, now))
		return true
	case q.why == cachestatus.Stale && q.seen.usable(r) && q.seen.staleFor(q.seen.policy.staleWhile, now):
		c.refresh(q)
		c.count("stale")
		c.answer(w, r, q.seen, q.seen.header, c.hit(q.seen, now))
		return true
	case asks(r).has("only-if-cached"): // RFC 9111 §5.2.1.7
		c.refuse(w, q.why, http.StatusGatewayTimeout, "This is not in the cache, and the request allows nothing else.")
		return true
	case r.Method == http.MethodHead:
		c.head(w, q)
		return true
	}
	if q.why != cachestatus.Partial && q.seen != nil && q.seen.parts == nil {
		q.found = q.seen
	}
	q.alone = attempt >= alone || asks(r).has("no-store") || c.store.passes(q.key, now)
	return c.fetch(w, q)
}

// asks is what a request's own Cache-Control says, or a Pragma instead (RFC 9111
// §5.4).
func asks(r *http.Request) directives {
	if lines := r.Header.Values("Cache-Control"); len(lines) > 0 {
		return parseDirectives(lines)
	}
	return parseDirectives(r.Header.Values("Pragma"))
}

// judge says why a stored response cannot be used without the origin, or nothing
// (RFC 9111 §4).
func (c *Cache) judge(s *stored, r *http.Request, now time.Time) cachestatus.Reason {
	if ttl := s.ttl(now); s.policy.validatesAlways() || ttl <= 0 && !c.allowsStale(s, r, ttl) {
		return cachestatus.Stale
	}
	if !s.usable(r) {
		return cachestatus.Partial
	}
	if c.config.Obey && unwanted(s, asks(r), now) {
		return cachestatus.OnRequest
	}
	return ""
}

// allowsStale reports whether the request itself takes what is stale (RFC 9111
// §5.2.1.2).
func (c *Cache) allowsStale(s *stored, r *http.Request, ttl time.Duration) bool {
	value, said := asks(r)["max-stale"]
	if !said || !c.config.Obey || s.policy.forbidsStale() {
		return false
	}
	most, ok := deltaSeconds(value)
	return value == "" || ok && -ttl <= most
}

// unwanted reports whether a request wants something fresher (RFC 9111 §5.2.1).
func unwanted(s *stored, d directives, now time.Time) bool {
	if d.has("no-cache") {
		return true
	}
	if most, said := d.seconds("max-age"); said && s.ageAt(now) > most {
		return true
	}
	least, said := d.seconds("min-fresh")
	return said && s.ttl(now) < least
}

func (c *Cache) hit(s *stored, now time.Time) cachestatus.Status {
	return cachestatus.Status{Cache: c.config.Name, TTL: s.ttl(now), HasTTL: true}
}

func (c *Cache) count(from string) { c.answers.WithLabelValues(from).Inc() }

// refresh validates a stale response for the next who asks (RFC 5861 §3).
func (c *Cache) refresh(q question) {
	if q.seen.parts == nil {
		q.found = q.seen
		c.join(q, nil)
	}
}

// fetch answers with what the origin says, by a flight of its own or of another.
func (c *Cache) fetch(w http.ResponseWriter, q question) bool {
	tell := newHerald(w, q.Request)
	f, leads := c.join(q, tell)
	if f == nil {
		return false
	}
	if leads {
		defer close(f.left)
	}
	err := pause(q.Context(), f.ready)
	tell.stop()
	if err != nil {
		return true // the client hung up
	}
	if !leads {
		return c.follow(w, q, f)
	}
	how := cachestatus.Status{Cache: c.config.Name, Forward: q.why, ForwardStatus: f.status, Stored: f.stores}
	switch {
	case f.err != nil:
		c.fail(w, q.why, f.err)
	case f.private != nil:
		defer context.AfterFunc(q.Context(), f.cancel)()
		c.count("origin")
		c.relay(w, q.Request, f.private.Response, how)
	default:
		c.count("origin")
		c.answer(w, q.Request, f.shared, f.header, how)
	}
	return true
}

// follow answers with what came for another request, if it is an answer to this one.
func (c *Cache) follow(w http.ResponseWriter, q question, f *flight) bool {
	s := f.shared
	if s == nil || !matches(s.selected, q.Header) {
		return false
	}
	if s.content != nil && s.content.length() < 0 { // it may outgrow us yet
		if err := s.content.wait(q.Context()); err != nil || !s.content.whole() {
			return q.Context().Err() != nil
		}
	}
	c.count("collapsed")
	c.answer(w, q.Request, s, s.header, cachestatus.Status{
		Cache: c.config.Name, Forward: q.why, ForwardStatus: f.status, Collapsed: true,
	})
	return true
}

// answer sends a stored response with a header, or what the request wants of it.
func (c *Cache) answer(w http.ResponseWriter, r *http.Request, s *stored, header http.Header, how cachestatus.Status) {
	h := w.Header()
	maps.Copy(h, header.Clone())
	c.setAge(h, s, how)
	how.Add(h)
	quiet(h)
	switch {
	case s.status < 300 && notModified(r, s.header, s.came): // before any range: RFC 9110 §13.2.2
		sendNotModified(w)
	case s.parts != nil:
		c.sendPart(w, r, s)
	default:
		c.sendWhole(w, r, s)
	}
}

// setAge says how old a response is (RFC 9111 §5.1); one that has just come has the
// Age it came with.
func (c *Cache) setAge(h http.Header, s *stored, how cachestatus.Status) {
	h.Del("Age")
	if came := how.Stored && how.ForwardStatus != http.StatusNotModified; came && !s.aged {
		return
	}
	h.Set("Age", strconv.FormatInt(int64(s.ageAt(c.config.Now())/time.Second), 10))
}

// quiet keeps net/http from guessing a type.
func quiet(h http.Header) {
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil
	}
}

func (c *Cache) sendWhole(w http.ResponseWriter, r *http.Request, s *stored) {
	h, length := w.Header(), s.content.length()
	if s.status == http.StatusOK && length >= 0 && r.Method == http.MethodGet && rangeApplies(r.Header, s.header) {
		switch want, ok := parseRange(r.Header.Values("Range"), length); ok {
		case beyond:
			sendBeyond(w, length)
			return
		case satisfiable:
			h.Set("Content-Range", formatContentRange(want, length))
			h.Set("Content-Length", strconv.FormatInt(want.length(), 10))
			w.WriteHeader(http.StatusPartialContent)
			c.send(w, r, s.content, want)
			return
		}
	}
	if length >= 0 && s.status != http.StatusNoContent {
		h.Set("Content-Length", strconv.FormatInt(length, 10))
	}
	w.WriteHeader(s.status)
	if r.Method != http.MethodHead {
		c.send(w, r, s.content, span{0, length})
	}
}

// sendPart answers from an incomplete response what is known to be in it.
func (c *Cache) sendPart(w http.ResponseWriter, r *http.Request, s *stored) {
	h := w.Header()
	want, have := s.parts[0].span, s.content
	if have == nil {
		var ok answerable
		if want, ok = parseRange(r.Header.Values("Range"), s.length); ok == beyond {
			sendBeyond(w, s.length)
			return
		}
		p, _ := s.covers(want)
		have = wholeContent(p.data[want.from-p.from : want.to-p.from])
	}
	h.Set("Content-Range", formatContentRange(want, s.length))
	h.Set("Content-Length", strconv.FormatInt(want.length(), 10))
	w.WriteHeader(http.StatusPartialContent)
	c.send(w, r, have, span{0, want.length()})
}

// send writes content as it arrives. A response that breaks off is cut for the
// client, too: it must not look whole.
func (c *Cache) send(w http.ResponseWriter, r *http.Request, content *content, want span) {
	out := c.pace(w)
	defer out.end()
	if err := content.copyTo(r.Context(), out, want.from, want.to); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// paced is a client that must take some bytes every now and then (EDGE-16).
type paced struct {
	io.Writer
	control *http.ResponseController
	stall   time.Duration
}

func (c *Cache) pace(w http.ResponseWriter) paced {
	return paced{w, http.NewResponseController(w), c.config.Silence}
}

// Write implements io.Writer.
func (p paced) Write(b []byte) (n int, err error) {
	const most = 64 << 10 // bytes that a slow client has the whole time for
	for len(b) > 0 && err == nil {
		_ = p.control.SetWriteDeadline(time.Now().Add(p.stall)) // where there is a connection
		var wrote int
		wrote, err = p.Writer.Write(b[:min(most, len(b))])
		n, b = n+wrote, b[wrote:]
	}
	return n, err
}

func (p paced) flush() { _ = p.control.Flush() }

// end leaves the connection as it was for its next request.
func (p paced) end() { _ = p.control.SetWriteDeadline(time.Time{}) }

// sendBeyond is RFC 9110 §15.5.17.
func sendBeyond(w http.ResponseWriter, length int64) {
	h := w.Header()
	strip(h)
	h.Set("Content-Range", "bytes */"+strconv.FormatInt(length, 10))
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
}

// sendNotModified is RFC 9110 §15.4.5.
func sendNotModified(w http.ResponseWriter) {
	strip(w.Header())
	w.WriteHeader(http.StatusNotModified)
}

// strip removes what describes content that is not sent.
func strip(h http.Header) {
	for _, name := range []string{"Content-Length", "Content-Range", "Content-Encoding", "Content-Language"} {
		h.Del(name)
	}
	h["Content-Type"] = nil
}

// notModified evaluates the conditions a cache may evaluate (RFC 9111 §4.3.2).
func notModified(r *http.Request, h http.Header, came time.Time) bool {
	if tags := r.Header.Values("If-None-Match"); len(tags) > 0 {
		return anyTag(tags, h.Get("ETag"))
	}
	since, ok := parseDate(r.Header.Get("If-Modified-Since"), came)
	if !ok {
		return false
	}
	changed, ok := parseDate(h.Get("Last-Modified"), came)
	if !ok {
		changed = dateOf(h, came)
	}
	return !changed.After(since)
}

// anyTag compares weakly (RFC 9110 §13.1.2).
func anyTag(lines []string, tag string) bool {
	for _, line := range lines {
		for one := range elements(line) {
			if one == "*" || tag != "" && strings.TrimPrefix(one, "W/") == strings.TrimPrefix(tag, "W/") {
				return true
			}
		}
	}
	return false
}

// relay sends a response as it comes from the origin.
func (c *Cache) relay(w http.ResponseWriter, r *http.Request, a *http.Response, how cachestatus.Status) {
	h := w.Header()
	maps.Copy(h, a.Header)
	how.Add(h)
	quiet(h)
	if r.Method == http.MethodGet && a.StatusCode == http.StatusOK && notModified(r, a.Header, c.config.Now()) {
		sendNotModified(w)
		return
	}
	w.WriteHeader(a.StatusCode)
	out := c.pace(w)
	defer out.end()
	if _, err := io.Copy(flushing{out}, a.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// fail tells that the origin did not answer.
func (c *Cache) fail(w http.ResponseWriter, why cachestatus.Reason, err error) {
	status := http.StatusBadGateway
	var slow net.Error
	if errors.Is(err, context.Canceled) || errors.As(err, &slow) && slow.Timeout() {
		status = http.StatusGatewayTimeout
	}
	c.refuse(w, why, status, "The server behind this one does not answer. Try again in a moment.")
}

func (c *Cache) refuse(w http.ResponseWriter, why cachestatus.Reason, status int, text string) {
	c.count("error")
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	cachestatus.Status{Cache: c.config.Name, Forward: why}.Add(h)
	http.Error(w, text, status)
}

// herald tells a client of interim responses while it waits for the final one.
type herald struct {
	mu   sync.Mutex
	w    http.ResponseWriter
	over bool
}

// newHerald returns nothing for clients that know no interim responses (RFC 9110
// §15.2).
func newHerald(w http.ResponseWriter, r *http.Request) *herald {
	return &herald{w: w, over: !r.ProtoAtLeast(1, 1)}
}

// tell sends an interim response. A nil herald is silent.
func (t *herald) tell(status int, h http.Header) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return
	}
	own := t.w.Header().Clone()
	clear(t.w.Header())
	maps.Copy(t.w.Header(), h)
	t.w.WriteHeader(status)
	clear(t.w.Header())
	maps.Copy(t.w.Header(), own)
}

// stop comes back when nothing more is told.
func (t *herald) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
}
