package httpcache

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// stored is a response as it may be used again. It is not changed once others see
// it, but for the content that may still be arriving.
type stored struct {
	status   int
	header   http.Header // what may be stored of it (RFC 9111 §3.1), without Age
	selected []selecting
	policy   policy
	age      time.Duration // when it came
	aged     bool          // it came from a store: with an Age
	came     time.Time
	content  *content // of the whole, or of parts[0] while that is arriving
	parts    []part   // of an incomplete response, in order and apart; nil: it is whole
	length   int64    // of the whole, if there are parts
}

// part is one stretch of an incomplete response (RFC 9111 §3.3).
type part struct {
	span
	data []byte
}

func (s *stored) ageAt(now time.Time) time.Duration { return s.age + max(0, now.Sub(s.came)) }

// ttl is how long s stays fresh, negative if it is stale.
func (s *stored) ttl(now time.Time) time.Duration { return s.policy.lifetime - s.ageAt(now) }

// staleFor reports whether s may be used although it is stale, for the time that
// some exception allows (RFC 9111 §4.2.4).
func (s *stored) staleFor(allowed time.Duration, now time.Time) bool {
	return !s.policy.forbidsStale() && s.ttl(now) > -allowed
}

// covers returns the part that holds a span.
func (s *stored) covers(want span) (part, bool) {
	for _, p := range s.parts {
		if p.from <= want.from && want.to <= p.to {
			return p, true
		}
	}
	return part{}, false
}

// usable reports whether s can answer a request: a whole response any, a partial one
// only what lies within a part (RFC 9111 §3.3).
func (s *stored) usable(r *http.Request) bool {
	if s.parts == nil {
		return true
	}
	if r.Method != http.MethodGet || !rangeApplies(r.Header, s.header) { // RFC 9110 §14.2
		return false
	}
	want, ok := parseRange(r.Header.Values("Range"), s.length)
	if ok != satisfiable {
		return ok == beyond
	}
	_, ok2 := s.covers(want)
	return ok2
}

// combined returns the parts of both, if they are parts of one representation (RFC
// 9111 §3.4), with the fields of the newer one over those of the older.
func combined(older, newer *stored) *stored {
	tag := strongValidator(newer.header)
	if older == nil || older.parts == nil || tag == "" || tag != strongValidator(older.header) || older.length != newer.length {
		return newer
	}
	one := *newer
	one.header = updated(older.header, newer.header)
	one.parts = join(older.parts, newer.parts)
	return one.completed()
}

// join merges stretches that touch or overlap.
func join(a, b []part) []part {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y part) int { return int(x.from - y.from) })
	joined := all[:1:1]
	for _, next := range all[1:] {
		last := &joined[len(joined)-1]
		switch {
		case next.from > last.to:
			joined = append(joined, next)
		case next.to > last.to:
			data := bytes.Join([][]byte{last.data, next.data[last.to-next.from:]}, nil)
			*last = part{span{last.from, next.to}, data}
		}
	}
	return joined
}

// completed makes a whole response of one whose parts are all there.
func (s *stored) completed() *stored {
	if s.parts[0].length() != s.length {
		return s
	}
	one := *s
	one.status, one.content, one.parts = http.StatusOK, wholeContent(s.parts[0].data), nil
	one.header = s.header.Clone()
	one.header.Del("Content-Range")
	one.header.Set("Content-Length", strconv.FormatInt(s.length, 10))
	return &one
}

// updated is a stored header with the fields of a newer response to the same (RFC
// 9111 §3.2). The length stays what was stored.
func updated(old, newer http.Header) http.Header {
	h := old.Clone()
	for name, lines := range newer {
		if name != "Content-Length" {
			h[name] = slices.Clone(lines)
		}
	}
	return h
}

// size is about how many bytes s takes.
func (s *stored) size() int {
	const overhead = 512
	n := overhead
	if s.parts == nil {
		n += int(max(0, s.content.length()))
	}
	for _, p := range s.parts {
		n += len(p.data)
	}
	for name, lines := range s.header {
		n += len(name) + 16
		for _, line := range lines {
			n += len(line) + 16
		}
	}
	return n
}
