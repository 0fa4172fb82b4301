package playback_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/playback"
	"github.com/melodyud/melodyud/internal/ticket"
)

type keptJSON struct {
	URL, Format, Key, Device, Rendition, SHA256 string
	KeyID                                       string `json:"key_id"`
	Size                                        int64
	Expires                                     time.Time
}

func TestOfflineKeysAreBoundToAccountDeviceTrackAndQuality(t *testing.T) { // HLS-94
	t.Parallel()
	w, keys := protected(t, func(c *playback.Config) { c.OfflineFor = 10 * 24 * time.Hour })
	tracks := []melodyud.Track{w.Finish(w.Upload(nora).ID), w.Finish(w.Upload(nora).ID)}
	w.putRelease(0)
	pia := api.Principal{User: "usr_01PIA", Name: "Pia", Roles: []api.Role{api.RoleListener}, Tier: ticket.Premium}
	server := w.serve(pia)
	seen := map[string]string{}
	for _, track := range tracks {
		for _, who := range []string{"Paul", "Pia"} {
			for _, device := range []string{"phone", "desk"} {
				for _, rendition := range []string{"", "aac-64", "flac"} {
					wish := fmt.Sprintf(`{"device":%q,"rendition":%q}`, device, rendition)
					var k, again keptJSON
					w.ask(server, who, "/v1/tracks/"+string(track.ID)+"/offline", wish, &k)
					w.ask(server, who, "/v1/tracks/"+string(track.ID)+"/offline", wish, &again)
					if seen[k.Key] != "" || k.Key != again.Key {
						t.Errorf("%s %s: the key is that of %s; again: %v", who, wish, seen[k.Key], k.Key == again.Key)
					}
					seen[k.Key] = who + wish
					if !k.Expires.Equal(w.Clock.Now().Add(10*24*time.Hour)) || k.Format != "MUDOFF1" || k.Size != 1000 || k.KeyID != "m1" {
						t.Errorf("%+v", k)
					}
					if rendition == "" && k.Rendition != "aac-256" {
						t.Errorf("the default is %s", k.Rendition)
					}
				}
			}
		}
	}
	var k keptJSON
	w.ask(server, "Paul", "/v1/tracks/"+string(tracks[0].ID)+"/offline", `{"device":"phone"}`, &k)
	binding, _ := keys.Binding("m1", paul.User, "phone")
	stream := ticket.Stream{KeyID: "m1", Track: tracks[0].ID, Release: tracks[0].Release.ID}
	if claims := w.claims(k.URL); claims.Prefix != ticket.OfflinePrefix(stream, binding) || claims.Tier != ticket.Premium {
		t.Errorf("%+v", claims)
	}
}

func TestOfflineIsRefusedInWords(t *testing.T) { // HLS-94
	t.Parallel()
	w, _ := protected(t)
	pending := string(w.Upload(nora).ID)
	id := string(w.Finish(w.Upload(nora).ID).ID)
	w.putRelease(0)
	server := w.serve()
	refused := func(who, id, wish string, want int, code string) {
		t.Helper()
		status, body, header := server.Do(who, "POST", "/v1/tracks/"+id+"/offline", wish)
		if status != want || !strings.Contains(body, code) || want != 422 && !strings.Contains(header.Get("Cache-Control"), "no-store") {
			t.Errorf("%s of %s: %d %s %v", wish, who, status, body, header)
		}
	}
	const phone = `{"device":"phone"}`
	refused("", id, phone, 401, "auth.missing")
	refused("Lisa", id, phone, 403, "offline.premium-only")
	refused("Emil", id, phone, 404, "track.not-found")
	refused("Paul", pending, phone, 404, "track.not-found")
	refused("Paul", id, `{"device":"my phone"}`, 400, "offline.device")
	refused("Paul", id, `{"device":""}`, 422, "request.invalid")
	refused("Paul", id, `{"device":"phone","rendition":"aac-1"}`, 404, "offline.rendition")
	refused("Paul", id, `{"device":"phone","key_id":"m0"}`, 409, "offline.key-retired")
	var k keptJSON
	w.ask(server, "Paul", "/v1/tracks/"+id+"/offline", `{"device":"phone","key_id":"m1"}`, &k)
	w.Must(w.Withdraw(t.Context(), nora, melodyud.TrackID(id)))
	refused("Paul", id, `{"device":"phone","key_id":"m1"}`, 404, "track.not-found")
}
