package edge

import (
	"net/http"
	"strconv"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/cachestatus"
	"github.com/melodyud/melodyud/edge/cmcd"
	"github.com/melodyud/melodyud/edge/telemetry"
)

// segments hears of each segment that is sent.
type segments interface {
	Segment(s telemetry.Segment)
}

// told serves a segment and tells that it was sent.
func (e *Edge) told(serve handler) handler {
	return func(w http.ResponseWriter, r *http.Request, p play) error {
		err := serve(w, r, p)
		if err == nil {
			e.tell(w, r, telemetry.Segment{
				Session: p.claims.Session, Account: p.claims.Account, Tier: string(p.claims.Tier),
				Track: melodyud.TrackID(r.PathValue("track")), Release: melodyud.ReleaseID(r.PathValue("release")),
			})
		}
		return err
	}
}

// toldList is told for tracks that play as one.
func (e *Edge) toldList(serve listHandler) listHandler {
	return func(w http.ResponseWriter, r *http.Request, l list) error {
		err := serve(w, r, l)
		n, ok := numbered(r.PathValue("segment"), ".m4s", l.numbers[len(l.numbers)-1])
		if err == nil && ok {
			k, _, _ := l.locate(n)
			e.tell(w, r, telemetry.Segment{
				Session: l.claims.Session, Account: l.claims.Account, Tier: string(l.claims.Tier), Release: l.ids[k],
			})
		}
		return err
	}
}

// tell fills in what the answer says: how much was sent, and from where.
func (e *Edge) tell(w http.ResponseWriter, r *http.Request, s telemetry.Segment) {
	if e.config.Segments == nil || r.Method != http.MethodGet {
		return
	}
	h := w.Header()
	n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err != nil || n == 0 {
		return // the player had it already
	}
	s.Bytes, s.Hit = n, h.Get(cachestatus.Name) == cacheName+"; hit" // and not another cache's before it
	s.Rendition, s.Query = r.PathValue("rendition"), r.URL.RawQuery
	if cmcd.InHeaders(r.Header) {
		s.Header = r.Header
	}
	e.config.Segments.Segment(s)
}
