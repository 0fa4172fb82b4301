package playback_test

import (
	"context"
	"strings"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/playback"
	"github.com/melodyud/melodyud/internal/ticket"
)

// policy answers for the ads, and notes who was asked about.
type policy struct {
	answer ticket.Ads // "": house ads
	err    error
	asked  []string
}

// Policy implements the ads.
func (p *policy) Policy(_ context.Context, account, _ string) (ticket.Ads, error) {
	p.asked = append(p.asked, account)
	if p.answer == "" {
		return ticket.HouseAds, p.err
	}
	return p.answer, p.err
}

func TestOnlyFreeListenersOfOthersTracksHearAds(t *testing.T) { // AD-1
	t.Parallel()
	w := newWorld(t)
	id := string(w.Song(nora, melodyud.Tags{Album: "Harbour"}).ID)
	album := "/v1/albums/" + string(w.AlbumCalled("Harbour").ID) + "/playback"
	server := w.serve()
	ads := func(who, path string) ticket.Ads {
		t.Helper()
		var p struct{ URL string }
		w.ask(server, who, path, "", &p)
		return w.claims(strings.Replace(p.URL, "/l/", "/p/", 1)).Ads
	}
	track := "/v1/tracks/" + id + "/playback"
	for _, path := range []string{track, album} {
		for who, want := range map[string]ticket.Ads{"Lisa": ticket.HouseAds, "Paul": ticket.NoAds, "Nora": ticket.NoAds} {
			if got := ads(who, path); got != want {
				t.Errorf("%s of %s: %s, want %s", path, who, got, want)
			}
		}
		w.ads.answer = ticket.BetweenAds
		if got := ads("Lisa", path); got != ticket.BetweenAds {
			t.Errorf("%s right behind a break: %s", path, got)
		}
		w.ads.answer, w.ads.err = "", melodyud.ErrUnavailable
		if got := ads("Lisa", path); got != ticket.NoAds {
			t.Errorf("%s while nobody knows: %s", path, got)
		}
		w.ads.err = nil
	}
	for _, who := range w.ads.asked {
		if who != w.names.Account(lisa.User) {
			t.Errorf("asked about %s", who)
		}
	}
	none := newWorld(t, func(c *playback.Config) { c.Ads = nil })
	free := none.Song(nora, melodyud.Tags{})
	var p struct{ URL string }
	none.ask(none.serve(), "Lisa", "/v1/tracks/"+string(free.ID)+"/playback", "", &p)
	if got := none.claims(p.URL).Ads; got != ticket.NoAds {
		t.Errorf("without ads: %s", got)
	}
}
