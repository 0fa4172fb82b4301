package httpcache

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/melodyud/melodyud/edge/cachestatus"
)

// through passes a request on and its answer back. A method that may change things
// makes what is stored invalid (RFC 9111 §4.4).
func (c *Cache) through(w http.ResponseWriter, r *http.Request, why cachestatus.Reason) {
	a, cancel, err := c.pass(w, r)
	defer cancel()
	if err != nil {
		c.fail(w, why, err)
		return
	}
	defer a.Body.Close()
	if !safe(r.Method) && a.StatusCode >= 200 && a.StatusCode < 400 {
		c.changed(r, a.Header)
	}
	stores := r.Method == http.MethodPost && c.keepPost(r, a)
	c.count("origin")
	c.relay(w, r, a.Response, cachestatus.Status{Cache: c.config.Name, Forward: why, ForwardStatus: a.StatusCode, Stored: stores})
}

// pass asks the origin exactly what the client asks, for as long as the client
// waits.
func (c *Cache) pass(w http.ResponseWriter, r *http.Request) (*arrived, context.CancelFunc, error) {
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(c.life, cancel)
	request := c.ask(ctx, r)
	if r.ContentLength != 0 {
		request.Body, request.ContentLength = r.Body, r.ContentLength
	}
	tell := newHerald(w, r)
	a, err := c.exchange(request, tell.tell)
	tell.stop()
	return a, func() { stop(); cancel() }, err
}

// safe are the methods that change nothing (RFC 9110 §9.2.1); of others we cannot
// know.
func safe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	return false
}

// changed drops what a successful request may have changed: its own address and
// those the answer names on the same server.
func (c *Cache) changed(r *http.Request, answer http.Header) {
	c.invalidate(keyOf(r.URL))
	for _, name := range []string{"Location", "Content-Location"} {
		if key, ok := c.here(r, answer.Get(name)); ok {
			c.invalidate(key)
		}
	}
}

// here returns the key of an address that an answer to r names, if it is one of this
// server.
func (c *Cache) here(r *http.Request, address string) (key string, ok bool) {
	named, err := url.Parse(address)
	if err != nil || address == "" {
		return "", false
	}
	base := &url.URL{Scheme: c.config.Origin.Scheme, Host: r.Host, Path: r.URL.Path, RawPath: r.URL.RawPath}
	named = base.ResolveReference(named)
	return keyOf(named), named.Host == r.Host || named.Host == c.config.Origin.Host
}

// keepPost stores the answer to a POST that is that of a later GET, too (RFC 9110
// §9.3.3).
func (c *Cache) keepPost(r *http.Request, a *arrived) bool {
	key, ok := c.here(r, a.Header.Get("Content-Location"))
	if !ok || key != keyOf(r.URL) || a.StatusCode != http.StatusOK || a.ContentLength < 0 || a.ContentLength > c.config.Object {
		return false
	}
	one := c.storedOf(r, a)
	if one == nil || !one.policy.explicit || !c.reserve(a.ContentLength) {
		return false
	}
	defer c.arriving.Add(-a.ContentLength)
	data, err := io.ReadAll(a.Body)
	if err != nil {
		a.Body = io.NopCloser(io.MultiReader(bytes.NewReader(data), broken{err}))
		return false
	}
	one.content = wholeContent(data)
	a.Body = io.NopCloser(one.content.reader())
	c.store.put(key, one)
	return true
}

// broken is the end of what could not be read.
type broken struct{ err error }

// Read implements io.Reader.
func (b broken) Read([]byte) (int, error) { return 0, b.err }

// head passes a HEAD on. Its answer says whether what is stored is still right (RFC
// 9111 §4.3.5).
func (c *Cache) head(w http.ResponseWriter, q question) {
	a, cancel, err := c.pass(w, q.Request)
	defer cancel()
	if err != nil {
		c.fail(w, q.why, err)
		return
	}
	defer a.Body.Close()
	if q.seen != nil && a.StatusCode == http.StatusOK {
		c.compare(q, a)
	}
	c.count("origin")
	c.relay(w, q.Request, a.Response, cachestatus.Status{Cache: c.config.Name, Forward: q.why, ForwardStatus: a.StatusCode})
}

// compare refreshes what is stored, if the answer to a HEAD has its validators, and
// drops it if they differ.
func (c *Cache) compare(q question, a *arrived) {
	same := false
	for _, name := range []string{"Content-Length", "ETag", "Last-Modified"} {
		said, known := a.Header.Get(name), q.seen.header.Get(name)
		if name == "Content-Length" && q.seen.parts != nil {
			known = strconv.FormatInt(q.seen.length, 10)
		}
		if said != "" && said != known {
			c.invalidate(q.key)
			return
		}
		same = same || said != "" && name != "Content-Length"
	}
	if one := c.refreshed(q.Request, q.seen, a); same && q.seen.parts == nil && one != nil && one.policy.storable(q.Request, one.status, one.header) {
		c.store.put(q.key, one)
	}
}
