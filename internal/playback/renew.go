package playback

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/ticket"
)

// renewAfter is how long after its end a ticket can still be renewed: a laptop that
// was closed over night goes on.
const renewAfter = 24 * time.Hour

func (s *Service) registerRenewal(r *api.Router) {
	huma.Register(r.API, api.Operation("tracks", "renew-playback", http.MethodPost, "/v1/playback/renew", "Renew playback URLs without restarting the player",
		"Send any URL of a playback that belongs to you, until a day after it expired. The answer has the same session and, as base, "+
			"what its URLs begin with from now on. Nothing else changes: a player that goes on sends each request for an address that "+
			"begins with was to the one that begins with base instead. In hls.js, as xhrSetup: "+
			"(xhr, url) => xhr.open('GET', url.startsWith(was) ? base + url.slice(was.length) : url, true); with fetch, in fetchSetup. "+
			"Both are absolute if the edge is on another host, and begin with / if it is this one: resolve them against the page's address first.",
		401, 403, 404, 409, 422), s.postRenewal)
}

type renewInput struct {
	Body struct {
		_   struct{} `additionalProperties:"false"`
		URL string   `json:"url" minLength:"1" maxLength:"8192" doc:"Any URL of the playback." example:"/p/djIK.b2s/trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X/rel_01J9ZQ9B2C4D6E8F0G2H4J6K8M/index.m3u8"`
	}
}

type renewal struct {
	Was     string    `json:"was" doc:"What the URLs began with until now." example:"/p/djIK.b2s/"`
	Base    string    `json:"base" doc:"What they begin with from now on." example:"/p/djIK.c3t/"`
	URL     string    `json:"url" doc:"The URL you sent, renewed."`
	Renew   time.Time `json:"renew" doc:"From then on, renew the playback again if it is still wanted."`
	Expires time.Time `json:"expires" doc:"The URLs stop working then."`
	Session string    `json:"session" doc:"The same as before."`
}

type renewOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         renewal
}

var errNoRenewal = melodyud.Refuse(melodyud.ErrForbidden, "playback.no-renewal",
	"This playback cannot be renewed. Ask for a new one.")

func (s *Service) postRenewal(ctx context.Context, in *renewInput) (*renewOutput, error) {
	who, err := listener(ctx)
	if err != nil {
		return nil, api.Fail(err)
	}
	old, err := s.played(in.Body.URL)
	if err != nil {
		return nil, api.Fail(err)
	}
	c, err := s.renew(ctx, who, old)
	if err != nil {
		return nil, api.Fail(err)
	}
	a, err := s.sign(c, old.claims.Expires.Sub(old.claims.Issued))
	if err != nil {
		return nil, api.Fail(err)
	}
	base := s.base(old.root, a)
	return &renewOutput{CacheControl: "private, no-store", Body: renewal{
		Was: old.base, Base: base, URL: base + strings.TrimPrefix(in.Body.URL, old.base),
		Renew: a.renew, Expires: a.claims.Expires, Session: c.Session,
	}}, nil
}

// playing is an address of the edge, taken apart.
type playing struct {
	base   string // up to the path behind the ticket, without its first "/"
	root   string // p or l
	path   string // behind the ticket, with its first "/"
	claims ticket.Claims
}

// played reads an address whose ticket one of our keys signed and that it opens, or
// opened.
func (s *Service) played(address string) (playing, error) {
	root, from := "p", strings.Index(address, "/p/")
	if at := strings.Index(address, "/l/"); from < 0 || at >= 0 && at < from {
		root, from = "l", at
	}
	if from < 0 {
		return playing{}, errNoRenewal
	}
	token, rest, _ := strings.Cut(address[from+3:], "/")
	rest, _, _ = strings.Cut(rest, "?")
	c, err := s.c.Tickets.Read(token)
	if err != nil {
		return playing{}, err
	}
	p := playing{base: address[:from+3] + token + "/", root: root, path: "/" + rest, claims: c}
	return p, c.Opens(p.path, s.c.Now().Add(-renewAfter))
}

// renew returns what a playback's next ticket says: what it said before, as far as
// who may still have it. Tickets of the first version name nobody, and files for a
// device have a renewal of their own.
func (s *Service) renew(ctx context.Context, who api.Principal, old playing) (ticket.Claims, error) {
	c := old.claims
	if c.Issued.IsZero() || c.Account == "" || c.Account != s.c.Names.Account(who.User) || strings.Contains(c.Prefix, "/offline/") {
		return c, errNoRenewal
	}
	if !strings.Contains(c.Prefix, "/preview/") && who.Tier == ticket.Premium {
		c.Tier, c.Ads, c.Skips = ticket.Premium, ticket.NoAds, ticket.Unlimited
	} else if c.Tier == ticket.Premium { // the plan has ended
		fresh, _ := s.claimsOf(who, "")
		c.Tier, c.Ads, c.Skips = ticket.Free, fresh.Ads, fresh.Skips
	}
	if old.root == "l" {
		return c, s.renewList(old)
	}
	track, rest, _ := strings.Cut(old.path[1:], "/")
	release, _, _ := strings.Cut(rest, "/")
	if err := s.void(&old.claims, track, release); err != nil {
		return c, err
	}
	t, err := s.c.Library.Audible(ctx, who, melodyud.TrackID(track))
	if err != nil {
		return c, err
	}
	c.Countries, err = s.permit(ctx, who, t)
	return c, err
}

// renewList asks about the tracks of a list, whose rules on countries the ticket
// keeps: the edge knows those that changed.
func (s *Service) renewList(old playing) error {
	parts := strings.Split(strings.TrimPrefix(old.path, "/encrypted/aes-128/"), "/")
	if len(parts) < 3 {
		return errNoRenewal
	}
	ids, err := ticket.ParseList(parts[1], parts[2]) // behind the secret, or nothing
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.void(&old.claims, "", string(id)); err != nil {
			return err
		}
	}
	return nil
}

// void returns the refusal of a ticket that a notice voids. A rule on countries does
// not: the next ticket carries it.
func (s *Service) void(c *ticket.Claims, track, release string) error {
	if s.c.Notices == nil {
		return nil
	}
	_, err := s.c.Notices.Void(c, track, release)
	return err
}
