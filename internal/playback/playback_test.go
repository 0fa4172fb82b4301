package playback_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/playback"
	"github.com/melodyud/melodyud/internal/ticket"
)

// TestPlaybackObeysTheAuthorizationMatrix holds every operation against every actor
// and every kind of track (faults.md section 9: another's track is the same as a
// missing one).
func TestPlaybackObeysTheAuthorizationMatrix(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pending := w.Upload(nora).ID
	published := w.Song(nora, melodyud.Tags{Album: "Harbour"}).ID
	album := string(w.AlbumCalled("Harbour").ID)
	server := w.serve()
	missing := melodyud.NewTrackID(w.Clock.Now())
	list := func(ids ...melodyud.TrackID) string {
		raw, err := json.Marshal(map[string]any{"tracks": ids})
		w.Must(err)
		return string(raw)
	}
	actors := []string{"", "Nora", "Emil", "Lisa", "Olga"} // nobody, owner, creator, listener, operator
	for _, row := range []struct {
		method, path, body string
		want               [5]int
	}{
		{"POST", "/v1/tracks/{published}/playback", "", [5]int{401, 200, 404, 200, 200}},
		{"POST", "/v1/tracks/{pending}/playback", "", [5]int{401, 409, 404, 404, 409}},
		{"POST", "/v1/tracks/{missing}/playback", "", [5]int{401, 404, 404, 404, 404}},
		{"POST", "/v1/tracks/{pending}/preview", "", [5]int{401, 409, 404, 404, 409}},
		{"POST", "/v1/tracks/{missing}/preview", "", [5]int{401, 404, 404, 404, 404}},
		{"POST", "/v1/tracks/{published}/offline", `{"device":"d"}`, [5]int{401, 403, 404, 403, 403}},
		{"POST", "/v1/tracks/{missing}/offline", `{"device":"d"}`, [5]int{401, 404, 404, 404, 404}},
		{"POST", "/v1/albums/" + album + "/playback", "", [5]int{401, 200, 404, 200, 200}},
		{"POST", "/v1/playlists/playback", list(published, published), [5]int{401, 200, 404, 200, 200}},
		{"POST", "/v1/playlists/playback", list(published, pending), [5]int{401, 409, 404, 404, 409}},
		{"POST", "/v1/playlists/playback", list(), [5]int{401, 400, 400, 400, 400}},
		{"POST", "/v1/playlists/playback", `{"tracks":[]}`, [5]int{422, 422, 422, 422, 422}},
		{"POST", "/v1/playlists/playback", list(make([]melodyud.TrackID, 101)...), [5]int{422, 422, 422, 422, 422}},
	} {
		path := strings.NewReplacer("{pending}", string(pending), "{published}", string(published), "{missing}", string(missing)).Replace(row.path)
		var others, none string
		for i, who := range actors {
			status, body, _ := server.Do(who, row.method, path, row.body)
			if status != row.want[i] {
				t.Errorf("%s %s as %q: %d, want %d: %s", row.method, row.path, who, status, row.want[i], body)
			}
			if status == 404 && who == "Emil" && strings.Contains(path, "/tracks/") {
				others = body
				_, none, _ = server.Do(who, row.method, strings.Replace(path, string(published), string(missing), 1), row.body)
			}
		}
		if others != none {
			t.Errorf("%s %s: another's track answers %s, a missing one %s", row.method, row.path, others, none)
		}
	}
}

