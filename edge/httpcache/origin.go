package httpcache

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"slices"
	"time"
)

// newTransport returns a transport that passes bodies as they are.
func newTransport(silence time.Duration) *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: min(silence, 10*time.Second)}).DialContext,
		TLSHandshakeTimeout:    min(silence, 10*time.Second),
		DisableCompression:     true,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        time.Minute,
		ResponseHeaderTimeout:  silence,
		MaxResponseHeaderBytes: 256 << 10,
		ForceAttemptHTTP2:      true,
	}
}

// hops are the fields of one connection, not of the message (RFC 9110 §7.6.1), and
// those between us and one neighbour (RFC 9111 §3.1).
var hops = []string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization",
}

// hearsay are request fields that some servers believe and no cache key has: what
// they change would be stored for everybody (EDGE-17).
var hearsay = []string{
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Proto",
	"X-Forwarded-Scheme", "X-Forwarded-Server", "X-Host", "X-Original-Url", "X-Rewrite-Url", "X-Http-Method-Override",
}

// endToEnd returns h without the fields of the connection.
func endToEnd(h http.Header) http.Header {
	out := h.Clone()
	for _, line := range h.Values("Connection") {
		for name := range elements(line) {
			out.Del(name)
		}
	}
	for _, name := range hops {
		out.Del(name)
	}
	return out
}

// ask makes the request to the origin that stands for r.
func (c *Cache) ask(ctx context.Context, r *http.Request) *http.Request {
	to := &url.URL{
		Scheme: c.config.Origin.Scheme, Host: c.config.Origin.Host, RawQuery: r.URL.RawQuery, ForceQuery: r.URL.ForceQuery,
		Path: c.prefix.Path + r.URL.Path, RawPath: c.prefix.EscapedPath() + r.URL.EscapedPath(),
	}
	header := endToEnd(r.Header)
	for _, name := range hearsay {
		header.Del(name)
	}
	header.Del("Expect") // the server in front of us has answered it
	header.Add("Via", "1.1 "+c.config.Name)
	if len(header.Values("User-Agent")) == 0 {
		header["User-Agent"] = []string{""} // and not the transport's
	}
	return (&http.Request{Method: r.Method, URL: to, Host: to.Host, Header: header}).WithContext(ctx)
}

// wholly makes q ask for all of what it asks for, whatever the client has already.
func wholly(q *http.Request) {
	for _, name := range []string{"Range", "If-Range", "If-None-Match", "If-Modified-Since"} {
		q.Header.Del(name)
	}
}

// validate makes q a question whether old is still right (RFC 9111 §4.3.1).
func validate(q *http.Request, old *stored) {
	wholly(q)
	if tag := old.header.Get("ETag"); tag != "" {
		q.Header.Set("If-None-Match", tag)
	}
	if changed := old.header.Get("Last-Modified"); changed != "" {
		q.Header.Set("If-Modified-Since", changed)
	}
}

// arrived is a response of the origin with when it was asked for and came.
type arrived struct {
	*http.Response
	asked, came time.Time
}

// exchange asks the origin. Interim responses but 100 go to interim, if that is not nil
// (RFC 9110 §15.2).
func (c *Cache) exchange(q *http.Request, interim func(int, http.Header)) (*arrived, error) {
	if interim != nil {
		q = q.WithContext(httptrace.WithClientTrace(q.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				if code != http.StatusContinue {
					interim(code, endToEnd(http.Header(h)))
				}
				return nil
			},
		}))
	}
	a := &arrived{asked: c.config.Now()}
	response, err := c.config.Transport.RoundTrip(q)
	if err != nil {
		return nil, err
	}
	a.Response, a.came = response, c.config.Now()
	response.Header = endToEnd(response.Header)
	if _, ok := parseDate(response.Header.Get("Date"), a.came); !ok { // RFC 9110 §6.6.1
		response.Header.Set("Date", a.came.UTC().Format(http.TimeFormat))
	}
	return a, nil
}

// storedOf is what may be stored of a response to r, or nil.
func (c *Cache) storedOf(r *http.Request, a *arrived) *stored {
	p := c.policyOf(r, a.StatusCode, a.Header, a.came)
	selected, ok := selectingOf(r.Header, a.Header)
	if !ok || !p.storable(r, a.StatusCode, a.Header) {
		return nil
	}
	one := &stored{
		status: a.StatusCode, header: storedHeader(a.Header, p), selected: selected,
		policy: p, age: initialAge(a.Header, a.asked, a.came), came: a.came,
		aged: a.Header.Get("Age") != "",
	}
	asked := len(r.Header.Values("Range")) > 0
	switch {
	case a.StatusCode == http.StatusPartialContent:
		if !asked || !c.partOf(one, a) {
			return nil
		}
	case asked && a.StatusCode != http.StatusOK, a.StatusCode == http.StatusNotModified:
		return nil
	default:
		one.content = newContent(a.ContentLength)
	}
	return one
}

// partOf makes one an incomplete response, if the 206 says clearly which part it has.
func (c *Cache) partOf(one *stored, a *arrived) bool {
	where, length, ok := parseContentRange(a.Header.Get("Content-Range"))
	if !ok || a.ContentLength >= 0 && a.ContentLength != where.length() || where.length() > c.config.Object {
		return false
	}
	one.content, one.length = newContent(where.length()), length
	one.parts = []part{{span: where}}
	return true
}

// storedHeader is a response's header without what must not be stored (RFC 9111 §3.1)
// and without its Age, which is counted from now on.
func storedHeader(h http.Header, p policy) http.Header {
	out := h.Clone()
	for _, name := range append(p.unstored(), "Age") {
		out.Del(name)
	}
	return out
}

// refreshed is old after the origin said that it is still right (RFC 9111 §4.3.4), or
// nil if it spoke of something else.
func (c *Cache) refreshed(r *http.Request, old *stored, a *arrived) *stored {
	if tag := a.Header.Get("ETag"); strong(tag) && tag != old.header.Get("ETag") {
		return nil
	}
	one := *old
	one.header = updated(old.header, a.Header)
	one.policy = c.policyOf(r, old.status, one.header, a.came)
	one.header = storedHeader(one.header, one.policy)
	one.age, one.came = initialAge(a.Header, a.asked, a.came), a.came
	return &one
}

// failed are the answers that stale-if-error is for (RFC 5861 §4).
func failed(status int) bool {
	return slices.Contains([]int{500, 502, 503, 504}, status)
}

// patient reads a body and calls it off after a silence.
type patient struct {
	io.ReadCloser
	timer   *time.Timer
	silence time.Duration
}

// Read implements io.Reader.
func (p patient) Read(b []byte) (int, error) {
	p.timer.Reset(p.silence)
	defer p.timer.Stop()
	return p.ReadCloser.Read(b)
}

// Close implements io.Closer.
func (p patient) Close() error {
	p.timer.Stop()
	return p.ReadCloser.Close()
}
