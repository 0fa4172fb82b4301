package edge

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/maypok86/otter/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/ticket"
)

// ticketMemory bounds what is remembered of checked tickets: about 40,000 of them.
const ticketMemory = 32 << 20 // bytes

// tickets tells what tickets say.
type tickets interface {
	// Read returns the claims of a token that one of the keys signed.
	Read(token string) (ticket.Claims, error)
	// Knows reports whether a key still is one of the keys.
	Knows(keyID string) bool
}

// notices tells which tickets are void before they expire.
type notices interface {
	// Void returns the refusal of a void ticket, or the rule on countries that holds
	// for it besides its own. Track and release may be empty.
	Void(c *ticket.Claims, track, release string) (ticket.Countries, error)
	// Current reports whether all that was told until so long ago is known.
	Current(within time.Duration) bool
}

// places tells where an address is.
type places interface {
	// Country returns an ISO 3166-1 code, or "" if it is not known.
	Country(from netip.Addr) string
}

// guard remembers the claims of tickets whose signature was checked, so that it
// costs one look into a map from the second segment on. What is remembered depends
// on the token alone; everything that changes, such as the time, the keys and the
// notices, is asked for every request.
type guard struct {
	tickets tickets
	notices notices // nil: there are none
	places  places  // nil: nobody knows where listeners are
	checked *otter.Cache[string, *ticket.Claims]
}

func newGuard(c Config) (*guard, error) {
	checked, err := otter.New(&otter.Options[string, *ticket.Claims]{
		MaximumWeight: ticketMemory,
		Weigher:       func(token string, _ *ticket.Claims) uint32 { return uint32(512 + len(token)) },
	})
	if err != nil {
		return nil, fmt.Errorf("cache of tickets: %w", err)
	}
	return &guard{tickets: c.Tickets, notices: c.Notices, places: c.Places, checked: checked}, nil
}

func (g *guard) close() { g.checked.StopAllGoroutines() }

// read returns what a ticket of a known key says. The claims are shared: they are
// not to be changed.
func (g *guard) read(token string) (*ticket.Claims, error) {
	if c, ok := g.checked.GetIfPresent(token); ok && g.tickets.Knows(c.KeyID) {
		return c, nil
	}
	c, err := g.tickets.Read(token)
	if err != nil {
		return nil, err
	}
	g.checked.Set(strings.Clone(token), &c) // the token may be a piece of a larger buffer
	return &c, nil
}

// allow decides whether a ticket opens path, which begins behind the ticket in the
// address and is still escaped, for a request that came from an address. It is
// asked for every media request before any cache (TOK-7), never waits for anything
// and allocates nothing for a ticket it has seen before. The refusal says what to
// answer.
func (e *Edge) allow(token, path string, from netip.Addr) (ticket.Claims, error) {
	c, err := e.guard.read(token)
	if err != nil {
		return ticket.Claims{}, e.unknown(from, err)
	}
	if err := e.admits(c, path, from); err != nil {
		return ticket.Claims{}, err
	}
	return *c, nil
}

// admits is allow for a ticket whose signature was checked.
func (e *Edge) admits(c *ticket.Claims, path string, from netip.Addr) error {
	if err := c.Opens(path, e.config.Now()); err != nil {
		return err
	}
	return e.grants(c, path, from)
}

// grants asks what is beyond the ticket's own words: the notices, the rules on
// countries and the limits.
func (e *Edge) grants(c *ticket.Claims, path string, from netip.Addr) error {
	track, release := subject(path)
	if err := e.guard.permit(c, track, release, from); err != nil {
		return err
	}
	return e.limited(c, path)
}

// subject returns the track and the release that a path begins with, which are empty
// in the path of a list.
func subject(path string) (track, release string) {
	if !strings.HasPrefix(path, "/trk_") {
		return "", ""
	}
	track, rest, _ := strings.Cut(path[1:], "/")
	release, _, _ = strings.Cut(rest, "/")
	return track, release
}

// permit asks the notices and the rules on countries about a ticket for a track and
// release, which are empty where the ticket is for several.
func (g *guard) permit(c *ticket.Claims, track, release string, from netip.Addr) error {
	var rule ticket.Countries
	if g.notices != nil {
		var err error
		if rule, err = g.notices.Void(c, track, release); err != nil {
			return err
		}
	}
	if rule == "" && c.Countries == "" {
		return nil
	}
	country := ""
	if g.places != nil && from.IsValid() {
		country = g.places.Country(from)
	}
	err := rule.Check(country)
	if err == nil {
		err = c.Countries.Check(country)
	}
	if err != nil {
		return api.WithStatus(err, http.StatusUnavailableForLegalReasons)
	}
	return nil
}

// permitted asks permit about releases of a list.
func (e *Edge) permitted(r *http.Request, c *ticket.Claims, ids ...melodyud.ReleaseID) error {
	from := addressOf(r)
	for _, id := range ids {
		if err := e.guard.permit(c, "", string(id), from); err != nil {
			return err
		}
	}
	return nil
}

// opens reports whether claims open a rendition.
func opens(c ticket.Claims, r *melodyud.Rendition) bool {
	return (r.Codec != melodyud.CodecFLAC || c.Tier == ticket.Premium) && c.Renditions.Has(r.Name)
}

// offered is m with the renditions that claims name; the tier is for playlists to
// know.
func offered(m *melodyud.Manifest, c ticket.Claims) *melodyud.Manifest {
	if c.Renditions == "" {
		return m
	}
	part := *m
	part.Renditions = slices.DeleteFunc(slices.Clone(m.Renditions), func(r melodyud.Rendition) bool { return !c.Renditions.Has(r.Name) })
	return &part
}

// allowed is allow for a request below root, which names its ticket.
func (e *Edge) allowed(r *http.Request, root string) (ticket.Claims, error) {
	token := r.PathValue("ticket")
	return e.allow(token, strings.TrimPrefix(r.URL.EscapedPath(), root+token), addressOf(r))
}

// addressOf is where a request came from; the zero Addr where nobody knows.
func addressOf(r *http.Request) netip.Addr {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return from.Addr().Unmap()
}