func TestATicketOutlivesItsTrackAndCoversOnlyIt(t *testing.T) { // TOK-4
	t.Parallel()
	w := newWorld(t, func(c *playback.Config) { c.EdgeURL = "https://edge.example.org/" })
	track := w.Finish(w.Upload(nora).ID)
	server := w.serve()
	for _, one := range []struct {
		who  string
		tier ticket.Tier
		life time.Duration
		hifi bool
	}{
		{"Lisa", ticket.Free, time.Hour + 200*time.Second, false},
		{"Paul", ticket.Premium, 6*time.Hour + 200*time.Second, true},
	} {
		_, body, header := server.Do(one.who, "POST", "/v1/tracks/"+string(track.ID)+"/playback", "")
		var got struct {
			URL, HiFi, Dash, Session string
			Expires                  time.Time
		}
		body = strings.NewReplacer("hifi_url", "HiFi", "dash_url", "Dash").Replace(body)
		w.Must(json.Unmarshal([]byte(body), &got))
		rest, ok := strings.CutPrefix(got.URL, "https://edge.example.org/p/")
		signed, path, _ := strings.Cut(rest, "/")
		if !ok || path != string(track.ID)+"/"+string(track.Release.ID)+"/index.m3u8" || (got.HiFi != "") != one.hifi || !strings.HasSuffix(got.Dash, "/manifest.mpd") {
			t.Errorf("%s: %s", one.who, body)
		}
		claims, err := w.keys.Verify(signed, "/"+path, w.Clock.Now())
		w.Must(err)
		if claims.Tier != one.tier || claims.Session != got.Session || got.Session == "" || claims.Expires.Sub(w.Clock.Now()) < one.life {
			t.Errorf("%s: %+v", one.who, claims)
		}
		if _, err := w.keys.Verify(signed, "/"+string(melodyud.NewTrackID(w.Clock.Now()))+"/x", w.Clock.Now()); err == nil {
			t.Error("the ticket covers another track")
		}
		if cc := header.Get("Cache-Control"); !strings.Contains(cc, "no-store") {
			t.Errorf("Cache-Control %q", cc)
		}
	}
}

func TestEncryptedPlaybackIsSignedForTheEncryptedFormOnly(t *testing.T) { // HLS-90, HLS-92, DASH-5
	t.Parallel()
	for _, always := range []bool{false, true} {
		w, _ := protected(t, func(c *playback.Config) { c.Encrypt = always })
		track := w.Finish(w.Upload(nora).ID)
		server := w.serve()
		var list struct{ URL string }
		w.ask(server, "Paul", "/v1/playlists/playback", `{"tracks":["`+string(track.ID)+`"]}`, &list)
		if strings.Contains(w.claims(strings.Replace(list.URL, "/l/", "/p/", 1)).Prefix, "/encrypted/aes-128/m1/") != always {
			t.Errorf("always %v: a list at %s", always, list.URL)
		}
		sealed := ticket.EncryptedPrefix(ticket.Stream{KeyID: "m1", Track: track.ID, Release: track.Release.ID})
		for query, encrypted := range map[string]bool{"": always, "?encrypt=true": true, "?encrypt=false": always} {
			var p struct {
				URL  string `json:"url"`
				HiFi string `json:"hifi_url"`
				Dash string `json:"dash_url"`
			}
			w.ask(server, "Paul", "/v1/tracks/"+string(track.ID)+"/playback"+query, "", &p)
			prefix := w.claims(p.URL).Prefix
			if (prefix == sealed) != encrypted || (p.Dash == "") != encrypted || w.claims(p.HiFi).Prefix != prefix {
				t.Errorf("always %v, asked %q: %+v", always, query, p)
			}
		}
	}
	plain := newWorld(t)
	id := plain.Finish(plain.Upload(nora).ID).ID
	if status, body, _ := plain.serve().Do("Paul", "POST", "/v1/tracks/"+string(id)+"/playback?encrypt=true", ""); status != 400 || !strings.Contains(body, "playback.no-encryption") {
		t.Errorf("without keys: %d %s", status, body)
	}
	_, err := playback.New(playback.Config{Database: plain.DB, Library: plain, Store: plain.Store, Tickets: plain.keys, Names: plain.names, Encrypt: true})
	plain.Wants(melodyud.ErrInvalid, err)
}

