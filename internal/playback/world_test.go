package playback_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/api/apitest"
	"github.com/melodyud/melodyud/internal/catalog/catalogtest"
	"github.com/melodyud/melodyud/internal/database/databasetest"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/playback"
	"github.com/melodyud/melodyud/internal/ticket"
)

var nora, lisa, paul = apitest.Nora, apitest.Lisa, apitest.Paul

// world is a playback service over a catalog.
type world struct {
	*catalogtest.World
	plays *playback.Service
	t     *testing.T
	keys  *ticket.Keyring
	names *ticket.Listeners
	ads   policy
}

func newWorld(t *testing.T, change ...func(*playback.Config)) *world {
	t.Helper()
	w := &world{t: t, World: catalogtest.New(t, databasetest.Open(t))}
	var err error
	w.keys, err = ticket.NewKeyring(ticket.Key{ID: "k1", Secret: []byte(strings.Repeat("k", 32))})
	w.Must(err)
	w.names, err = ticket.NewListeners(ticket.Key{ID: "l1", Secret: []byte(strings.Repeat("l", 32))})
	w.Must(err)
	c := playback.Config{Database: w.DB, Library: w.Service, Store: w.Store, Tickets: w.keys, Names: w.names, Ads: &w.ads, Now: w.Clock.Now}
	for _, f := range change {
		f(&c)
	}
	w.plays, err = playback.New(c)
	w.Must(err)
	return w
}

// serve starts the API over the catalog and its playback.
func (w *world) serve(who ...api.Principal) *apitest.Server {
	w.t.Helper()
	return apitest.Serve(w.t, api.Config{Auth: append(apitest.Everybody(), who...), Now: w.Clock.Now}, w, w.plays)
}

// segment is what 48 kHz tracks are cut into.
const segment = 192512.0 / 48000

// putRelease stores what previews and offline files are made from: a track of 200 s
// in segments of about 4 s, whose preview had best begin at highlight.
func (w *world) putRelease(highlight float64) {
	w.t.Helper()
	m := melodyud.Manifest{Version: melodyud.ManifestVersion, SampleRate: 48000, Samples: 200 * 48000, TargetDuration: 4}
	for rest := m.Samples; rest > 0; rest -= 192512 {
		m.Segments = append(m.Segments, min(rest, 192512))
	}
	for _, name := range []string{"aac-64", "aac-256", "flac"} {
		r := melodyud.Rendition{Name: name, Codec: melodyud.CodecAAC, Size: 1000, SHA256: strings.Repeat("5", 64)}
		if name == "flac" {
			r.Codec = melodyud.CodecFLAC
		}
		m.Renditions = append(m.Renditions, r)
	}
	f := melodyud.Features{Version: "1", Duration: 200}
	if highlight >= 0 {
		f.PreviewStart = &highlight
	}
	for name, v := range map[string]any{"manifest.json": m, "features.json": f} {
		raw, err := json.Marshal(v)
		w.Must(err)
		_, err = w.Store.Put(w.t.Context(), "media/"+catalogtest.RenderHash+"/"+name, strings.NewReader(string(raw)), int64(len(raw)), objectstore.PutOptions{})
		w.Must(err)
	}
}

// protected is a world with media keys of one secret.
func protected(t *testing.T, change ...func(*playback.Config)) (*world, *ticket.MediaKeys) {
	t.Helper()
	keys, err := ticket.NewMediaKeys(ticket.Key{ID: "m1", Secret: []byte(strings.Repeat("m", 32))})
	if err != nil {
		t.Fatal(err)
	}
	return newWorld(t, append(change, func(c *playback.Config) { c.MediaKeys = keys })...), keys
}

// ask posts to one of a track's addresses and reads the answer into out.
func (w *world) ask(server *apitest.Server, who, path, body string, out any) http.Header {
	w.t.Helper()
	status, answer, header := server.Do(who, "POST", path, body)
	if status != 200 {
		w.t.Fatalf("%s as %s: %d %s", path, who, status, answer)
	}
	if cc := header.Get("Cache-Control"); !strings.Contains(cc, "no-store") {
		w.t.Errorf("%s: Cache-Control %q", path, cc)
	}
	w.Must(json.Unmarshal([]byte(answer), out))
	return header
}

// prefix returns what the ticket in a playback address opens.
func (w *world) claims(address string) ticket.Claims {
	w.t.Helper()
	_, rest, _ := strings.Cut(address, "/p/")
	signed, path, _ := strings.Cut(rest, "/")
	claims, err := w.keys.Verify(signed, "/"+path, w.Clock.Now())
	w.Must(err)
	return claims
}
