// Package cachestatus writes and checks the Cache-Status field of RFC 9211, in
// which every cache on the way says what it did with a request.
package cachestatus

import (
	"net/http"
	"strconv"
	"time"

	"github.com/dunglas/httpsfv"
)

// Name is the field's name.
const Name = "Cache-Status"

// Reason says why a request went forward (RFC 9211 §2.2).
type Reason string

// The reasons of RFC 9211 §2.2.
const (
	Bypass    Reason = "bypass"    // the cache was told not to handle this request
	Method    Reason = "method"    // of this method nothing is answered from a cache
	URIMiss   Reason = "uri-miss"  // nothing is stored under this address
	VaryMiss  Reason = "vary-miss" // what is stored was for other request fields (Vary)
	Miss      Reason = "miss"      // nothing that is stored could be used
	OnRequest Reason = "request"   // the request's own Cache-Control asked for it
	Stale     Reason = "stale"     // what is stored is no longer fresh
	Partial   Reason = "partial"   // what is stored lacks parts of what was asked for
)

// Status is what one cache did with one request. Without a Forward it was a hit:
// the two exclude each other (RFC 9211 §2.1).
type Status struct {
	Cache         string // the cache's name, a token such as "melodyud-edge"
	Forward       Reason // empty: a hit
	ForwardStatus int    // what the next server answered; 0: nothing, or it is what this response has
	TTL           time.Duration
	HasTTL        bool   // TTL is known; it is negative for what is stale
	Stored        bool   // the response was stored
	Collapsed     bool   // the request waited for another one's answer
	Detail        string // a token for people; empty: none
}

// String is the status as one member of the field.
func (s Status) String() string { return string(s.append(make([]byte, 0, 64))) }

func (s Status) append(b []byte) []byte {
	b = append(b, s.Cache...)
	if s.Forward == "" {
		b = append(b, "; hit"...)
	} else {
		b = append(append(b, "; fwd="...), s.Forward...)
	}
	if s.Forward != "" && s.ForwardStatus != 0 {
		b = strconv.AppendInt(append(b, "; fwd-status="...), int64(s.ForwardStatus), 10)
	}
	if s.HasTTL {
		b = strconv.AppendInt(append(b, "; ttl="...), int64(s.TTL.Truncate(time.Second)/time.Second), 10)
	}
	if s.Stored {
		b = append(b, "; stored"...)
	}
	if s.Collapsed {
		b = append(b, "; collapsed"...)
	}
	if s.Detail != "" {
		b = append(append(b, "; detail="...), s.Detail...)
	}
	return b
}

// Add appends s to h, behind the members of caches nearer to the origin (RFC 9211
// §2). Members that are no structured field are dropped: with them nobody could
// read ours.
func (s Status) Add(h http.Header) {
	if old := h.Values(Name); len(old) > 0 && !Valid(old) {
		h.Del(Name)
	}
	h.Add(Name, s.String())
}

// Valid reports whether the lines of a Cache-Status field are a list of tokens and
// strings, at least one of them, as RFC 9211 §2 wants.
func Valid(lines []string) bool {
	list, err := httpsfv.UnmarshalList(lines)
	if err != nil || len(list) == 0 {
		return false
	}
	for _, member := range list {
		item, ok := member.(httpsfv.Item)
		if !ok {
			return false
		}
		switch item.Value.(type) {
		case httpsfv.Token, string:
		default:
			return false
		}
	}
	return true
}
