package httpcache_test

import (
	"strings"
	"testing"
	"time"

	"github.com/melodyud/melodyud/edge/httpcache"
)

const minute = time.Minute

// EDGE-1, EDGE-2: RFC 9111 §3, §4.2.
func TestFreshnessIsAsTheOriginSays(t *testing.T) {
	t.Parallel()
	again := func(after time.Duration, lines ...string) []step { // still fresh after that time
		return []step{{says: &says{fields: lines, body: "one"}, gets: "200 one"}, {after: after, gets: "200 one"}}
	}
	anew := func(after time.Duration, lines ...string) []step { // not used after that time
		return []step{{says: &says{fields: lines, body: "one"}}, {after: after, says: &says{body: "two"}, gets: "200 two"}}
	}
	at := func(seconds int) string { return timeOf(seconds).Format("Mon, 02 Jan 2006 15:04:05 GMT") }
	tell(t, []story{
		{rule: "max-age", steps: again(59*time.Second, "Cache-Control: max-age=60")},
		{rule: "max-age is over", steps: anew(minute, "Cache-Control: max-age=60")},
		{rule: "max-age in any case, with others, quoted", steps: again(59*time.Second, `Cache-Control: foo="a, max-age=1", MAX-age="60"`)},
		{rule: "max-age with leading zeros", steps: again(59*time.Second, "Cache-Control: max-age=0060")},
		{rule: "max-age beyond all numbers", steps: again(24*time.Hour, "Cache-Control: max-age=99999999999999999999")},
		{rule: "max-age in a quoted string is none", steps: anew(2*time.Second, `Cache-Control: max-age=1, x="max-age=60"`)},
		{rule: "max-age below zero", steps: anew(0, "Cache-Control: max-age=-60")},
		{rule: "max-age in single quotes", steps: anew(0, "Cache-Control: max-age='60'")},
		{rule: "max-age with a fraction", steps: anew(0, "Cache-Control: max-age=60.5")},
		{rule: "max-age with a space", steps: anew(0, "Cache-Control: max-age =60")},
		{rule: "the first of two max-age", steps: anew(2*time.Second, "Cache-Control: max-age=1", "Cache-Control: max-age=60")},
		{rule: "s-maxage beats max-age", steps: again(59*time.Second, "Cache-Control: max-age=1, s-maxage=60")},
		{rule: "s-maxage beats max-age, downwards", steps: anew(2*time.Second, "Cache-Control: max-age=60, s-maxage=1")},
		{rule: "max-age beats Expires", steps: anew(2*time.Second, "Cache-Control: max-age=1", "Expires: "+at(60))},
		{rule: "Expires", steps: again(59*time.Second, "Expires: "+at(60))},
		{rule: "Expires is over", steps: anew(minute, "Expires: "+at(60))},
		{rule: "Expires counts from Date", steps: anew(11*time.Second, "Expires: "+at(20), "Date: "+at(10))},
		{rule: "Expires of 0", steps: anew(0, "Expires: 0")},
		{rule: "Expires in the form of RFC 850", steps: again(minute, "Expires: "+timeOf(90).Format("Monday, 02-Jan-06 15:04:05 GMT"))},
		{rule: "Expires in the form of asctime", steps: again(minute, "Expires: "+timeOf(90).Format(time.ANSIC))},
		{rule: "Expires in capitals", steps: again(minute, "Expires: "+strings.ToUpper(at(90)))},
		{rule: "Expires in another zone", steps: anew(0, "Expires: "+strings.Replace(at(90), "GMT", "UTC", 1))},
		{rule: "Expires with too few digits", steps: anew(0, "Expires: "+strings.Replace(at(90), " 00:", " 0:", 1))},
		{rule: "Expires with too many spaces", steps: anew(0, "Expires: "+strings.Replace(at(90), ", ", ",  ", 1))},
		{rule: "nothing said, nothing known", steps: anew(0)},
		{rule: "a tenth of the time since the last change", steps: again(9*time.Second, "Last-Modified: "+at(-100))},
		{rule: "and not longer", steps: anew(11*time.Second, "Last-Modified: "+at(-100))},
		{rule: "and not longer than a day", steps: anew(25*time.Hour, "Last-Modified: Sat, 01 Jan 1994 00:00:00 GMT")},
		{rule: "no-store", steps: anew(0, "Cache-Control: max-age=60, No-Store")},
		{rule: "private", steps: anew(0, "Cache-Control: max-age=60, private")},
		{rule: "no-cache", steps: anew(0, "Cache-Control: max-age=60, no-cache")},
		{rule: "must-understand, understood", steps: again(59*time.Second, "Cache-Control: no-store, must-understand, max-age=60")},
		{rule: "immutable goes stale, too (RFC 8246 §2)", steps: anew(minute, "Cache-Control: max-age=60, immutable")},
		{rule: "Age counts", steps: anew(11*time.Second, "Cache-Control: max-age=60", "Age: 50")},
		{rule: "the first of a list of Age", steps: again(9*time.Second, "Cache-Control: max-age=60", "Age: 50, 70")},
		{rule: "no Age is read from nonsense", steps: again(59*time.Second, "Cache-Control: max-age=60", "Age: -50")},
		{rule: "an Age beyond all numbers", steps: anew(0, "Cache-Control: max-age=60", "Age: 4294967297")},
		{rule: "an old Date counts", steps: anew(0, "Cache-Control: max-age=60", "Date: "+at(-61))},
		{rule: "a Date that is none does not", steps: again(59*time.Second, "Cache-Control: max-age=60", "Date: yesterday")},
	})
}

