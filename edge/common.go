package edge

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/cat"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/ticket"
)

// common checks Common Access Tokens (CTA-5007).
type common interface {
	Verify(token string, r cat.Request) (*cat.Result, error)
	// Renew returns the token that follows, or "" if there is none now.
	Renew(r *cat.Result) (string, error)
}

// catParameter is the query parameter that may carry a Common Access Token.
const catParameter = "cat"

// registerCommon hangs the addresses on r that a Common Access Token opens, which
// comes in a header, a cookie or the query:
//
//	/p/cat/<track>/<release>/…    as below a ticket, for the clear form
func (e *Edge) registerCommon(r *api.Router) {
	if e.config.Common == nil {
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

// openCommon is open for a token that is not in the path. No shared cache may keep
// the answer: it would give it to those without a token.
func (e *Edge) openCommon(serve handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		allowOrigins(w.Header())
		w = &personal{ResponseWriter: w}
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
	t := timing{began: e.config.Now()}
	from := addressOf(r)
	token := cat.TokenOf(r, catParameter)
	req := cat.RequestOf(r, e.config.URL)
	req.Parameter = catParameter
	if e.config.Places != nil && from.IsValid() {
		req.Country = e.config.Places.Country(from)
	}
	result, err := e.config.Common.Verify(token, req)
	if err != nil {
		return play{}, e.unknown(from, commonRefusal(err))
	}
	c := claimsOf(result, token)
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/p/cat")
	track, release := subject(path)
	if err := e.guard.permit(&c, track, release, from); err != nil {
		return play{}, err
	}
	if err := e.limited(&c, path); err != nil {
		return play{}, err
	}
	if err := e.renewCommon(w, result); err != nil {
		return play{}, err
	}
	return e.load(r, c, t)
}

// claimsOf is what a Common Access Token says in the words of a ticket. Which of a
// track's renditions it opens its issuer says by catu; there are no ads.
func claimsOf(r *cat.Result, token string) ticket.Claims {
	c := ticket.Claims{
		KeyID: r.Key, Expires: r.Expires, Prefix: "/", Session: summed("cat", token), Issued: r.Issued,
		Tier: ticket.Premium, Ads: ticket.NoAds, Skips: ticket.Unlimited,
	}
	if len(r.ID) > 0 {
		c.Session = summed("cat", r.Issuer, string(r.ID))
	}
	if r.Subject != "" {
		c.Account = summed("sub", r.Issuer, r.Subject)
	}
	return c
}

// summed names what parts say by a sum: short, and without telling it.
func summed(prefix string, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return prefix + "_" + base64.RawURLEncoding.EncodeToString(sum[:16])
}

// renewCommon sends the token that follows along, if there is one.
func (e *Edge) renewCommon(w http.ResponseWriter, r *cat.Result) error {
	if r.Renewal == nil || r.Renewal.Type == cat.RenewRedirect {
		return nil
	}
	next, err := e.config.Common.Renew(r)
	if err != nil || next == "" {
		return err
	}
	if r.Renewal.Type != cat.RenewCookie {
		w.Header().Set(cmp.Or(r.Renewal.HeaderName, cat.DefaultName), next)
		return nil
	}
	http.SetCookie(w, &http.Cookie{
		Name: cmp.Or(r.Renewal.CookieName, cat.DefaultName), Value: next, Path: "/p/cat/", MaxAge: int(r.Renewal.Add.Seconds()),
		HttpOnly: true, Secure: true, SameSite: http.SameSiteNoneMode,
	})
	return nil
}

// The refusals of Common Access Tokens, by reason.
var (
	errNoCAT       = melodyud.Refuse(melodyud.ErrForbidden, "token.missing", "This address needs a Common Access Token, in a header, a cookie or the query.")
	errBadCAT      = melodyud.Refuse(melodyud.ErrForbidden, "token.invalid", "This access token is not valid here. Ask whoever gave it to you for another.")
	errOldCAT      = melodyud.Refuse(melodyud.ErrForbidden, "token.expired", "This access token has expired. Ask for a new one.")
	errEarlyCAT    = melodyud.Refuse(melodyud.ErrForbidden, "token.not-yet", "This access token is not good yet.")
	errOtherCAT    = melodyud.Refuse(melodyud.ErrForbidden, "token.scope", "This access token does not open this address in this way.")
	errPlaceCAT    = melodyud.Refuse(melodyud.ErrForbidden, "token.place", "This access token is not good where you are.")
	errReplayedCAT = melodyud.Refuse(melodyud.ErrForbidden, "token.replayed", "This access token was used before, and is good for one use. Ask for a new one.")
	errBusyCAT     = melodyud.Refuse(melodyud.ErrUnavailable, "token.busy", "Too many tokens for one use are in use. Try again in a moment.")
)

func commonRefusal(err error) error {
	var e *cat.Error
	if !errors.As(err, &e) {
		return err
	}
	said := map[cat.Reason]*melodyud.Refusal{
		cat.Missing: errNoCAT, cat.Expired: errOldCAT, cat.NotYet: errEarlyCAT, cat.WrongURI: errOtherCAT, cat.WrongMethod: errOtherCAT,
		cat.WrongOther: errOtherCAT, cat.WrongPlace: errPlaceCAT, cat.Replayed: errReplayedCAT, cat.Busy: errBusyCAT,
	}[e.Reason]
	if said == nil {
		said = errBadCAT
	}
	return said.Because(e)
}

// personal keeps an answer out of shared caches.
type personal struct {
	http.ResponseWriter
	told bool
}

// Unwrap is for http.ResponseController.
func (p *personal) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (p *personal) WriteHeader(status int) {
	h := p.Header()
	if cc := h.Get("Cache-Control"); !p.told && strings.HasPrefix(cc, "public") {
		h.Set("Cache-Control", "private"+strings.TrimPrefix(cc, "public"))
	}
	p.told = true
	p.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (p *personal) Write(b []byte) (int, error) {
	if !p.told {
		p.WriteHeader(http.StatusOK)
	}
	return p.ResponseWriter.Write(b)
}
