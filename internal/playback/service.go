// Package playback lets people hear tracks: it decides who may, signs their tickets
// and answers with addresses on the edge, for whole tracks, lists, previews and
// files kept on a device.
//
// Its rows are the rules on countries. What there is to hear it asks the library.
// What takes rights back leaves as a notice, in the transaction of its cause.
package playback

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/ticket"
)

// library knows what there is to hear.
type library interface {
	// Audible returns a published track that who may play; ErrNotFound, ErrConflict
	// for one that is not published.
	Audible(ctx context.Context, who api.Principal, id melodyud.TrackID) (melodyud.Track, error)
	// AlbumTracks returns the published tracks of an album that who may play, in
	// order; ErrNotFound.
	AlbumTracks(ctx context.Context, who api.Principal, id melodyud.AlbumID) ([]melodyud.Track, error)
	// Releases returns the releases of who's own track, or of any track to operators;
	// ErrNotFound.
	Releases(ctx context.Context, who api.Principal, id melodyud.TrackID) (current melodyud.ReleaseID, all []melodyud.Release, err error)
}

// tickets signs and reads tickets.
type tickets interface {
	Sign(c ticket.Claims) (string, error)
	Read(token string) (ticket.Claims, error)
}

// notices tells which tickets are void before they expire.
type notices interface {
	Void(c *ticket.Claims, track, release string) (ticket.Countries, error)
}

// places tells where an address is.
type places interface {
	// Country returns an ISO 3166-1 code, or "" if it is not known.
	Country(from netip.Addr) string
}

// mediaKeys names the secrets of encrypted sound and knows the keys of devices.
type mediaKeys interface {
	Newest() string
	Binding(keyID string, user melodyud.UserID, device string) (string, bool)
	OfflineKey(s ticket.Stream, binding, rendition string) ([]byte, bool)
}

// names names accounts in tickets.
type names interface {
	Account(user melodyud.UserID) string
}

// Config configures a Service.
type Config struct {
	Database database.DB       // required: rules on countries; notices go out with it
	Library  library           // required
	Store    objectstore.Store // required: manifests and features are read
	Tickets  tickets           // required: signs playback tickets
	Names    names             // required: names accounts in tickets
	Notices  notices           // void tickets are not renewed; nil: none is void
	Places   places            // where listeners are; nil: nobody knows
	Ads      ads               // which ads free listeners hear; nil: none

	// Starts makes what goes with playbacks on request; nil: nothing does.
	Starts starts

	// EdgeURL is where the edge answers, such as "https://edge.example.org"; empty
	// means the host the request was sent to.
	EdgeURL string

	// MediaKeys encrypts streams and offline files; nil: neither is on offer.
	MediaKeys mediaKeys
	// Encrypt makes all playback encrypted; it needs MediaKeys. Default: only what
	// is asked for.
	Encrypt       bool
	OfflineFor    time.Duration // an offline key is good for so long; default 30 days
	PreviewLength time.Duration // longest preview, 5 to 30 s; default 30 s

	PauseAllowanceFree    time.Duration // a ticket outlives the track by this (TOK-4); default 1 h
	PauseAllowancePremium time.Duration // default 6 h

	// FreeSkips is how often an hour free listeners may skip; default: without limit.
	FreeSkips int

	Logger *slog.Logger     // default: discards
	Now    func() time.Time // default time.Now
}

// Service is the playback service. Safe for concurrent use.
type Service struct {
	c Config
}

// New returns a playback service. A missing dependency, a malformed EdgeURL or a
// length out of range is ErrInvalid.
func New(c Config) (*Service, error) {
	if c.Database == nil || c.Library == nil || c.Store == nil || c.Tickets == nil || c.Names == nil {
		return nil, fmt.Errorf("%w: playback needs a database, a library, a store, a signer and names", melodyud.ErrInvalid)
	}
	if err := checkEdgeURL(c.EdgeURL); err != nil {
		return nil, err
	}
	if c.Encrypt && c.MediaKeys == nil {
		return nil, fmt.Errorf("%w: encrypted playback needs media keys", melodyud.ErrInvalid)
	}
	if c.PreviewLength != 0 && (c.PreviewLength < shortestPreview || c.PreviewLength > longestPreview) {
		return nil, fmt.Errorf("%w: previews last %v to %v, not %v", melodyud.ErrInvalid, shortestPreview, longestPreview, c.PreviewLength)
	}
	c.EdgeURL = strings.TrimSuffix(c.EdgeURL, "/")
	return &Service{c: c.withDefaults()}, nil
}

func checkEdgeURL(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("%w: edge URL %q: write it as https://host", melodyud.ErrInvalid, s)
	}
	return nil
}

func (c Config) withDefaults() Config {
	orDuration(&c.PauseAllowanceFree, time.Hour)
	orDuration(&c.PauseAllowancePremium, 6*time.Hour)
	orDuration(&c.OfflineFor, 30*24*time.Hour)
	orDuration(&c.PreviewLength, longestPreview)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func orDuration(d *time.Duration, fallback time.Duration) {
	if *d <= 0 {
		*d = fallback
	}
}

// Register hangs the playback operations on r.
func (s *Service) Register(r *api.Router) {
	s.registerPlayback(r)
	s.registerPreview(r)
	s.registerOffline(r)
	s.registerLists(r)
	s.registerRevocations(r)
	s.registerRenewal(r)
	s.registerTerritories(r)
}

// listener returns who asks if they may hear anything at all: what exactly, the
// library decides.
func listener(ctx context.Context) (api.Principal, error) {
	return api.Require(ctx, api.RoleOps, api.RoleCreator, api.RoleListener)
}