// timeOf is so many seconds after the beginning of a bubble (testing/synctest).
func timeOf(seconds int) time.Time {
	return time.Date(2000, 1, 1, 0, 0, seconds, 0, time.UTC)
}

// RFC 9213.
func TestATargetedFieldStandsForCacheControl(t *testing.T) {
	t.Parallel()
	again := func(lines ...string) []step {
		return []step{{says: &says{fields: lines, body: "one"}}, {after: 59 * time.Second, gets: "200 one"}}
	}
	anew := func(lines ...string) []step {
		return []step{{says: &says{fields: lines, body: "one"}}, {after: 2 * time.Second, says: &says{body: "two"}, gets: "200 two"}}
	}
	tell(t, []story{
		{rule: "longer", steps: again("CDN-Cache-Control: max-age=60", "Cache-Control: max-age=1")},
		{rule: "shorter", steps: anew("CDN-Cache-Control: max-age=1", "Cache-Control: max-age=60")},
		{rule: "over no-store", steps: again("CDN-Cache-Control: max-age=60", "Cache-Control: no-store")},
		{rule: "over Expires", steps: again("CDN-Cache-Control: max-age=60", "Expires: 0")},
		{rule: "no-store", steps: anew("CDN-Cache-Control: no-store", "Cache-Control: max-age=60")},
		{rule: "private", steps: anew("CDN-Cache-Control: private", "Cache-Control: max-age=60")},
		{rule: "no-cache", steps: anew("CDN-Cache-Control: no-cache", "Cache-Control: max-age=60")},
		{rule: "no structured field: ignored", steps: again("CDN-Cache-Control: max-age=1, &", "Cache-Control: max-age=60")},
		{rule: "empty: ignored", steps: again("CDN-Cache-Control: ", "Cache-Control: max-age=60")},
		{rule: "a string is no time", steps: anew(`CDN-Cache-Control: max-age="60"`, "Cache-Control: no-store")},
		{
			rule: "the first target that is there", steps: again("My-Cache-Control: max-age=60", "CDN-Cache-Control: max-age=1"),
			with: func(c *httpcache.Config) { c.Targets = []string{"No-Such", "My-Cache-Control", "CDN-Cache-Control"} },
		},
	})
}

