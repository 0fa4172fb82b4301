package node

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"path"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/load"
	"github.com/melodyud/melodyud/internal/ticket"
)

// The load generator's terms, for the command line.
type (
	// LoadConfig says who listens to what.
	LoadConfig = load.Config
	// LoadSecond is what happened in one second of a run.
	LoadSecond = load.Second
	// LoadReport is what all listeners met.
	LoadReport = load.Report
	// HerdReport is what many met who started one track in the same moment.
	HerdReport = load.HerdReport
	// LoadSpread are percentiles in milliseconds.
	LoadSpread = load.Spread
)

// Load lets listeners listen, for as long as c says.
func Load(ctx context.Context, c LoadConfig) (LoadReport, error) { return load.Run(ctx, c) }

// LoadHerd lets all of c's listeners start one track in the same moment.
func LoadHerd(ctx context.Context, c LoadConfig) (HerdReport, error) { return load.Herd(ctx, c) }

// Stamper makes playback addresses of one listener those of another, with the keys
// that sign tickets.
type Stamper struct{ keys *ticket.Keyring }

// NewStamper returns a stamper with keys as --ticket-keys has them.
func NewStamper(keys string) (*Stamper, error) {
	parsed, err := ticket.ParseKeys(keys)
	if err != nil {
		return nil, err
	}
	ring, err := ticket.NewKeyring(parsed...)
	return &Stamper{ring}, err
}

// Stamp returns the address …/p/<ticket>/<track>/<release>/<playlist> with the ticket of
// a new premium listener in the place of its own, good for a day.
func (s *Stamper) Stamp(address string, now time.Time) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	rest, found := strings.CutPrefix(u.Path, "/p/")
	_, below, ok := strings.Cut(rest, "/")
	if !found || !ok {
		return "", fmt.Errorf("%w: %s is no playback address of an edge", melodyud.ErrInvalid, address)
	}
	name := rand.Text()
	token, err := s.keys.Sign(ticket.Claims{
		Prefix: path.Dir("/"+below) + "/", Session: "ses_" + name, Account: name, Device: name, Tier: ticket.Premium,
		Ads: ticket.NoAds, Skips: ticket.Unlimited, Issued: now, Expires: now.Add(24 * time.Hour).Truncate(time.Second),
	})
	u.Path = "/p/" + token + "/" + below
	return u.String(), err
}
