package node_test

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/melodyud/melodyud/internal/node"
	"github.com/melodyud/melodyud/internal/realtest"
)

// atlas is a database that says that this machine is in Germany.
func atlas(t *testing.T) string {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "Test-Country", IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	_, here, err := net.ParseCIDR("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.Insert(here, mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String("DE")}}); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := tree.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "countries.mmdb")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// fleet is a server and edges in processes of their own, as far as they can tell.
type fleet struct {
	t     *testing.T
	c     node.Config
	api   *person
	edges []string
}

func newFleet(t *testing.T, c node.Config) *fleet {
	t.Helper()
	c.Ladder, c.GeoDB = oneQuality(), atlas(t)
	main := c
	main.Roles, main.Data = []node.Role{node.RoleAPI, node.RoleWork, node.RoleFold}, t.TempDir()
	f := &fleet{t: t, c: c}
	f.api = as(t, start(t, main), main.Data)
	f.edge()
	f.edge()
	return f
}

func (f *fleet) edge() {
	f.t.Helper()
	c := f.c
	c.Roles = []node.Role{node.RoleEdge}
	f.edges = append(f.edges, start(f.t, c))
}

// answer is what an edge says to a player: its status, and the code of a refusal.
func (f *fleet) answer(edge, path string) (int, string) {
	f.t.Helper()
	res, err := http.Get(edge + path)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	var p struct{ Code string }
	if res.StatusCode != http.StatusOK {
		_ = json.NewDecoder(res.Body).Decode(&p) // or it has no code
	}
	return res.StatusCode, p.Code
}

// all waits until every edge gives the same answer, and tells how long it took.
func (f *fleet) all(what, path string, status int, code string) {
	f.t.Helper()
	began := time.Now()
	for _, e := range f.edges {
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			gotStatus, gotCode := f.answer(e, path)
			if gotStatus == status && gotCode == code {
				break
			}
			if time.Now().After(deadline) {
				f.t.Fatalf("%s: %d %s at %s", what, gotStatus, gotCode, e)
			}
		}
	}
	f.t.Logf("%s: at all edges after %v", what, time.Since(began).Round(time.Millisecond))
}

func (p *person) plays(id string) (segment, session string) {
	p.t.Helper()
	var playback struct{ URL, Session string }
	p.json("POST", "/v1/tracks/"+id+"/playback", nil, &playback)
	return strings.Replace(playback.URL, "index.m3u8", "aac-64/s/0.m4s", 1), playback.Session
}

func (p *person) wants(status int, method, path, body string) {
	p.t.Helper()
	if a := p.ask(method, path, []byte(body), "Content-Type", "application/json"); a.status != status {
		p.t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
	}
}

func TestRightsTakenBackStopEveryEdge(t *testing.T) { // TOK-5
	t.Parallel()
	shared := t.TempDir()
	takeBack(t, newFleet(t, node.Config{DB: "sqlite:" + filepath.Join(shared, "rows.db"), Objects: "dir:" + filepath.Join(shared, "objects")}))
}

func TestRightsTakenBackStopEveryEdgeOfRealBackends(t *testing.T) { // TOK-5
	t.Parallel()
	takeBack(t, newFleet(t, node.Config{DB: realtest.Postgres(t), Objects: realtest.MinIO(t), Queue: realtest.Redis(t)}))
}

func takeBack(t *testing.T, f *fleet) {
	t.Helper()
	id := f.api.upload("song.wav", song(t, 5, 7))
	f.api.await(id)
	lisa := f.api.another("premium")
	first, session := lisa.plays(id)
	f.all("a fresh ticket", first, 200, "")

	f.api.wants(202, "POST", "/v1/revocations", `{"session":"`+session+`"}`)
	f.all("a revoked session", first, 403, "playback.revoked")
	f.edge()
	if status, code := f.answer(f.edges[2], first); status != 403 || code != "playback.revoked" {
		t.Errorf("an edge that started later: %d %s", status, code)
	}

	second, _ := lisa.plays(id)
	f.all("the next session", second, 200, "")
	const path = "/territories"
	f.api.wants(200, "PUT", "/v1/tracks/"+id+path, `{"only":["FR"]}`)
	f.all("a track for another country", second, 451, "playback.territory")
	lisa.wants(451, "POST", "/v1/tracks/"+id+"/playback", "")
	f.api.wants(200, "PUT", "/v1/tracks/"+id+path, `{"only":["DE"]}`)
	f.all("a track for this country", second, 200, "")

	var renewed struct{ URL, Session string }
	lisa.json("POST", "/v1/playback/renew", map[string]string{"url": second}, &renewed)
	f.all("a renewed ticket", renewed.URL, 200, "")

	var keys struct {
		Keys []struct{ ID, Name string }
	}
	f.api.json("GET", "/v1/ops/keys", nil, &keys)
	for _, k := range keys.Keys {
		if k.Name == "premium" {
			f.api.wants(204, "DELETE", "/v1/ops/keys/"+k.ID, "")
		}
	}
	f.all("a revoked key", renewed.URL, 403, "playback.revoked")

	own, _ := f.api.plays(id)
	f.all("the owner", own, 200, "")
	f.api.wants(204, "DELETE", "/v1/tracks/"+id, "")
	f.all("a withdrawn track", own, 403, "playback.withdrawn")
}