// EDGE-2, EDGE-9: RFC 9111 §3, §3.5, §5.2; RFC 9110 §15.1.
func TestOnlyWhatMayBeStoredIsStored(t *testing.T) {
	t.Parallel()
	twice := func(first, second *says, with ...string) []step {
		return []step{{with: with, says: first}, {says: second}}
	}
	status := func(code int, lines ...string) *says { return &says{status: code, fields: lines, body: "one"} }
	minuteLong, old := "Cache-Control: max-age=60", "Last-Modified: Fri, 31 Dec 1999 00:00:00 GMT"
	tell(t, []story{
		{rule: "any final status with explicit freshness", steps: twice(status(599, minuteLong), nil)},
		{rule: "an unknown status that must be understood", steps: twice(status(599, minuteLong+", must-understand, no-store"), status(200))},
		{rule: "a guess for 404", steps: twice(status(404, old), nil)},
		{rule: "no guess for 403", steps: twice(status(403, old), status(200))},
		{rule: "a guess for anything public", steps: twice(status(599, old, "Cache-Control: public"), nil)},
		{rule: "Authorization", steps: twice(fresh("one"), fresh("two"), "Authorization: Bearer x")},
		{rule: "Authorization and public", steps: twice(fresh("one", "Cache-Control: public"), nil, "Authorization: Bearer x")},
		{rule: "Authorization and s-maxage", steps: twice(fresh("one", "Cache-Control: s-maxage=60"), nil, "Authorization: Bearer x")},
		{rule: "Authorization and must-revalidate", steps: twice(fresh("one", "Cache-Control: must-revalidate"), nil, "Authorization: Bearer x")},
		{rule: "a request that says no-store", steps: twice(fresh("one"), fresh("two"), "Cache-Control: no-store")},
		{rule: "Vary: *", steps: twice(fresh("one", "Vary: Foo, *"), fresh("two"))},
		{rule: "cookies do not matter to what is fresh", steps: twice(fresh("one", "Set-Cookie: a=b"), nil, "Cookie: a=b")},
		{rule: "no guess for what sets a cookie", steps: twice(status(200, old, "Set-Cookie: a=b"), status(200))},
		{rule: "no guess for an answer to a cookie", steps: twice(status(200, old), status(304), "Cookie: a=b")},
		{rule: "a guess for cookies, too, if it is public", steps: twice(status(200, old, "Cache-Control: public"), nil, "Cookie: a=b")},
		{rule: "another query is another thing", steps: []step{{says: fresh("one"), ask: "GET /x?a=1"}, {says: fresh("two"), ask: "GET /x?a=2", gets: "200 two"}, {ask: "GET /x?a=1", gets: "200 one"}}},
		{rule: "what was fetched with no-store is no reason to forget", steps: []step{
			{says: fresh("one")}, {after: 2 * minute, says: &says{status: 500}, gets: "500"}, {says: fresh("two"), gets: "200 two"},
		}},
		{rule: "EDGE-10: what is not there, for a moment", steps: []step{
			{says: status(404), gets: "404 one"}, {after: 9 * time.Second, gets: "404 one"}, {after: time.Second, says: fresh("here"), gets: "200 here"},
		}},
		{
			rule: "unless that is unwanted", steps: twice(status(404), status(404)),
			with: func(c *httpcache.Config) { c.Negative = -1 },
		},
		{rule: "larger than fits", steps: twice(fresh(strings.Repeat("x", 2000)), fresh("two")), with: func(c *httpcache.Config) { c.Object = 1000 }},
		{rule: "cut off", steps: []step{{says: &says{fields: []string{minuteLong}, body: "one two", cut: true}, gets: "-1 one"}, {says: fresh("two"), gets: "200 two"}}},
	})
}

// RFC 9111 §3.1; RFC 9110 §7.6.1, §7.6.3; EDGE-17.
func TestFieldsOfAConnectionStayThere(t *testing.T) {
	t.Parallel()
	hops := []string{"Connection: a, Keep-Alive", "A: 1", "Keep-Alive: timeout=5", "Proxy-Authenticate: Basic", "Upgrade: x", "Te: trailers", "Trailer: B", "C: 3"}
	clean := []string{"!Connection", "!A", "!Keep-Alive", "!Proxy-Authenticate", "!Upgrade", "!Te", "!Trailer", "C: 3"}
	tell(t, []story{
		{rule: "of answers", steps: []step{{says: fresh("one", hops...), has: clean}, {has: clean}}},
		{rule: "of requests", steps: []step{{
			with: append([]string{"X-Forwarded-Host: evil.test", "X-Original-URL: /admin", "Forwarded: for=1", "Expect: 100-continue"}, hops...),
			says: fresh("one"), sees: append([]string{"!X-Forwarded-Host", "!X-Original-Url", "!Forwarded", "!Expect", "Via: 1.1 melodyud-edge"}, clean...),
		}}},
		{rule: "named by no-cache: for the first alone", steps: []step{
			{says: fresh("one", `Cache-Control: no-cache="a, set-cookie"`, "A: 1", "Set-Cookie: s=1"), has: []string{"A: 1", "Set-Cookie: s=1"}},
			{gets: "200 one", has: []string{"!A", "!Set-Cookie"}},
		}},
		{rule: "named by private: for the first alone", steps: []step{
			{says: fresh("one", `Cache-Control: private="A"`, "A: 1"), has: []string{"A: 1"}}, {gets: "200 one", has: []string{"!A"}},
		}},
		{rule: "a Date is added if there is none that can be read", steps: []step{{says: fresh("one", "Date: now"), has: []string{"Date: " + timeOf(0).Format("Mon, 02 Jan 2006 15:04:05 GMT")}}}},
	})
}

