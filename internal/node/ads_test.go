package node_test

import (
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/melodyud/melodyud/internal/node"
)

// another is a listener with a key of their own.
func (p *person) another(tier string) *person {
	p.t.Helper()
	var key struct{ Secret string }
	p.json("POST", "/v1/ops/keys", map[string]any{"name": tier, "roles": []string{"listener"}, "tier": tier}, &key)
	return &person{t: p.t, base: p.base, key: key.Secret, patience: p.patience}
}

type spotJSON struct {
	URI      string  `json:"URI"`
	Duration float64 `json:"DURATION"`
	Ad       string  `json:"X-AD"`
}

// spots plays a track as far as its breaks, and returns what is heard in them.
func (p *person) spots(track string) (heard []spotJSON) {
	p.t.Helper()
	main := p.resolve(p.base+"/", p.press(track))
	media := p.resolve(main, uris(p.fetch(main))[0])
	_, after, ok := strings.Cut(string(p.fetch(media)), `X-ASSET-LIST="`)
	if !ok {
		return nil
	}
	list, _, _ := strings.Cut(after, `"`)
	var assets struct {
		Assets []spotJSON `json:"ASSETS"`
	}
	if err := json.Unmarshal(p.fetch(p.resolve(media, list)), &assets); err != nil {
		p.t.Fatal(err)
	}
	return assets.Assets
}

func TestHouseAdsTellTheStory(t *testing.T) { // AD-1, AD-8, AD-11, AD-12, AD-23
	if testing.Short() {
		t.Skip("left out with -short: it mostly waits")
	}
	t.Parallel()
	data := t.TempDir()
	base := start(t, node.Config{Data: data, Ladder: oneQuality()})
	p := as(t, base, data)
	music, spot := p.upload("music.wav", song(t, 3, 5)), p.upload("spot.wav", song(t, 8, 6))
	for _, id := range []string{music, spot} {
		if got := p.await(id); got.State != "published" {
			t.Fatalf("%+v", got)
		}
	}
	lisa, paul := p.another("free"), p.another("premium")
	if heard := lisa.spots(music); heard != nil {
		t.Fatalf("without any ad: %+v", heard)
	}
	p.json("POST", "/v1/ads", map[string]any{"track": spot, "advertiser": "Vale Guitars"}, nil)
	var all struct {
		Ads []struct {
			Status   string
			Loudness float64 `json:"loudness_lufs"`
			Gain     float64 `json:"gain_db"`
		}
	}
	p.eventually("the ad to be ready", func() bool {
		p.json("GET", "/v1/ads", nil, &all)
		return len(all.Ads) == 1 && all.Ads[0].Status == "ready"
	})
	if ad := all.Ads[0]; math.Abs(ad.Loudness+14) > 1 || ad.Gain == 0 {
		t.Errorf("%+v", ad)
	}
	var heard []spotJSON
	p.eventually("the edge to hear of it", func() bool {
		heard = lisa.spots(music)
		return len(heard) == 1
	})
	if heard[0].Ad != spot || heard[0].Duration != 8 || paul.spots(music) != nil || p.spots(music) != nil {
		t.Errorf("lisa hears %+v, paul %+v, the creator %+v", heard, paul.spots(music), p.spots(music))
	}
	var list struct{ Tracks []trackJSON }
	lisa.json("GET", "/v1/catalog", nil, &list)
	if len(list.Tracks) != 1 || list.Tracks[0].ID != music {
		t.Errorf("listeners see %+v", list.Tracks)
	}
	if a := lisa.ask("POST", "/v1/tracks/"+spot+"/playback", nil); a.status != http.StatusNotFound {
		t.Errorf("the ad by itself: %d", a.status)
	}
	if again := lisa.spots(music); len(again) != 1 {
		t.Error("a break that nobody heard is not owed any more")
	}
	media := lisa.resolve(heard[0].URI, uris(lisa.fetch(heard[0].URI))[0])
	for _, segment := range uris(lisa.fetch(media)) { // as a player that tells nothing
		lisa.fetch(lisa.resolve(media, segment))
	}
	p.eventually("the break to be over", func() bool { return lisa.spots(music) == nil })
	p.json("POST", "/v1/ads", map[string]any{"track": spot, "active": false}, nil)
	eva := p.another("free")
	p.eventually("the pause of the ad", func() bool { return eva.spots(music) == nil })
}
