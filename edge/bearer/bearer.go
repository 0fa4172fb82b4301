// Package bearer turns Common Access Tokens (CTA-5007) into the words of tickets, so
// that an edge has one way to decide.
package bearer

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/netip"
	"strings"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/cat"
	"github.com/melodyud/melodyud/internal/ticket"
)

// Parameter is the query parameter that may carry a token.
const Parameter = "cat"

// tokens checks tokens.
type tokens interface {
	Verify(token string, r cat.Request) (*cat.Result, error)
	// Renew returns the token that follows, or "" if there is none now.
	Renew(r *cat.Result) (string, error)
}

// Door lets bearers of tokens in. It is safe for concurrent use.
type Door struct {
	Tokens tokens
	// URL is where players find the edge, which tokens may speak of; default: what a
	// request says.
	URL string
	// Country returns where an address is, or ""; nil: nobody knows.
	Country func(netip.Addr) string
}

// Admit returns what the token of a request grants, or the refusal to answer. The
// token that follows it, if there is one, goes into the headers of the answer.
func (d *Door) Admit(w http.ResponseWriter, r *http.Request) (ticket.Claims, error) {
	token := cat.TokenOf(r, Parameter)
	req := cat.RequestOf(r, d.URL)
	req.Parameter = Parameter
	if d.Country != nil && req.From.IsValid() {
		req.Country = d.Country(req.From)
	}
	result, err := d.Tokens.Verify(token, req)
	if err != nil {
		return ticket.Claims{}, refusal(err)
	}
	return claimsOf(result, token), d.renew(w, result)
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

// renew sends the token that follows along, if there is one.
func (d *Door) renew(w http.ResponseWriter, r *cat.Result) error {
	if r.Renewal == nil || r.Renewal.Type == cat.RenewRedirect {
		return nil
	}
	next, err := d.Tokens.Renew(r)
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

func refusal(err error) error {
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

// Private keeps an answer out of shared caches: they would give it to those without
// a token.
type Private struct {
	http.ResponseWriter
	told bool
}

// Unwrap is for http.ResponseController.
func (p *Private) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (p *Private) WriteHeader(status int) {
	h := p.Header()
	if cc := h.Get("Cache-Control"); !p.told && strings.HasPrefix(cc, "public") {
		h.Set("Cache-Control", "private"+strings.TrimPrefix(cc, "public"))
	}
	p.told = true
	p.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (p *Private) Write(b []byte) (int, error) {
	if !p.told {
		p.WriteHeader(http.StatusOK)
	}
	return p.ResponseWriter.Write(b)
}