// EDGE-1: RFC 9111 §4, §5.1.
func TestWhatComesFromTheStoreSaysHowOldItIs(t *testing.T) {
	t.Parallel()
	tell(t, []story{
		{rule: "Age", steps: []step{{says: fresh("one"), has: []string{"!Age"}}, {after: 3 * time.Second, has: []string{"Age: 3"}}}},
		{rule: "Age on top of the origin's", steps: []step{{says: fresh("one", "Age: 30"), has: []string{"Age: 30"}}, {after: 3 * time.Second, has: []string{"Age: 33"}}}},
		{rule: "Date and Expires stay", steps: []step{
			{says: fresh("one", "Expires: "+timeOf(9).Format("Mon, 02 Jan 2006 15:04:05 GMT"))},
			{after: 3 * time.Second, has: []string{"Date: " + timeOf(0).Format("Mon, 02 Jan 2006 15:04:05 GMT"), "Expires: " + timeOf(9).Format("Mon, 02 Jan 2006 15:04:05 GMT")}},
		}},
	})
}

func TestWhatPlayersTellIsNoPartOfAnAddress(t *testing.T) { // CMCD-8
	t.Parallel()
	tell(t, []story{
		{rule: "alone", steps: []step{{ask: "GET /x?CMCD=bl%3D1", says: fresh("one")}, {ask: "GET /x?CMCD=bl%3D2", gets: "200 one"}, {ask: "GET /x", gets: "200 one"}}},
		{rule: "among others", steps: []step{{ask: "GET /x?a=1&CMCD=bl%3D1", says: fresh("one")}, {ask: "GET /x?CMCD=bl%3D2&a=1", gets: "200 one"}, {ask: "GET /x?a=2", says: fresh("two")}}},
	})
}

// EDGE-5: RFC 9111 §4.1.
func TestVaryChoosesByWhatRequestsMean(t *testing.T) {
	t.Parallel()
	same := func(vary, first, second string) []step {
		return []step{{with: []string{first}, says: fresh("one", "Vary: "+vary)}, {with: []string{second}, gets: "200 one"}}
	}
	other := func(vary, first, second string) []step {
		return []step{{with: []string{first}, says: fresh("one", "Vary: "+vary)}, {with: []string{second}, says: fresh("two", "Vary: "+vary), gets: "200 two"}, {with: []string{first}, gets: "200 one"}}
	}
	tell(t, []story{
		{rule: "the same", steps: same("Foo", "Foo: 1", "Foo: 1")},
		{rule: "another field does not matter", steps: same("Foo", "Bar: 1", "Baz: 2")},
		{rule: "another value", steps: other("foo", "Foo: 1", "Foo: 2")},
		{rule: "one more field", steps: other("Foo, Bar", "Foo: 1", "Bar: 1")},
		{rule: "absent is not empty", steps: other("Foo", "Foo: ", "Bar: 1")},
		{rule: "white space", steps: same("Foo", "Foo: 1,2", "Foo:  1 , 2 ")},
		{rule: "but not in quotes", steps: other("Foo", `Foo: "1,2"`, `Foo: "1, 2"`)},
		{rule: "languages in any order and case", steps: same("Accept-Language", "Accept-Language: en, de;q=0.50", "Accept-Language: DE; q=0.5 ,En;q=1.0")},
		{rule: "codings with other weights", steps: other("Accept-Encoding", "Accept-Encoding: gzip", "Accept-Encoding: gzip;q=0")},
		{rule: "other fields have an order", steps: other("Foo", "Foo: 1, 2", "Foo: 2, 1")},
	})
}

