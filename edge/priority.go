package edge

import (
	"net/http"

	"github.com/dunglas/httpsfv"

	"github.com/melodyud/melodyud/edge/cmcd"
)

// The urgencies of RFC 9218 §4.1 that we tell apart: 0 is the most urgent.
const (
	urgencyStart   = 1 // the player cannot go on without it (CMCD su)
	urgencyDefault = 3
	urgencyLeast   = 7
)

// urgencyOf is how soon a request must be answered (EDGE-15): what its Priority field
// says, and never less than a player's word that it is waiting. What cannot be read
// is the default.
func urgencyOf(r *http.Request) int {
	u := urgencyField(r.Header.Values("Priority"))
	if u > urgencyStart {
		if told, err := cmcd.FromRequest(r.Header, r.URL.RawQuery); err == nil && told.Is(cmcd.Urgent) {
			return urgencyStart
		}
	}
	return u
}

// urgencyField reads the parameter u of a Priority field. A bad one is ignored (RFC
// 9218 §4).
func urgencyField(lines []string) int {
	if len(lines) == 0 {
		return urgencyDefault
	}
	said, err := httpsfv.UnmarshalDictionary(lines)
	if err != nil {
		return urgencyDefault
	}
	member, _ := said.Get("u")
	item, _ := member.(httpsfv.Item)
	if u, ok := item.Value.(int64); ok && u >= 0 && u <= urgencyLeast {
		return int(u)
	}
	return urgencyDefault
}
