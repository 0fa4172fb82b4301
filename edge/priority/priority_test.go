package priority_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/melodyud/melodyud/edge/priority"
)

func TestUrgencyIsWhatTheRequestOrThePlayerSays(t *testing.T) { // EDGE-15, RFC 9218 §4
	t.Parallel()
	for _, c := range []struct {
		field, query string
		want         int
	}{
		{"", "", 3}, {"u=0", "", 0}, {"i, u=7", "", 7}, {"u=5;x=1", "", 5}, {"i", "", 3},
		{"u=8", "", 3}, {"u=-1", "", 3}, {`u="1"`, "", 3}, {"u=(1 2)", "", 3}, {"u=1, u=6", "", 6}, {"u=5;;", "", 3}, {"U=1", "", 3},
		{"u=7", "CMCD=su", 1}, {"u=0", "CMCD=su", 0}, {"", "CMCD=su%2Cbl%3D0", 1}, {"u=6", "CMCD=su=?0", 6}, {"u=6", "CMCD=%ZZ", 6},
	} {
		r := httptest.NewRequest(http.MethodGet, "/s/0.m4s?"+c.query, nil)
		if c.field != "" {
			r.Header.Set("Priority", c.field)
		}
		if got := priority.Urgency(r); got != c.want {
			t.Errorf("Priority %q, %q: %d, want %d", c.field, c.query, got, c.want)
		}
	}
}