// EDGE-4: RFC 9111 §4.3.
func TestWhatIsStaleIsValidated(t *testing.T) {
	t.Parallel()
	tagged := []string{`ETag: "a"`, "Last-Modified: Fri, 31 Dec 1999 23:00:00 GMT"}
	tell(t, []story{
		{rule: "a 304 makes it fresh and brings new fields (§4.3.4, §3.2)", steps: []step{
			{says: fresh("one", append(tagged, "Foo: 1", "Bar: 1")...)},
			{
				after: 2 * minute, gets: "200 one", has: []string{"Foo: 2", "Bar: 1", "Content-Length: 3"},
				says: &says{status: 304, fields: []string{`ETag: "a"`, "Foo: 2", "Content-Length: 99", "Cache-Control: max-age=60"}},
				sees: []string{`If-None-Match: "a"`, "If-Modified-Since: Fri, 31 Dec 1999 23:00:00 GMT"},
			},
			{after: 59 * time.Second, gets: "200 one", has: []string{"Foo: 2", "Age: 59"}},
		}},
		{rule: "a 200 replaces it", steps: []step{{says: fresh("one", tagged...)}, {after: 2 * minute, says: fresh("two"), gets: "200 two"}, {gets: "200 two"}}},
		{rule: "a 304 about something else is not believed", steps: []step{
			{says: fresh("one", tagged...)},
			{after: 2 * minute, says: &says{status: 304, fields: []string{`ETag: "b"`}}, then: fresh("two"), gets: "200 two"},
		}},
		{rule: "a 304 that says no-store is the last use", steps: []step{
			{says: fresh("one", tagged...)}, {after: 2 * minute, says: &says{status: 304, fields: []string{"Cache-Control: no-store"}}, gets: "200 one"}, {says: fresh("two"), gets: "200 two"},
		}},
		{rule: "the client's own condition is ours to answer", steps: []step{
			{with: []string{`If-None-Match: "a"`}, says: fresh("one", tagged...), sees: []string{"!If-None-Match"}, gets: "304", has: []string{`ETag: "a"`, "Cache-Control: max-age=60", "!Content-Length"}},
			{with: []string{`If-None-Match: "b", W/"a"`}, gets: "304"},
			{with: []string{"If-None-Match: *"}, gets: "304"},
			{with: []string{`If-None-Match: "b"`}, gets: "200 one"},
			{with: []string{"If-Modified-Since: Fri, 31 Dec 1999 23:00:00 GMT"}, gets: "304"},
			{with: []string{"If-Modified-Since: Friday, 31-Dec-99 23:00:01 GMT"}, gets: "304"},
			{with: []string{"If-Modified-Since: Fri, 31 Dec 1999 22:59:59 GMT"}, gets: "200 one"},
			{with: []string{"If-Modified-Since: nonsense"}, gets: "200 one"},
			{with: []string{`If-None-Match: "b"`, "If-Modified-Since: Fri, 31 Dec 1999 23:00:00 GMT"}, gets: "200 one"},
			{with: []string{`If-None-Match: "a"`, "If-Modified-Since: Fri, 31 Dec 1999 22:00:00 GMT"}, gets: "304"},
			{after: 2 * minute, with: []string{`If-None-Match: "b"`}, says: &says{status: 304}, sees: []string{`If-None-Match: "a"`}, gets: "200 one"},
		}},
		{rule: "without Last-Modified the Date counts", steps: []step{
			{says: fresh("one")}, {with: []string{"If-Modified-Since: " + timeOf(0).Format("Mon, 02 Jan 2006 15:04:05 GMT")}, gets: "304"}, {with: []string{"If-Modified-Since: Fri, 31 Dec 1999 23:59:59 GMT"}, gets: "200 one"},
		}},
		{rule: "If-Match is the origin's", steps: []step{{says: fresh("one", tagged...)}, {with: []string{`If-Match: "b"`}, says: &says{status: 412}, sees: []string{`If-Match: "b"`}, gets: "412", has: []string{"Cache-Status: melodyud-edge; fwd=bypass; fwd-status=412"}}}},
		{rule: "no-cache is stored and validated", steps: []step{
			{says: &says{fields: []string{"Cache-Control: no-cache", `ETag: "a"`}, body: "one"}}, {says: &says{status: 304}, sees: []string{`If-None-Match: "a"`}, gets: "200 one"},
		}},
		{rule: "HEAD confirms (§4.3.5)", steps: []step{
			{says: fresh("one", tagged...)}, {after: 2 * minute, ask: "HEAD /x", says: fresh("one", tagged...), gets: "200"}, {gets: "200 one"},
		}},
		{rule: "HEAD contradicts", steps: []step{
			{says: fresh("one", tagged...)}, {after: 2 * minute, ask: "HEAD /x", says: fresh("longer", tagged...)}, {says: fresh("longer"), gets: "200 longer"},
		}},
		{rule: "HEAD from what a GET stored", steps: []step{{says: fresh("one")}, {ask: "HEAD /x", gets: "200", has: []string{"Content-Length: 3", "Age: 0"}}}},
	})
}

