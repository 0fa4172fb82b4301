package edge

import (
	"net/http"
	"path"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/cmcd"
	"github.com/melodyud/melodyud/edge/priority"
)

// readAhead is how many segments behind one that was asked for are brought into the
// cache: what a listener who goes on listening wants in the next quarter of a minute.
const readAhead = 4

// goesOn has the cache fetch what is likely asked for after segment i, if it has
// nothing better to do: what the player names (CMCD nor), and the segments that follow.
func (e *Edge) goesOn(r *http.Request, p play, found *melodyud.Rendition, i int) {
	if r.Method != http.MethodGet || priority.Urgency(r) > priority.Default {
		return // what is itself for later leaves the store to others (EDGE-15)
	}
	end := p.first + len(p.manifest.Segments)
	if n, ok := nextOf(r, end); ok && n >= p.first {
		e.warmSegments(p, found, n, n+1)
	}
	e.warmSegments(p, found, min(i+1, end), min(i+1+readAhead, end))
}

// nextOf is the segment that the player says it asks for next.
func nextOf(r *http.Request, end int) (int, bool) {
	told, err := cmcd.FromRequest(r.Header, r.URL.RawQuery)
	if err != nil {
		return 0, false
	}
	next, ok := told.NextObject()
	if !ok {
		return 0, false
	}
	return numbered(path.Base(next), ".m4s", end)
}

func (e *Edge) warmSegments(p play, found *melodyud.Rendition, from, to int) {
	starts := p.offsets[found.Name]
	if from >= to || to >= len(starts) {
		return
	}
	e.blocks.Warm(keyOf(p.manifest, found), found.Size, starts[from], starts[to]-starts[from])
}
