package playback

import (
	"context"
	"log/slog"
	"slices"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/ticket"
)

// ads knows which ads a listener is to hear in a session, by the name that tickets have
// for the account.
type ads interface {
	Policy(ctx context.Context, account, session string) (ticket.Ads, error)
}

// adsFor returns the policy on ads of a ticket with claims c for tracks. Creators hear
// their own tracks as they are, and music waits for no outage.
func (s *Service) adsFor(ctx context.Context, who api.Principal, c ticket.Claims, tracks ...melodyud.Track) ticket.Ads {
	foreign := func(t melodyud.Track) bool { return t.Owner != who.User }
	if s.c.Ads == nil || c.Tier == ticket.Premium || !slices.ContainsFunc(tracks, foreign) {
		return ticket.NoAds
	}
	policy, err := s.c.Ads.Policy(ctx, c.Account, c.Session)
	if err != nil {
		s.c.Logger.WarnContext(ctx, "ads left out", slog.Any("error", err))
		return ticket.NoAds
	}
	return policy
}