// EDGE-3: RFC 9111 §4.2.4, RFC 5861.
func TestStaleIsServedOnlyWhereThatIsAllowed(t *testing.T) {
	t.Parallel()
	away, down := &says{status: -1}, &says{status: 503, body: "down"}
	control := func(more string) *says {
		return &says{fields: []string{"Cache-Control: max-age=60" + more}, body: "one"}
	}
	const failed = "502 The server behind this one does not answer. Try again in a moment."
	tell(t, []story{
		{rule: "stale-while-revalidate: once, and then the new one", steps: []step{
			{says: control(", stale-while-revalidate=60")},
			{after: 90 * time.Second, says: fresh("two"), gets: "200 one", has: []string{"Cache-Status: melodyud-edge; hit; ttl=-30", "Age: 90"}}, {gets: "200 two"},
		}},
		{rule: "stale-while-revalidate is over", steps: []step{{says: control(", stale-while-revalidate=60")}, {after: 2 * minute, says: fresh("two"), gets: "200 two"}}},
		{rule: "stale-if-error: a 503", steps: []step{
			{says: control(", stale-if-error=60")},
			{after: 90 * time.Second, says: down, gets: "200 one", has: []string{"Cache-Status: melodyud-edge; fwd=stale; fwd-status=503", "Age: 90"}},
			{says: away, gets: "200 one"}, {after: minute, says: down, gets: "503 down"}, {says: away, gets: failed},
		}},
		{rule: "a 503 without stale-if-error", steps: []step{{says: control("")}, {after: 2 * minute, says: down, gets: "503 down"}}},
		{rule: "a 404 is no error", steps: []step{{says: control(", stale-if-error=600")}, {after: 2 * minute, says: &says{status: 404, body: "no"}, gets: "404 no"}}},
		{rule: "an origin that is away, for an hour", steps: []step{{says: control("")}, {after: 2 * minute, says: away, gets: "200 one"}, {after: time.Hour, says: away, gets: failed, has: []string{"Cache-Control: no-store"}}}},
		{rule: "unless that is unwanted", steps: []step{{says: control("")}, {after: 2 * minute, says: away, gets: failed}}, with: func(c *httpcache.Config) { c.StaleAway = -1 }},
		{rule: "must-revalidate forbids it", steps: []step{{says: control(", must-revalidate, stale-if-error=600")}, {after: 2 * minute, says: away, gets: failed}}},
		{rule: "proxy-revalidate forbids it", steps: []step{{says: control(", proxy-revalidate, stale-while-revalidate=600")}, {after: 2 * minute, says: away, gets: failed}}},
		{rule: "s-maxage forbids it", steps: []step{{says: control(", s-maxage=60, stale-if-error=600")}, {after: 2 * minute, says: down, gets: "503 down"}}},
		{rule: "no-cache forbids it", steps: []step{{says: control(", no-cache")}, {says: away, gets: failed}}},
	})
}

// RFC 9111 §5.2.1: advice that may be followed.
func TestRequestsAreObeyedOnlyIfWanted(t *testing.T) {
	t.Parallel()
	obey := func(c *httpcache.Config) { c.Obey = true }
	then := func(after time.Duration, directive string, s *says, gets string) []step {
		return []step{{says: fresh("one")}, {after: after, with: []string{"Cache-Control: " + directive}, says: s, gets: gets}}
	}
	tell(t, []story{
		{rule: "no-cache, not obeyed", steps: then(0, "no-cache", nil, "200 one")},
		{rule: "max-stale, not obeyed", steps: then(2*minute, "max-stale", fresh("two"), "200 two")},
		{rule: "no-cache", steps: then(0, "no-cache", fresh("two"), "200 two"), with: obey},
		{rule: "max-age", steps: then(11*time.Second, "max-age=10", fresh("two"), "200 two"), with: obey},
		{rule: "max-age, young enough", steps: then(10*time.Second, "max-age=10", nil, "200 one"), with: obey},
		{rule: "min-fresh", steps: then(0, "min-fresh=61", fresh("two"), "200 two"), with: obey},
		{rule: "max-stale", steps: then(70*time.Second, "max-stale=10", nil, "200 one"), with: obey},
		{rule: "max-stale, too old", steps: then(71*time.Second, "max-stale=10", fresh("two"), "200 two"), with: obey},
		{rule: "only-if-cached is always obeyed", steps: append(then(0, "only-if-cached", nil, "200 one"), step{
			ask: "GET /y", with: []string{"Cache-Control: only-if-cached"}, gets: "504 This is not in the cache, and the request allows nothing else.",
		})},
		{rule: "Pragma says the same", steps: []step{{says: fresh("one")}, {with: []string{"Pragma: no-cache"}, says: fresh("two"), gets: "200 two"}}, with: obey},
	})
}

