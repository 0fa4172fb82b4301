package playback_test

import (
	"net/netip"
	"strings"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/playback"
)

// here says that everybody is in one country.
type here struct{ country string }

func (h *here) Country(netip.Addr) string { return h.country }

func in(country string) func(*playback.Config) {
	return func(c *playback.Config) { c.Places = &here{country} }
}

func TestATrackIsHeardOnlyWhereItsCreatorReleasedIt(t *testing.T) {
	t.Parallel()
	place := &here{}
	w := newWorld(t, func(c *playback.Config) { c.Places = place })
	id := string(w.Song(nora, melodyud.Tags{Album: "Harbour"}).ID)
	w.putRelease(0)
	album := string(w.AlbumCalled("Harbour").ID)
	server := w.serve()
	for _, row := range []struct {
		rule, country string
		status        int
		code          string
	}{
		{`{"only":["DE","fr"]}`, "DE", 200, ""},
		{`{"only":["DE","FR"]}`, "US", 451, "playback.territory"},
		{`{"only":["DE","FR"]}`, "", 451, "playback.country-unknown"},
		{`{"except":["US"]}`, "US", 451, "playback.territory"},
		{`{"except":["US"]}`, "DE", 200, ""},
		{`{"except":["US"]}`, "", 200, ""},
		{`{}`, "US", 200, ""},
	} {
		place.country = row.country
		if status, body, _ := server.Do("Nora", "PUT", "/v1/tracks/"+id+"/territories", row.rule); status != 200 {
			t.Fatalf("%s: %d %s", row.rule, status, body)
		}
		for _, ask := range [][2]string{
			{"/v1/tracks/" + id + "/playback", ""}, {"/v1/tracks/" + id + "/preview", ""},
			{"/v1/albums/" + album + "/playback", ""}, {"/v1/playlists/playback", `{"tracks":["` + id + `"]}`},
		} {
			status, body, _ := server.Do("Paul", "POST", ask[0], ask[1])
			if status != row.status || !strings.Contains(body, row.code) {
				t.Errorf("%s in %q, %s: %d %s", row.rule, row.country, ask[0], status, body)
			}
			if status, body, _ := server.Do("Nora", "POST", ask[0], ask[1]); status != 200 {
				t.Errorf("%s in %q: the owner hears %d %s", row.rule, row.country, status, body)
			}
		}
	}
}

func TestATicketCarriesTheRuleOnCountriesAndAChangeIsANotice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, in("DE"))
	track := w.Finish(w.Upload(nora).ID)
	path := "/v1/tracks/" + string(track.ID)
	server := w.serve()
	if status, body, _ := server.Do("Nora", "PUT", path+"/territories", `{"only":["FR","DE"]}`); status != 200 ||
		!strings.Contains(body, `"only":["DE","FR"]`) || !strings.Contains(body, `"countries_known":true`) {
		t.Fatalf("%d %s", status, body)
	}
	var p struct{ URL string }
	w.ask(server, "Lisa", path+"/playback", "", &p)
	if got := w.claims(p.URL).Countries; got != "+DEFR" {
		t.Errorf("the ticket says %q", got)
	}
	all := w.notices()
	if len(all) != 1 || all[0].Scope != melodyud.NoticeTrack || all[0].Countries == nil || *all[0].Countries != "+DEFR" ||
		len(all[0].Releases) != 1 || !all[0].Before.Equal(w.Clock.Now()) {
		t.Errorf("%+v", all)
	}
	if _, body, _ := server.Do("Olga", "GET", path+"/territories", ""); !strings.Contains(body, `"only":["DE","FR"]`) {
		t.Errorf("operators see %s", body)
	}
	server.Do("Nora", "PUT", path+"/territories", `{}`)
	w.ask(server, "Lisa", path+"/playback", "", &p)
	if got := w.claims(p.URL).Countries; got != "" {
		t.Errorf("after the rule was lifted the ticket says %q", got)
	}
	if all := w.notices(); len(all) != 2 || *all[1].Countries != "" {
		t.Errorf("%+v", all)
	}
}

func TestTerritoriesAreRefusedInWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := string(w.Finish(w.Upload(nora).ID).ID)
	missing := string(melodyud.NewTrackID(w.Clock.Now()))
	server := w.serve()
	for _, row := range []struct {
		who, id, body string
		status        int
		code          string
	}{
		{"", id, `{}`, 401, "auth.missing"},
		{"Lisa", id, `{}`, 403, "auth.role"},
		{"Emil", id, `{}`, 404, "track.not-found"},
		{"Nora", missing, `{}`, 404, "track.not-found"},
		{"Nora", id, `{"only":["UK"]}`, 400, "territory.code"},
		{"Nora", id, `{"only":["EU"]}`, 400, "territory.code"},
		{"Nora", id, `{"only":["Germany"]}`, 400, "territory.code"},
		{"Nora", id, `{"except":["276"]}`, 400, "territory.code"},
		{"Nora", id, `{"except":[""]}`, 400, "territory.code"},
		{"Nora", id, `{"only":["DE"],"except":["FR"]}`, 400, "territory.both"},
		{"Nora", id, `{"only":"DE"}`, 422, "request.invalid"},
		{"Olga", id, `{"only":["DE"]}`, 200, `"countries_known":false`},
	} {
		status, body, _ := server.Do(row.who, "PUT", "/v1/tracks/"+row.id+"/territories", row.body)
		if status != row.status || !strings.Contains(body, row.code) {
			t.Errorf("%s as %q: %d %s", row.body, row.who, status, body)
		}
	}
	for who, want := range map[string]int{"": 401, "Lisa": 403, "Emil": 404, "Nora": 200, "Olga": 200} {
		if status, body, _ := server.Do(who, "GET", "/v1/tracks/"+id+"/territories", ""); status != want {
			t.Errorf("%q sees %d %s", who, status, body)
		}
	}
}
