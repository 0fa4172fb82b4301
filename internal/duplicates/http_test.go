package duplicates_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/api/apitest"
)

// Track implements the catalog: owners see their own, operators all.
func (f *fixture) Track(_ context.Context, who api.Principal, id melodyud.TrackID) (melodyud.Track, error) {
	t, ok := f.known[id]
	if !ok || t.Owner != who.User && !who.Has(api.RoleOps) {
		return melodyud.Track{}, melodyud.ErrNotFound
	}
	return t, nil
}

const (
	noraKey, emilKey, opsKey = "usr_01NORA:creator", "usr_01EMIL:creator", "usr_01OLGA:ops"
	listenerKey              = "usr_01NORA:listener"
)

func TestOwnersSeeTheirOwnTracksNamedAndOthersNot(t *testing.T) {
	t.Parallel()
	f, a := newFixture(t), song(900, 1)
	f.learn(0, nora, a)
	f.learn(1, nora, of(a.lists.Print[16:]))
	f.learn(2, emil, a)
	path := fmt.Sprintf("/v1/tracks/%s/duplicates", id(0))
	server := apitest.Serve(t, api.Config{Auth: apitest.Claims{}}, f)
	status, body := server.JSON(noraKey, "GET", path)
	list, _ := body["duplicates"].([]any)
	if status != http.StatusOK || len(list) != 2 {
		t.Fatalf("%d %v", status, body)
	}
	named := 0
	for _, d := range list {
		if track, ok := d.(map[string]any)["track"].(map[string]any); ok {
			named++
			if track["id"] != string(id(1)) || track["title"] != "Song B" || d.(map[string]any)["offset_seconds"] != 1.981 {
				t.Errorf("%v", d)
			}
		}
	}
	if named != 1 {
		t.Errorf("%d are named in %v", named, list)
	}
	if text := fmt.Sprint(body); strings.Contains(text, string(id(2))) || strings.Contains(text, string(emil)) {
		t.Errorf("somebody else's track is told: %s", text)
	}
	if _, body := server.JSON(opsKey, "GET", path); !strings.Contains(fmt.Sprint(body), string(id(2))) {
		t.Errorf("operators do not see all: %v", body)
	}
	for _, key := range []string{emilKey, listenerKey} {
		if status, _ := server.JSON(key, "GET", path); status != http.StatusNotFound && status != http.StatusForbidden {
			t.Errorf("%s: %d", key, status)
		}
	}
}

func TestPairsAreDismissedByWhoMayManageBoth(t *testing.T) {
	t.Parallel()
	f, a := newFixture(t), song(900, 1)
	f.learn(0, nora, a)
	f.learn(1, nora, a)
	f.learn(2, emil, a)
	server := apitest.Serve(t, api.Config{Auth: apitest.Claims{}}, f)
	own, foreign := fmt.Sprintf("/v1/tracks/%s/duplicates/%s", id(1), id(0)), fmt.Sprintf("/v1/tracks/%s/duplicates/%s", id(0), id(2))
	for _, c := range []struct {
		key, path string
		want      int
	}{
		{noraKey, foreign, http.StatusNotFound},
		{emilKey, own, http.StatusNotFound},
		{listenerKey, own, http.StatusForbidden},
		{noraKey, own, http.StatusNoContent},
		{noraKey, own, http.StatusNoContent},
		{opsKey, foreign, http.StatusNoContent},
		{opsKey, fmt.Sprintf("/v1/tracks/%s/duplicates/%s", id(0), id(0)), http.StatusNotFound},
	} {
		if got, body := server.JSON(c.key, "POST", c.path); got != c.want {
			t.Errorf("%s %s: %d %v, want %d", c.key, c.path, got, body, c.want)
		}
	}
	_, open := server.JSON(opsKey, "GET", "/v1/duplicates")
	_, dismissed := server.JSON(opsKey, "GET", "/v1/duplicates?state=dismissed")
	if n, m := len(open["pairs"].([]any)), len(dismissed["pairs"].([]any)); n != 1 || m != 2 {
		t.Errorf("%d open, %d dismissed", n, m)
	}
}

func TestOperatorsPageThroughAllPairs(t *testing.T) {
	t.Parallel()
	f, a := newFixture(t), song(900, 1)
	for n := range 5 {
		f.learn(n, nora, a)
	}
	server := apitest.Serve(t, api.Config{Auth: apitest.Claims{}}, f)
	if status, _ := server.JSON(noraKey, "GET", "/v1/duplicates"); status != http.StatusForbidden {
		t.Errorf("a creator: %d", status)
	}
	seen, cursor := map[string]bool{}, ""
	for range 10 {
		_, body := server.JSON(opsKey, "GET", "/v1/duplicates?limit=3&cursor="+cursor)
		for _, p := range body["pairs"].([]any) {
			seen[fmt.Sprint(p.(map[string]any)["first"], p.(map[string]any)["second"])] = true
		}
		next, more := body["next"].(string)
		if cursor = next; !more {
			break
		}
	}
	if len(seen) != 10 {
		t.Errorf("%d of 10 pairs", len(seen))
	}
}