// EDGE-10: RFC 9111 §4.4.
func TestWhatChangesThingsInvalidatesThem(t *testing.T) {
	t.Parallel()
	did := func(s says) *says { return &s }
	var stories []story
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "M-SEARCH"} {
		stories = append(stories,
			story{rule: method, steps: []step{{says: fresh("one")}, {ask: method + " /x", says: did(says{status: 204})}, {says: fresh("two"), gets: "200 two"}}},
			story{rule: method + " that failed", steps: []step{{says: fresh("one")}, {ask: method + " /x", says: did(says{status: 500})}, {gets: "200 one"}}},
		)
	}
	tell(t, append(stories,
		story{rule: "OPTIONS changes nothing", steps: []step{{says: fresh("one")}, {ask: "OPTIONS /x", says: did(says{})}, {gets: "200 one"}}},
		story{rule: "Location and Content-Location", steps: []step{
			{says: fresh("one")}, {ask: "GET /y/z", says: fresh("one")},
			{ask: "POST /y/", says: did(says{status: 201, fields: []string{"Location: ../x", "Content-Location: http://example.com/y/z"}})},
			{says: fresh("two"), gets: "200 two"}, {ask: "GET /y/z", says: fresh("two"), gets: "200 two"},
		}},
		story{rule: "not those of other servers", steps: []step{{says: fresh("one")}, {ask: "POST /y", says: did(says{fields: []string{"Location: http://other.test/x"}})}, {gets: "200 one"}}},
		story{rule: "a POST that is an answer to GET, too (RFC 9110 §9.3.3)", steps: []step{
			{ask: "POST /x", says: fresh("one", "Content-Location: /x"), gets: "200 one", has: []string{"Cache-Status: melodyud-edge; fwd=method; fwd-status=200; stored"}}, {gets: "200 one"},
		}},
		story{rule: "a POST that does not say so", steps: []step{{ask: "POST /x", says: fresh("one")}, {says: fresh("two"), gets: "200 two"}}},
	))
}

