package playback

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/ticket"
)

// renewWithin is how long before its end a ticket had best be renewed.
const renewWithin = 10 * time.Minute

// admission is a signed ticket, and where it leads.
type admission struct {
	claims ticket.Claims
	ticket string
	renew  time.Time
}

// admit returns what a new session of who may do with tracks, as claimsOf does, or the
// refusal if who is where one of them may not be heard.
func (s *Service) admit(ctx context.Context, who api.Principal, device string, tracks ...melodyud.Track) (ticket.Claims, time.Duration, error) {
	rule, err := s.permit(ctx, who, tracks...)
	c, allowance := s.claimsOf(who, device)
	c.Countries = rule
	return c, allowance, err
}

// claimsOf returns what a new session of who may do, without a prefix and an end,
// and how long its ticket outlives its sound.
func (s *Service) claimsOf(who api.Principal, device string) (ticket.Claims, time.Duration) {
	c := ticket.Claims{
		Session: "ses_" + rand.Text(), Account: s.c.Names.Account(who.User), Device: deviceOf(who, device),
		Tier: ticket.Free, Ads: ticket.NoAds, Skips: ticket.Unlimited,
	}
	if who.Tier == ticket.Premium {
		c.Tier = ticket.Premium
		return c, s.c.PauseAllowancePremium
	}
	if s.c.FreeSkips > 0 {
		c.Skips = s.c.FreeSkips
	}
	return c, s.c.PauseAllowanceFree
}

// deviceOf names a device: the sign-in, which nobody chooses, and what the device
// calls itself, if anything.
func deviceOf(who api.Principal, device string) string {
	if who.SignIn == "" || device == "" {
		return who.SignIn + device
	}
	device = who.SignIn + "_" + device
	return device[:min(len(device), 64)]
}

// sign makes a ticket of claims that is good for about ttl, but not longer than
// tickets may live.
func (s *Service) sign(c ticket.Claims, ttl time.Duration) (admission, error) {
	c.Issued = s.c.Now().Truncate(time.Millisecond).UTC()
	c.Expires = c.Issued.Add(min(ttl, ticket.MaxLife) + time.Second).Truncate(time.Second)
	token, err := s.c.Tickets.Sign(c)
	if err != nil {
		return admission{}, fmt.Errorf("sign ticket: %w", err)
	}
	return admission{claims: c, ticket: token, renew: c.Expires.Add(-min(renewWithin, c.Expires.Sub(c.Issued)/2))}, nil
}

// base is what every address below one of the edge's roots, "p" or "l", begins with.
func (s *Service) base(root string, a admission) string {
	return s.c.EdgeURL + "/" + root + "/" + a.ticket + "/"
}

// folder is where the ticket leads for one track; it ends in "/".
func (s *Service) folder(a admission) string { return s.base("p", a) + a.claims.Prefix[1:] }
