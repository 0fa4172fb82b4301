// Package priority reads how soon a request should be answered: RFC 9218, and what
// players say themselves (CMCD).
package priority

import (
	"net/http"

	"github.com/dunglas/httpsfv"

	"github.com/melodyud/melodyud/edge/cmcd"
)

// The urgencies of RFC 9218 §4.1 that we tell apart: 0 is the most urgent.
const (
	Start   = 1 // a player cannot go on without it (CMCD su)
	Default = 3
	Least   = 7 // in the background
)

// Urgency is how soon a request must be answered (EDGE-15): what its Priority field
// says, and never less than a player's word that it is waiting. What cannot be read
// is Default.
func Urgency(r *http.Request) int {
	u := field(r.Header.Values("Priority"))
	if u > Start {
		if told, err := cmcd.FromRequest(r.Header, r.URL.RawQuery); err == nil && told.Is(cmcd.Urgent) {
			return Start
		}
	}
	return u
}

// field reads the parameter u of a Priority field. A bad one is ignored (RFC 9218 §4).
func field(lines []string) int {
	if len(lines) == 0 {
		return Default
	}
	said, err := httpsfv.UnmarshalDictionary(lines)
	if err != nil {
		return Default
	}
	member, _ := said.Get("u")
	item, _ := member.(httpsfv.Item)
	if u, ok := item.Value.(int64); ok && u >= 0 && u <= Least {
		return int(u)
	}
	return Default
}