// EDGE-6, EDGE-7: RFC 9110 §13.1.5, §14; RFC 9111 §3.3, §3.4.
func TestRangesAreCutFromWhatIsStored(t *testing.T) {
	t.Parallel()
	ask := func(bytes, gets string, has ...string) step {
		return step{with: []string{"Range: " + bytes}, gets: gets, has: has}
	}
	ranged := func(field string, more ...string) []string { return append([]string{"Range: " + field}, more...) }
	part := func(body, where string, more ...string) *says {
		return &says{status: 206, body: body, fields: append([]string{"Cache-Control: max-age=60", "Content-Range: bytes " + where}, more...)}
	}
	strong, date := `ETag: "a"`, "Last-Modified: Fri, 31 Dec 1999 23:00:00 GMT"
	tell(t, []story{
		{rule: "at every boundary", steps: []step{
			{says: fresh("0123456789", strong)},
			ask("bytes=0-0", "206 0", "Content-Range: bytes 0-0/10", "Content-Length: 1", `ETag: "a"`),
			ask("bytes=9-9", "206 9", "Content-Range: bytes 9-9/10"), ask("bytes=0-", "206 0123456789"), ask("bytes=9-99", "206 9"),
			ask("bytes=-1", "206 9"), ask("bytes=-99", "206 0123456789", "Content-Range: bytes 0-9/10"), ask("Bytes=3-4", "206 34"),
			ask("bytes=10-", "416", "Content-Range: bytes */10"), ask("bytes=-0", "416"), ask("bytes=99-100", "416"),
		}},
		{rule: "what is none is ignored", steps: []step{
			{says: fresh("0123456789")}, ask("bytes=4-3", "200 0123456789"), ask("bytes=-", "200 0123456789"), ask("lines=1-2", "200 0123456789"),
			ask("bytes=a-b", "200 0123456789"), ask("bytes=0-1,3-4", "200 0123456789"), ask("bytes=99999999999999999999-", "200 0123456789"),
		}},
		{rule: "If-Range with the same strong validator", steps: []step{
			{says: fresh("0123456789", strong, date)},
			{with: ranged("bytes=0-1", `If-Range: "a"`), gets: "206 01"}, {with: ranged("bytes=0-1", `If-Range: "b"`), gets: "200 0123456789"},
			{with: ranged("bytes=0-1", `If-Range: W/"a"`), gets: "200 0123456789"},
			{with: ranged("bytes=0-1", "If-Range: Fri, 31 Dec 1999 23:00:00 GMT"), gets: "206 01"},
			{with: ranged("bytes=0-1", "If-Range: Fri, 31 Dec 1999 23:00:01 GMT"), gets: "200 0123456789"},
			{with: ranged("bytes=0-1", `If-None-Match: "a"`), gets: "304"},
		}},
		{rule: "a weak validator never lets a range stand", steps: []step{{says: fresh("0123456789", `ETag: W/"a"`)}, {with: ranged("bytes=0-1", `If-Range: W/"a"`), gets: "200 0123456789"}}},
		{rule: "a part is kept and cut", steps: []step{
			{with: ranged("bytes=4-8"), says: part("45678", "4-8/10"), sees: []string{"Range: bytes=4-8"}, gets: "206 45678"},
			ask("bytes=4-8", "206 45678", "Content-Range: bytes 4-8/10"), ask("bytes=5-6", "206 56", "Content-Range: bytes 5-6/10", "Content-Length: 2"), ask("bytes=10-", "416"),
			{with: ranged("bytes=8-9"), says: part("89", "8-9/10"), gets: "206 89", has: []string{"Cache-Status: melodyud-edge; fwd=partial; fwd-status=206; stored"}},
			{with: ranged("bytes=4-4"), says: part("4", "4-4/10"), gets: "206 4"}, // without a strong validator the last part replaces
		}},
		{rule: "a condition comes before a range", steps: []step{
			{with: ranged("bytes=4-8"), says: part("45678", "4-8/10", strong)}, {with: ranged("bytes=4-5", `If-None-Match: "a"`), gets: "304"},
		}},
		{rule: "HEAD has no ranges", steps: []step{
			{with: ranged("bytes=4-8"), says: part("45678", "4-8/10", strong)}, {ask: "HEAD /x", with: ranged("bytes=4-5"), says: fresh("0123456789", strong), gets: "200"},
			{with: ranged("bytes=4-5"), gets: "206 45"},
			{says: fresh("0123456789")}, {ask: "HEAD /x", with: ranged("bytes=4-5"), gets: "200", has: []string{"Content-Length: 10", "!Content-Range"}},
		}},
		{rule: "parts of one representation are joined, and make it whole", steps: []step{
			{with: ranged("bytes=4-6"), says: part("456", "4-6/10", strong)}, {with: ranged("bytes=0-1"), says: part("01", "0-1/10", strong)},
			{with: ranged("bytes=6-9"), says: part("6789", "6-9/10", strong)},
			ask("bytes=5-8", "206 5678"), ask("bytes=0-0", "206 0"),
			{with: ranged("bytes=2-3"), says: part("23", "2-3/10", strong)},
			{gets: "200 0123456789", has: []string{"!Content-Range", "Content-Length: 10"}},
		}},
		{rule: "parts of two representations are not", steps: []step{
			{with: ranged("bytes=0-4"), says: part("01234", "0-4/10", strong)}, {with: ranged("bytes=5-9"), says: part("56789", "5-9/10", `ETag: "b"`)},
			{with: ranged("bytes=0-4"), says: part("01234", "0-4/10", `ETag: "b"`), gets: "206 01234"}, {gets: "200 0123456789", has: []string{`ETag: "b"`}},
		}},
		{rule: "a whole answer is never made of a part", steps: []step{{with: ranged("bytes=0-4"), says: part("01234", "0-4/10", strong)}, {says: fresh("0123456789"), sees: []string{"!Range"}, gets: "200 0123456789"}}},
		{rule: "If-Range of another part goes to the origin", steps: []step{
			{with: ranged("bytes=0-4"), says: part("01234", "0-4/10", strong)}, {with: ranged("bytes=0-4", `If-Range: "b"`), says: fresh("abcdefghij", `ETag: "c"`), sees: []string{`If-Range: "b"`}},
		}},
		{rule: "a part that is not what it says is not kept", steps: []step{{with: ranged("bytes=0-4"), says: part("012", "0-4/10"), gets: "206 012"}, {with: ranged("bytes=0-4"), says: part("01234", "0-4/10"), gets: "206 01234"}}},
		{rule: "an answer to a range that is no answer is not kept for others", steps: []step{{with: ranged("bytes=99-"), says: &says{status: 416, fields: []string{"Cache-Control: max-age=60"}}}, {says: fresh("one"), gets: "200 one"}}},
		{rule: "a stale whole is validated whole", steps: []step{
			{says: fresh("0123456789", strong)}, {after: 2 * minute, with: ranged("bytes=2-3"), says: &says{status: 304}, sees: []string{"!Range", `If-None-Match: "a"`}, gets: "206 23"},
		}},
	})
}

// EDGE-11: RFC 9211.
func TestCacheStatusSaysWhatHappened(t *testing.T) {
	t.Parallel()
	status := func(s string) []string { return []string{"Cache-Status: " + s} }
	tell(t, []story{{rule: "one after the other", steps: []step{
		{says: fresh("one", "Vary: Foo", "Cache-Status: Behind; hit"), has: status("Behind; hit, melodyud-edge; fwd=uri-miss; fwd-status=200; stored")},
		{after: 3 * time.Second, has: status("Behind; hit, melodyud-edge; hit; ttl=57")},
		{with: []string{"Foo: 1"}, says: fresh("one", "Vary: Foo"), has: status("melodyud-edge; fwd=vary-miss; fwd-status=200; stored")},
		{ask: "POST /y", says: &says{status: 201}, has: status("melodyud-edge; fwd=method; fwd-status=201")},
		{after: 2 * minute, says: &says{}, has: status("melodyud-edge; fwd=stale; fwd-status=200")},
		{ask: "GET /z", says: &says{status: -1}, has: status("melodyud-edge; fwd=uri-miss")},
	}}})
}
