package httpcache

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// span is a stretch of bytes, the end not included.
type span struct{ from, to int64 }

func (s span) length() int64 { return s.to - s.from }

// answerable is what a Range field asks of a response that has so many bytes.
type answerable int

const (
	ignored     answerable = iota // none, or one that counts as none (RFC 9110 §14.2)
	satisfiable                   // one stretch of bytes
	beyond                        // nothing of it is there (RFC 9110 §15.5.17)
)

var byteRange = regexp.MustCompile(`^(?i:bytes)=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*$`)

// parseRange reads a Range field with a single range of bytes against a length (RFC
// 9110 §14.1.2). Several ranges count as none: the whole is an answer to them, too.
func parseRange(lines []string, length int64) (span, answerable) {
	if len(lines) != 1 {
		return span{}, ignored
	}
	m := byteRange.FindStringSubmatch(lines[0])
	if m == nil || m[1] == "" && m[2] == "" {
		return span{}, ignored
	}
	first, err1 := strconv.ParseInt(m[1], 10, 64)
	last, err2 := strconv.ParseInt(m[2], 10, 64)
	switch {
	case err1 != nil: // the last so many bytes
		first, last = max(0, length-last), length-1
		if m[2] = strings.Trim(m[2], "0"); m[2] == "" {
			return span{}, beyond
		}
	case err2 != nil:
		last = length - 1
	case last < first:
		return span{}, ignored
	}
	if first >= length {
		return span{}, beyond
	}
	return span{first, min(last, length-1) + 1}, satisfiable
}

var contentRange = regexp.MustCompile(`^(?i:bytes) (\d{1,18})-(\d{1,18})/(\d{1,18})$`)

// parseContentRange reads the Content-Range of a 206 whose whole length is known
// (RFC 9110 §14.4).
func parseContentRange(s string) (part span, length int64, ok bool) {
	m := contentRange.FindStringSubmatch(s)
	if m == nil {
		return span{}, 0, false
	}
	first, _ := strconv.ParseInt(m[1], 10, 64)
	last, _ := strconv.ParseInt(m[2], 10, 64)
	length, _ = strconv.ParseInt(m[3], 10, 64)
	return span{first, last + 1}, length, first <= last && last < length
}

func formatContentRange(s span, length int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", s.from, s.to-1, length)
}

// rangeApplies evaluates If-Range against a stored response (RFC 9110 §13.1.5): only
// the same strong validator lets the Range stand.
func rangeApplies(request, stored http.Header) bool {
	lines := request.Values("If-Range")
	if len(lines) == 0 {
		return true
	}
	if len(lines) > 1 {
		return false
	}
	if strings.HasSuffix(lines[0], `"`) {
		return strong(lines[0]) && lines[0] == stored.Get("ETag")
	}
	return lines[0] == strongDate(stored)
}

func strong(tag string) bool { return len(tag) >= 2 && tag[0] == '"' && tag[len(tag)-1] == '"' }

// strongDate is a Last-Modified that is a strong validator: it lies before the Date
// of its response (RFC 9110 §8.8.2.2). Empty: there is none.
func strongDate(h http.Header) string {
	changed, err1 := http.ParseTime(h.Get("Last-Modified"))
	at, err2 := http.ParseTime(h.Get("Date"))
	if err1 != nil || err2 != nil || !changed.Before(at) {
		return ""
	}
	return h.Get("Last-Modified")
}

// strongValidator is what two parts must share to be parts of one (RFC 9111 §3.4);
// empty: there is none.
func strongValidator(h http.Header) string {
	if tag := h.Get("ETag"); tag != "" {
		if strong(tag) {
			return tag
		}
		return ""
	}
	return strongDate(h)
}
