package playback_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/playback"
	"github.com/melodyud/melodyud/internal/ticket"
)

type renewedJSON struct {
	Was, Base, URL, Session string
	Renew, Expires          time.Time
}

func (w *world) renewal(url string) string {
	raw, err := json.Marshal(map[string]string{"url": url})
	w.Must(err)
	return string(raw)
}

// wall is a board with a notice for a session and one for a release.
type wall struct{ session, release string }

func (b *wall) Void(c *ticket.Claims, _, release string) (ticket.Countries, error) {
	if c.Session == b.session || release != "" && release == b.release {
		return "", melodyud.Refuse(melodyud.ErrForbidden, "playback.revoked", "Stop.")
	}
	return "", nil
}

func (*wall) Current(time.Duration) bool { return true }

func TestARenewedTicketGoesOnWithTheSameSession(t *testing.T) { // TOK-4
	t.Parallel()
	w := newWorld(t, func(c *playback.Config) { c.EdgeURL = "https://edge.example.org" })
	a := w.Song(nora, melodyud.Tags{Album: "Harbour"})
	w.putRelease(0)
	server := w.serve()
	for _, ask := range []string{
		"/v1/tracks/" + string(a.ID) + "/playback", "/v1/tracks/" + string(a.ID) + "/preview", "/v1/albums/" + string(w.AlbumCalled("Harbour").ID) + "/playback",
	} {
		var p struct {
			URL, Base, Session string
			Expires            time.Time
		}
		w.ask(server, "Lisa", ask, "", &p)
		w.Clock.Pass(p.Expires.Sub(w.Clock.Now()) + 20*time.Hour) // closed over night
		segment := strings.Replace(p.URL, "index.m3u8", "aac-64/s/3.m4s", 1)
		var r renewedJSON
		w.ask(server, "Lisa", "/v1/playback/renew", w.renewal(segment), &r)
		if r.Session != p.Session || !r.Expires.After(w.Clock.Now()) || !r.Renew.Before(r.Expires) || r.Was == r.Base ||
			r.URL != r.Base+strings.TrimPrefix(segment, r.Was) || p.Base != "" && r.Was != p.Base {
			t.Errorf("%s: %+v of %+v", ask, r, p)
		}
		rest := strings.NewReplacer("https://edge.example.org/p/", "", "https://edge.example.org/l/", "").Replace(r.URL)
		token, path, _ := strings.Cut(rest, "/")
		c, err := w.keys.Verify(token, "/"+path, w.Clock.Now())
		if err != nil || c.Session != p.Session || !c.Issued.Equal(w.Clock.Now()) || c.Account != w.names.Account(lisa.User) {
			t.Errorf("%s: %+v, %v", ask, c, err)
		}
	}
}

func TestARenewalFollowsThePlanAndTheCountries(t *testing.T) {
	t.Parallel()
	w := newWorld(t, in("DE"))
	track := w.Finish(w.Upload(nora).ID)
	path := "/v1/tracks/" + string(track.ID)
	ended := paul
	ended.Name, ended.Tier = "Pauline", ticket.Free
	server := w.serve(ended)
	var p struct{ URL string }
	var r renewedJSON
	w.ask(server, "Paul", path+"/playback", "", &p)
	server.Do("Nora", "PUT", path+"/territories", `{"only":["DE"]}`)
	w.ask(server, "Pauline", "/v1/playback/renew", w.renewal(p.URL), &r)
	if c := w.claims(r.URL); c.Tier != ticket.Free || c.Countries != "+DE" {
		t.Errorf("%+v", c)
	}
	w.ask(server, "Paul", "/v1/playback/renew", w.renewal(r.URL), &r)
	if c := w.claims(r.URL); c.Tier != ticket.Premium || c.Ads != ticket.NoAds {
		t.Errorf("%+v", c)
	}
	server.Do("Nora", "PUT", path+"/territories", `{"only":["FR"]}`)
	if status, body, _ := server.Do("Paul", "POST", "/v1/playback/renew", w.renewal(p.URL)); status != 451 || !strings.Contains(body, "playback.territory") {
		t.Errorf("%d %s", status, body)
	}
	w.Must(w.Withdraw(t.Context(), nora, track.ID))
	if status, body, _ := server.Do("Paul", "POST", "/v1/playback/renew", w.renewal(p.URL)); status != 404 {
		t.Errorf("a withdrawn track: %d %s", status, body)
	}
}

func TestOtherRenewalsAreRefused(t *testing.T) { // TOK-3, TOK-5
	t.Parallel()
	board := &wall{}
	w, _ := protected(t, func(c *playback.Config) { c.Notices = board })
	track := w.Song(nora, melodyud.Tags{Album: "Harbour"})
	w.putRelease(0)
	server := w.serve()
	path := "/v1/tracks/" + string(track.ID)
	var p, revoked, list, kept struct{ URL, Session string }
	w.ask(server, "Paul", path+"/playback", "", &p)
	w.ask(server, "Paul", path+"/playback", "", &revoked)
	w.ask(server, "Paul", "/v1/albums/"+string(w.AlbumCalled("Harbour").ID)+"/playback", "", &list)
	w.ask(server, "Paul", path+"/offline", `{"device":"phone"}`, &kept)
	first, err := w.keys.Sign(ticket.Claims{Expires: w.Clock.Now().Add(time.Hour), Prefix: "/a/", Session: "s", Tier: ticket.Premium})
	w.Must(err)
	board.session = revoked.Session
	for _, row := range []struct {
		what, who, url string
		status         int
		code           string
	}{
		{"nobody", "", p.URL, 401, "auth.missing"},
		{"another listener", "Lisa", p.URL, 403, "playback.no-renewal"},
		{"a revoked session", "Paul", revoked.URL, 403, "playback.revoked"},
		{"a file for a device", "Paul", kept.URL, 403, "playback.no-renewal"},
		{"the first version", "Paul", "/p/" + first + "/a/x", 403, "playback.no-renewal"},
		{"a forgery", "Paul", "/p/a.b/x", 403, "ticket.invalid"},
		{"no address of the edge", "Paul", "https://example.org/", 403, "playback.no-renewal"},
		{"nothing", "Paul", "", 422, "request.invalid"},
		{"another path", "Paul", p.URL[:strings.Index(p.URL, "/trk_")] + "/trk_x/index.m3u8", 403, "ticket.invalid"},
	} {
		status, body, _ := server.Do(row.who, "POST", "/v1/playback/renew", w.renewal(row.url))
		if status != row.status || !strings.Contains(body, row.code) {
			t.Errorf("%s: %d %s", row.what, status, body)
		}
	}
	board.release = string(track.Release.ID)
	if status, body, _ := server.Do("Paul", "POST", "/v1/playback/renew", w.renewal(list.URL)); status != 403 || !strings.Contains(body, "playback.revoked") {
		t.Errorf("a list with a withdrawn track: %d %s", status, body)
	}
	board.release = ""
	w.Clock.Pass(40 * time.Hour)
	if status, body, _ := server.Do("Paul", "POST", "/v1/playback/renew", w.renewal(p.URL)); status != 403 || !strings.Contains(body, "ticket.expired") {
		t.Errorf("long expired: %d %s", status, body)
	}
}
