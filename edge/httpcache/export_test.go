package httpcache

import (
	"net/http"
	"time"
)

// What tests look at.
func StoredBytes(c *Cache) int64                             { return c.store.bytes() }
func ParseDirectives(lines []string) map[string]string       { return parseDirectives(lines) }
func ParseTargeted(lines []string) (map[string]string, bool) { return parseTargeted(lines) }
func ParseDate(s string, now time.Time) (time.Time, bool)    { return parseDate(s, now) }
func Normalised(h http.Header, name string) (string, bool) {
	s := normalised(h, name)
	return s.value, s.absent
}
func ParseContentRange(s string) (from, to, length int64, ok bool) {
	p, length, ok := parseContentRange(s)
	return p.from, p.to, length, ok
}
func ParseRange(lines []string, length int64) (from, to int64, answer int) {
	s, a := parseRange(lines, length)
	return s.from, s.to, int(a)
}
