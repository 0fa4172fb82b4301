package edge

import (
	"net/http"
	"strings"

	"github.com/melodyud/melodyud/edge/bearer"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/ticket"
)

// door lets bearers of Common Access Tokens in (CTA-5007).
type door interface {
	// Admit returns what a request's token grants, or the refusal to answer.
	Admit(w http.ResponseWriter, r *http.Request) (ticket.Claims, error)
}

// registerCommon hangs the addresses on r that a Common Access Token opens, which
// comes in a header, a cookie or the query:
//
//	/p/cat/<track>/<release>/…    as below a ticket, for the clear form
func (e *Edge) registerCommon(r *api.Router) {
	if e.config.Bearers == nil {
		return
	}
	const root = "GET /p/cat/{track}/{release}/"
	for pattern, serve := range map[string]handler{
		"index.m3u8": e.standard, "hifi.m3u8": e.hifi, "manifest.mpd": e.dash,
		"{rendition}/index.m3u8": e.media, "{rendition}/init.mp4": e.initSegment, "{rendition}/s/{segment}": e.segment,
	} {
		r.Mux.Handle(root+pattern, e.openCommon(serve))
	}
}

// openCommon is open for a token that is not in the path.
func (e *Edge) openCommon(serve handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		allowOrigins(w.Header())
		w = &bearer.Private{ResponseWriter: w}
		p, err := e.admitCommon(w, r)
		if err == nil {
			err = serve(w, r, p)
		}
		if err != nil {
			fail(w, r, err)
		}
	})
}

// admitCommon asks the token instead of a ticket, and everything else that is asked
// of a ticket, too.
func (e *Edge) admitCommon(w http.ResponseWriter, r *http.Request) (play, error) {
	t, from := timing{began: e.config.Now()}, addressOf(r)
	c, err := e.config.Bearers.Admit(w, r)
	if err != nil {
		return play{}, e.unknown(from, err)
	}
	if err := e.grants(&c, strings.TrimPrefix(r.URL.EscapedPath(), "/p/cat"), from); err != nil {
		return play{}, err
	}
	return e.load(r, c, t)
}