func TestATicketForAnAlbumOutlivesAllOfIt(t *testing.T) { // TOK-4
	t.Parallel()
	w := newWorld(t, func(c *playback.Config) { c.EdgeURL = "https://edge.example.org" })
	a := w.Song(nora, melodyud.Tags{Album: "Harbour", Number: 1})
	b := w.Song(nora, melodyud.Tags{Album: "Harbour", Number: 2})
	album := string(w.AlbumCalled("Harbour").ID)
	server := w.serve()
	for _, one := range []struct {
		who  string
		tier ticket.Tier
		life time.Duration
		hifi bool
	}{
		{"Lisa", ticket.Free, time.Hour + 400*time.Second, false},
		{"Paul", ticket.Premium, 6*time.Hour + 400*time.Second, true},
	} {
		_, body, header := server.Do(one.who, "POST", "/v1/albums/"+album+"/playback", "")
		var p struct {
			URL          string    `json:"url"`
			HiFiURL      string    `json:"hifi_url"`
			ExactHiFiURL string    `json:"exact_hifi_url"`
			Expires      time.Time `json:"expires"`
			Tracks       []struct {
				Start float64 `json:"start_seconds"`
				Track struct{ ID string }
			}
		}
		w.Must(json.Unmarshal([]byte(body), &p))
		if header.Get("Cache-Control") != "private, no-store" || (p.HiFiURL != "") != one.hifi || (p.ExactHiFiURL != "") != one.hifi {
			t.Errorf("%s gets %s", one.who, body)
		}
		if len(p.Tracks) != 2 || p.Tracks[0].Track.ID != string(a.ID) || p.Tracks[1].Track.ID != string(b.ID) || p.Tracks[1].Start != 200 {
			t.Errorf("%s: tracks %+v", one.who, p.Tracks)
		}
		path, _ := strings.CutPrefix(p.URL, "https://edge.example.org/l/")
		token, rest, _ := strings.Cut(path, "/")
		claims, err := w.keys.Verify(token, "/"+rest, w.Clock.Now().Add(one.life))
		w.Must(err)
		if claims.Tier != one.tier || !claims.Expires.Equal(p.Expires) {
			t.Errorf("%s: claims %+v", one.who, claims)
		}
		parts := strings.Split(rest, "/")
		ids, err := ticket.ParseList(parts[0], parts[1])
		w.Must(err)
		if len(ids) != 2 || ids[0] != a.Release.ID || ids[1] != b.Release.ID {
			t.Errorf("%s: the address plays %v", one.who, ids)
		}
	}
}

func TestATicketSaysWhatItsListenerMay(t *testing.T) { // TOK-1, TOK-8, AD-1
	t.Parallel()
	w := newWorld(t, func(c *playback.Config) { c.FreeSkips = 6 })
	id := w.Finish(w.Upload(nora).ID).ID
	server := w.serve()
	for who, want := range map[string]ticket.Claims{
		"Lisa": {Account: w.names.Account(lisa.User), Tier: ticket.Free, Skips: 6},
		"Paul": {Account: w.names.Account(paul.User), Tier: ticket.Premium, Skips: ticket.Unlimited},
		"Nora": {Account: w.names.Account(nora.User), Tier: ticket.Free, Skips: 6},
	} {
		var p struct{ URL, Base string }
		w.ask(server, who, "/v1/tracks/"+string(id)+"/playback?device=phone", "", &p)
		got := w.claims(p.URL)
		if !got.Issued.Equal(w.Clock.Now()) || !strings.HasPrefix(p.URL, p.Base) || !strings.HasSuffix(p.Base, "/") {
			t.Errorf("%s: %+v, %s at %s", who, got, p.URL, p.Base)
		}
		want.Device, want.Ads = api.SignInOf(who)+"_phone", got.Ads // which others test
		want.KeyID, want.Expires, want.Prefix, want.Session, want.Issued = got.KeyID, got.Expires, got.Prefix, got.Session, got.Issued
		if got != want {
			t.Errorf("%s: %+v, want %+v", who, got, want)
		}
	}
	if status, body, _ := server.Do("Lisa", "POST", "/v1/tracks/"+string(id)+"/playback?device=a+b", ""); status != 400 || !strings.Contains(body, "offline.device") {
		t.Errorf("a bad device: %d %s", status, body)
	}
}
