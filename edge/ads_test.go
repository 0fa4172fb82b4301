package edge_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge"
	"github.com/melodyud/melodyud/internal/ticket"
	"github.com/melodyud/melodyud/packager/hls"
	"github.com/melodyud/melodyud/packager/packagertest"
)

// booked answers every break with the same ads.
type booked struct {
	spots []melodyud.Spot
	asked []melodyud.Break
}

// Break implements the breaks.
func (b *booked) Break(at melodyud.Break) []melodyud.Spot {
	b.asked = append(b.asked, at)
	return b.spots
}

// withAds opens s again as an edge with ads.
func (s *stage) withAds(t testing.TB, c edge.AdsConfig) {
	t.Helper()
	if c.Breaks != nil {
		c.Signer = s.keys
	}
	_, s.handler = s.another(t, edge.Config{MediaKeys: s.media, Ads: c})
}

// house is the stage's own track as an ad.
func (s *stage) house() *booked {
	return &booked{spots: []melodyud.Spot{{Track: s.track, Release: s.release, Title: "Strings", Advertiser: "Vale", Weight: 1}}}
}

func (s *stage) listener(t testing.TB, prefix string, tier ticket.Tier, ads ticket.Ads) string {
	t.Helper()
	token, err := s.keys.Sign(ticket.Claims{
		Expires: start.Add(time.Hour), Prefix: prefix, Session: "ses_1", Tier: tier, Issued: start, Account: "acc_lisa", Ads: ads, Skips: 6,
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

type assetsJSON struct {
	Assets []struct {
		URI        string  `json:"URI"`
		Duration   float64 `json:"DURATION"`
		Ad         string  `json:"X-AD"`
		Title      string  `json:"X-TITLE"`
		Advertiser string  `json:"X-ADVERTISER"`
	} `json:"ASSETS"`
}

// assets asks the asset list of a break, which never is an error (AD-8).
func (s *stage) assets(t *testing.T, address string) assetsJSON {
	t.Helper()
	res := s.get(t, address)
	raw := body(t, res)
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/json" || res.Header.Get("Cache-Control") != "private, no-store" ||
		res.Header.Get("Access-Control-Allow-Origin") != "*" || !strings.HasPrefix(string(raw), `{"ASSETS":[`) {
		t.Fatalf("%s: %d %v %s", address, res.StatusCode, res.Header, raw)
	}
	var list assetsJSON
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// listsOf returns where the breaks of a media playlist are asked for.
func listsOf(t *testing.T, address string, raw []byte) (all []string) {
	t.Helper()
	d, err := hls.Read(raw)
	if err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	base, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range d.Lines {
		if l.Tag != "EXT-X-DATERANGE" {
			continue
		}
		list, _ := l.Attribute("X-ASSET-LIST")
		at, err := base.Parse(list)
		if err != nil {
			t.Fatal(err)
		}
		id, _ := l.Attribute("ID")
		if at.Query().Get("_HLS_interstitial_id") != id { // AD-10
			t.Errorf("%s asks for %s", id, list)
		}
		all = append(all, at.String())
	}
	return all
}

func TestAFreeListenerHearsAnAdAtItsOwnAddress(t *testing.T) { // AD-1, AD-8, AD-10, AD-11
	t.Parallel()
	s := newStage(t)
	house := s.house()
	s.withAds(t, edge.AdsConfig{Breaks: house})
	prefix := ticket.ReleasePrefix(s.track, s.release)
	base := "/p/" + s.listener(t, prefix, ticket.Free, ticket.HouseAds) + prefix
	lists := listsOf(t, base+"aac-64/index.m3u8", body(t, s.get(t, base+"aac-64/index.m3u8")))
	if len(lists) != 1 {
		t.Fatalf("breaks %v", lists)
	}
	list := s.assets(t, lists[0]+"&_HLS_primary_id=player")
	if len(list.Assets) != 1 {
		t.Fatalf("%+v", list)
	}
	one := list.Assets[0]
	if want := float64(2*176128+44100) / 44100; one.Duration != want || one.Ad != string(s.track) || one.Title != "Strings" || one.Advertiser != "Vale" {
		t.Errorf("%+v, want %g s", one, want)
	}
	at, err := url.Parse(one.URI)
	if err != nil || !at.IsAbs() || at.Host != "example.com" {
		t.Fatalf("%s: %v", one.URI, err)
	}
	if again := s.assets(t, lists[0]); again.Assets[0] != one {
		t.Errorf("asked again: %+v", again)
	}
	multivariant := body(t, s.get(t, at.Path))
	p, err := hls.ParseMultivariant(multivariant)
	if err != nil {
		t.Fatalf("%v\n%s", err, multivariant)
	}
	ad := string(body(t, s.get(t, strings.TrimSuffix(at.Path, "index.m3u8")+p.Variants[0].URI)))
	if !strings.Contains(ad, "#EXT-X-ENDLIST") || strings.Contains(ad, "DATERANGE") { // AD-11
		t.Errorf("an ad with a break of its own:\n%s", ad)
	}
	token := strings.Split(at.Path, "/")[2]
	claims, err := s.keys.Verify(token, strings.TrimPrefix(at.Path, "/p/"+token), start)
	if err != nil || claims.Session != "ses_1" || claims.Account != "acc_lisa" || claims.Ads != ticket.NoAds || !claims.Expires.Equal(start.Add(time.Hour)) {
		t.Errorf("%+v: %v", claims, err)
	}
	if want := (melodyud.Break{ID: "pre", Place: melodyud.BreakPre, Session: "ses_1", Account: "acc_lisa", Release: s.release}); house.asked[0] != want {
		t.Errorf("asked %+v", house.asked[0])
	}
}

func TestPremiumPlaylistsAreAsIfThereWereNoAds(t *testing.T) { // AD-2
	t.Parallel()
	s := newStage(t)
	prefix := ticket.ReleasePrefix(s.track, s.release)
	base := "/p/" + s.listener(t, prefix, ticket.Premium, ticket.NoAds) + prefix
	first := s.base(t, ticket.Premium) // of the first version
	paths := []string{"index.m3u8", "hifi.m3u8", "aac-64/index.m3u8", "flac/index.m3u8"}
	before := map[string]string{}
	for _, path := range paths {
		before[path] = string(body(t, s.get(t, base+path)))
	}
	house := s.house()
	s.withAds(t, edge.AdsConfig{Breaks: house})
	for _, path := range paths {
		for _, at := range []string{base, first} {
			if got := string(body(t, s.get(t, at+path))); got != before[path] || strings.Contains(got, "DATE") {
				t.Errorf("%s:\n%s", path, got)
			}
		}
	}
	if list := s.assets(t, base+"ads/breaks/pre?_HLS_interstitial_id=pre"); len(list.Assets) != 0 || len(house.asked) != 0 {
		t.Errorf("%+v", list)
	}
}

func TestTheFreeFlavourIsTheSameForEverybody(t *testing.T) { // AD-2
	t.Parallel()
	s := newStage(t)
	s.withAds(t, edge.AdsConfig{Breaks: s.house()})
	prefix := ticket.ReleasePrefix(s.track, s.release)
	seen := map[string]bool{}
	for _, account := range []string{"acc_a", "acc_b"} {
		token, err := s.keys.Sign(ticket.Claims{
			Expires: start.Add(time.Hour), Prefix: prefix, Session: "ses_" + account, Tier: ticket.Free, Issued: start, Account: account, Ads: ticket.HouseAds,
		})
		if err != nil {
			t.Fatal(err)
		}
		res := s.get(t, "/p/"+token+prefix+"aac-64/index.m3u8")
		if !strings.Contains(res.Header.Get("Cache-Control"), "public") {
			t.Error(res.Header)
		}
		seen[res.Header.Get("ETag")+string(body(t, res))] = true
	}
	if len(seen) != 1 {
		t.Errorf("%d playlists: %v", len(seen), seen)
	}
}

func TestABreakWithoutAnAdIsEmptyAndNoError(t *testing.T) { // AD-8, AD-9
	t.Parallel()
	s := newStage(t)
	prefix := ticket.ReleasePrefix(s.track, s.release)
	base := "/p/" + s.listener(t, prefix, ticket.Free, ticket.HouseAds) + prefix
	empty := func(why, id string) {
		t.Helper()
		if list := s.assets(t, base+"ads/breaks/"+id); len(list.Assets) != 0 {
			t.Errorf("%s: %+v", why, list)
		}
	}
	empty("an edge without ads", "pre")
	house := s.house()
	s.withAds(t, edge.AdsConfig{Breaks: house})
	empty("a break that is nowhere", "join-1")
	gone := house.spots[0]
	gone.Release = melodyud.NewReleaseID(start)
	house.spots = append([]melodyud.Spot{gone}, house.spots...)
	if list := s.assets(t, base+"ads/breaks/pre"); len(list.Assets) != 1 {
		t.Errorf("beside a withdrawn ad: %+v", list)
	}
	house.spots = []melodyud.Spot{gone}
	empty("a withdrawn ad", "pre")
	house.spots[0].Release = melodyud.NewReleaseID(start.Add(time.Second))
	body(t, s.get(t, base+"aac-64/index.m3u8"))
	s.shelf.away.Store(true)
	empty("a store that is away", "pre")
	if res := s.get(t, strings.Replace(base, "/p/", "/p/x", 1)+"ads/breaks/pre"); res.StatusCode != http.StatusForbidden {
		t.Errorf("a forged ticket: %d", res.StatusCode)
	}
	if _, err := edge.New(edge.Config{Store: s.shelf, Tickets: s.keys, Ads: edge.AdsConfig{Breaks: house}}); err == nil {
		t.Error("ads without a signer")
	}
}

func TestTracksThatPlayAsOneBreakAtSomeJoins(t *testing.T) { // AD-1, AD-2, AD-4
	t.Parallel()
	tracks := make([]packagertest.Track, 7)
	for i := range tracks {
		tracks[i].Samples = int64(5*44100 + 100*(i+1))
	}
	d := newDisc(t, tracks...)
	house := d.house()
	path, prefix := ticket.List(d.ids)
	for _, row := range []struct {
		ads   ticket.Ads
		every int
		gap   time.Duration
		want  string
	}{
		{ticket.HouseAds, 2, time.Second, "[pre join-2 join-4 join-6]"},
		{ticket.HouseAds, 3, time.Second, "[pre join-3 join-6]"},
		{ticket.BetweenAds, 2, 11 * time.Second, "[join-3 join-6]"},
		{ticket.HouseAds, 0, 0, "[pre]"}, // three tracks, but not ten minutes
		{ticket.NoAds, 1, time.Second, "[]"},
	} {
		d.withAds(t, edge.AdsConfig{Breaks: house, Every: row.every, Gap: row.gap})
		base := "/l/" + d.listener(t, prefix, ticket.Free, row.ads) + path
		for _, form := range []string{"plain", "exact"} {
			address := base + form + "/aac-96/index.m3u8"
			lists := listsOf(t, address, body(t, d.get(t, address)))
			got := []string{}
			for _, list := range lists {
				u, err := url.Parse(list)
				if err != nil {
					t.Fatal(err)
				}
				id := u.Query().Get("_HLS_interstitial_id")
				got = append(got, id)
				if found := d.assets(t, list); len(found.Assets) != 1 || !strings.HasPrefix(found.Assets[0].URI, "http://example.com/p/") {
					t.Errorf("%s: %+v", id, found)
				}
				var n int
				asked := house.asked[len(house.asked)-1]
				if _, err := fmt.Sscanf(id, "join-%d", &n); err == nil && (asked.Place != melodyud.BreakBetween || asked.Release != d.ids[n]) {
					t.Errorf("%s asks for %+v", id, asked)
				}
			}
			if fmt.Sprint(got) != row.want {
				t.Errorf("%+v, %s: %v", row, form, got)
			}
		}
	}
	d.withAds(t, edge.AdsConfig{Breaks: house, Every: 2, Gap: time.Second})
	base := "/l/" + d.listener(t, prefix, ticket.Free, ticket.HouseAds) + path
	text := string(body(t, d.get(t, base+"exact/aac-96/index.m3u8")))
	if !strings.Contains(text, `START-DATE="1970-01-01T00:00:10.007Z"`) || strings.Count(text, `X-SNAP="OUT,IN"`) != 3 {
		t.Error(text)
	}
}

func TestEncryptedPlaylistsHaveTheirBreaksToo(t *testing.T) { // AD-1, HLS-90
	t.Parallel()
	s := newStage(t)
	s.withAds(t, edge.AdsConfig{Breaks: s.house(), BaseURL: "https://edge.example.org/"})
	prefix := ticket.EncryptedPrefix(ticket.Stream{KeyID: "m2", Track: s.track, Release: s.release})
	address := "/p/" + s.listener(t, prefix, ticket.Free, ticket.HouseAds) + prefix + "aac-64/index.m3u8"
	lists := listsOf(t, address, body(t, s.get(t, address)))
	if len(lists) != 1 {
		t.Fatal(lists)
	}
	found := s.assets(t, lists[0])
	at, ok := strings.CutPrefix(found.Assets[0].URI, "https://edge.example.org")
	if !ok || s.get(t, at).StatusCode != http.StatusOK {
		t.Errorf("%+v", found)
	}
}

func BenchmarkAssetList(b *testing.B) { // AD-9
	s := newStage(b)
	s.withAds(b, edge.AdsConfig{Breaks: s.house()})
	prefix := ticket.ReleasePrefix(s.track, s.release)
	address := "/p/" + s.listener(b, prefix, ticket.Free, ticket.HouseAds) + prefix + "ads/breaks/pre"
	for b.Loop() {
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, address, nil))
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}
