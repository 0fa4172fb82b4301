package httpcache

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// policy is what a response says about being stored and used again.
type policy struct {
	directives
	targeted bool          // they are of a targeted field: Expires does not count
	lifetime time.Duration // how long it is fresh (RFC 9111 §4.2.1)
	explicit bool          // lifetime is the origin's word, not ours
	// staleOnError and staleWhile are how long after that it may be used while the
	// origin fails, and while it is validated (RFC 5861). saysError: the origin said
	// for how long.
	staleOnError, staleWhile time.Duration
	saysError                bool
}

// understood are the final status codes whose caching rules we know (RFC 9111
// §5.2.2.3, RFC 9110 §15).
var understood = []int{
	200, 203, 204, 206, 300, 301, 302, 303, 307, 308,
	400, 401, 402, 403, 404, 405, 406, 408, 409, 410, 411, 413, 414, 415, 416, 417, 421, 422, 426, 429,
	500, 501, 502, 503, 504, 505,
}

// heuristic are the status codes that may be stored without being told (RFC 9110
// §15.1).
var heuristic = []int{200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501}

// policyOf reads what a response to r received at now says.
func (c *Cache) policyOf(r *http.Request, status int, h http.Header, now time.Time) policy {
	p := policy{}
	if p.directives, p.targeted = targeted(h, c.config.Targets); !p.targeted {
		p.directives = parseDirectives(h.Values("Cache-Control"))
	}
	p.staleWhile, _ = p.seconds("stale-while-revalidate")
	p.staleOnError, p.saysError = p.seconds("stale-if-error")
	for _, name := range []string{"s-maxage", "max-age"} { // a shared cache: §5.2.2.10
		if p.lifetime, p.explicit = p.seconds(name); p.explicit {
			return p
		}
	}
	if expires := h.Values("Expires"); len(expires) > 0 && !p.targeted {
		p.explicit = true
		if at, ok := parseDate(expires[0], now); ok { // an invalid one has passed: §5.3
			p.lifetime = max(0, at.Sub(dateOf(h, now)))
		}
		return p
	}
	if personal := r.Header.Get("Cookie") != "" || h.Get("Set-Cookie") != ""; !personal || p.has("public") {
		p.lifetime = c.guess(status, h, p.directives, now)
	}
	return p
}

// guess is the heuristic freshness of RFC 9111 §4.2.2: a tenth of the time since the
// last change, and a little for the absence of things. It is not asked about answers
// that go with cookies: those are likely for one client, unless the origin says for how
// long they are fresh, or that they are public.
func (c *Cache) guess(status int, h http.Header, d directives, now time.Time) time.Duration {
	if !slices.Contains(heuristic, status) && !d.has("public") {
		return 0
	}
	changed, ok := parseDate(h.Get("Last-Modified"), now)
	if ok {
		return min(max(0, dateOf(h, now).Sub(changed)/10), mostGuessed)
	}
	if status == http.StatusNotFound || status == http.StatusGone {
		return c.config.Negative
	}
	return 0
}

const mostGuessed = 24 * time.Hour

// storable reports whether a shared cache may store the answer to a request (RFC
// 9111 §3) and whether that could ever be of use.
func (p policy) storable(r *http.Request, status int, h http.Header) bool {
	allowed := p.has("public") || p.explicit || slices.Contains(heuristic, status)
	if !allowed || !p.shared(status) {
		return false
	}
	if r.Header.Get("Authorization") != "" && !p.has("public") && !p.has("s-maxage") && !p.has("must-revalidate") { // §3.5
		return false
	}
	if parseDirectives(r.Header.Values("Cache-Control")).has("no-store") { // §5.2.1.5
		return false
	}
	return p.lifetime > 0 && !p.validatesAlways() || p.staleWhile > 0 || p.staleOnError > 0 || hasValidator(h)
}

// shared reports whether the response itself lets a shared cache store it.
func (p policy) shared(status int) bool {
	if p.has("must-understand") { // §5.2.2.3
		if !slices.Contains(understood, status) {
			return false
		}
	} else if p.has("no-store") {
		return false
	}
	return !p.has("private") || p.directives["private"] != ""
}

// unstored are the fields that the qualified forms of private and no-cache keep out
// of the store (RFC 9111 §5.2.2.4, §5.2.2.7).
func (p policy) unstored() []string {
	var names []string
	for _, directive := range []string{"private", "no-cache"} {
		for name := range elements(p.directives[directive]) {
			names = append(names, name)
		}
	}
	return names
}

// validatesAlways is no-cache without a list of fields (RFC 9111 §5.2.2.4).
func (p policy) validatesAlways() bool { return p.has("no-cache") && p.directives["no-cache"] == "" }

// forbidsStale reports whether the response must not be used when stale (RFC 9111
// §4.2.4).
func (p policy) forbidsStale() bool {
	return p.has("must-revalidate") || p.has("proxy-revalidate") || p.has("s-maxage") || p.validatesAlways()
}

func hasValidator(h http.Header) bool { return h.Get("ETag") != "" || h.Get("Last-Modified") != "" }

// initialAge is how old a response was when it came (RFC 9111 §4.2.3).
func initialAge(h http.Header, asked, came time.Time) time.Duration {
	apparent := max(0, came.Sub(dateOf(h, came)))
	return max(apparent, ageOf(h)+came.Sub(asked))
}

// ageOf reads the first member of an Age field; an invalid one is ignored (RFC 9111
// §5.1).
func ageOf(h http.Header) time.Duration {
	first, _, _ := strings.Cut(h.Get("Age"), ",")
	age, _ := deltaSeconds(trim(first))
	return age
}

// dateOf is a response's Date, or when it came (RFC 9110 §6.6.1).
func dateOf(h http.Header, came time.Time) time.Time {
	if t, ok := parseDate(h.Get("Date"), came); ok {
		return t
	}
	return came
}

// rfc850 is the obsolete form with two digits of a year.
const rfc850 = "Monday, 02-Jan-06 15:04:05 GMT"

// parseDate reads the three forms of RFC 9110 §5.6.7, in any case of letters and
// nothing else. The day of the week is not checked.
func parseDate(s string, now time.Time) (time.Time, bool) {
	if n := len(s) - 3; n > 0 && strings.EqualFold(s[n:], "GMT") {
		s = s[:n] + "GMT"
	}
	for _, layout := range []string{http.TimeFormat, rfc850, time.ANSIC} {
		t, err := time.Parse(layout, s)
		if err != nil || !strings.EqualFold(afterDay(t.Format(layout)), afterDay(s)) {
			continue // time.Parse takes more spaces and fewer digits than the standard
		}
		if layout == rfc850 && t.After(now.AddDate(50, 0, 0)) {
			t = t.AddDate(-100, 0, 0)
		}
		return t, true
	}
	return time.Time{}, false
}

func afterDay(date string) string {
	_, rest, _ := strings.Cut(date, " ")
	return rest
}
