package cachestatus_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"

	"github.com/melodyud/melodyud/edge/cachestatus"
)

// EDGE-11: the forms RFC 9211 gives as examples.
func TestAStatusReadsAsTheStandardWritesIt(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]cachestatus.Status{
		"edge; hit":                             {Cache: "edge"},
		"edge; hit; ttl=376":                    {Cache: "edge", TTL: 376 * time.Second, HasTTL: true},
		"edge; hit; ttl=-412":                   {Cache: "edge", TTL: -412*time.Second - time.Millisecond, HasTTL: true},
		"edge; fwd=uri-miss; fwd-status=200":    {Cache: "edge", Forward: cachestatus.URIMiss, ForwardStatus: 200},
		"edge; fwd=stale; stored; collapsed":    {Cache: "edge", Forward: cachestatus.Stale, Stored: true, Collapsed: true},
		"edge; fwd=request; ttl=0; detail=slow": {Cache: "edge", Forward: cachestatus.OnRequest, HasTTL: true, Detail: "slow"},
	} {
		if got := s.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if !cachestatus.Valid([]string{want}) {
			t.Errorf("%q is no structured field", want)
		}
	}
}

func TestAStatusGoesBehindThoseOfCachesNearerToTheOrigin(t *testing.T) {
	t.Parallel()
	hit := cachestatus.Status{Cache: "edge"}
	for _, c := range []struct{ before, after []string }{
		{nil, []string{"edge; hit"}},
		{[]string{`ExampleCache; hit; ttl=3`, `"Far Away"; fwd=miss`}, []string{`ExampleCache; hit; ttl=3`, `"Far Away"; fwd=miss`, "edge; hit"}},
		{[]string{"HIT from somewhere (old)"}, []string{"edge; hit"}},
		{[]string{"12; hit"}, []string{"edge; hit"}},
		{[]string{"(a b); hit"}, []string{"edge; hit"}},
	} {
		h := http.Header{cachestatus.Name: c.before}
		hit.Add(h)
		if got := h.Values(cachestatus.Name); !slices.Equal(got, c.after) {
			t.Errorf("%q became %q, want %q", c.before, got, c.after)
		}
	}
}

func FuzzWhatACacheAddsCanBeRead(f *testing.F) {
	f.Add("ExampleCache; hit", "", 200, int64(3), true, false)
	f.Add("a;;", "stale", 503, int64(-3), false, true)
	f.Add("\"", "miss", 0, int64(0), true, true)
	f.Fuzz(func(t *testing.T, before, reason string, status int, ttl int64, stored, collapsed bool) {
		h := http.Header{cachestatus.Name: {before}}
		s := cachestatus.Status{Cache: "edge", ForwardStatus: status, TTL: time.Duration(ttl), HasTTL: true, Stored: stored, Collapsed: collapsed}
		if reason != "" {
			s.Forward = cachestatus.Stale
		}
		s.Add(h)
		list, err := httpsfv.UnmarshalList(h.Values(cachestatus.Name))
		if err != nil {
			if status > 999_999_999_999_999 || status < -999_999_999_999_999 {
				return // no status: RFC 9651 §3.3.1
			}
			t.Fatalf("%q: %v", h, err)
		}
		last, ok := list[len(list)-1].(httpsfv.Item)
		if !ok || last.Value != httpsfv.Token("edge") {
			t.Fatalf("%q does not end with ours", h)
		}
		_, hit := last.Params.Get("hit")
		_, forwarded := last.Params.Get("fwd")
		if hit == forwarded {
			t.Fatalf("%q: hit and fwd exclude each other", h)
		}
	})
}
