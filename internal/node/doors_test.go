package node_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/node"
	"github.com/melodyud/melodyud/internal/realtest"
)

// oneQuality is enough where the way in is what matters.
func oneQuality() melodyud.Ladder { return melodyud.DefaultLadder()[:1] }

func (p *person) me() (user string) {
	p.t.Helper()
	var me struct{ User string }
	p.json("GET", "/v1/me", nil, &me)
	return me.User
}

func TestDroppedFilesTellTheStory(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	base := start(t, node.Config{Data: data, Ladder: oneQuality(), Doors: node.Doors{InboxSettle: time.Millisecond}})
	p := as(t, base, data)
	folder := filepath.Join(data, "objects", "inbox", p.me())
	if err := os.MkdirAll(folder, 0o750); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"list.csv": []byte("file,title,album,number\nmorning light.wav,Morning Light,Harbour,3\n"), "noise.wav": []byte("no sound at all"),
		"morning light.wav": song(t, 3, 77),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	type entry struct{ File, State, Track, Code, Text string }
	said := map[string]entry{}
	p.eventually("the report of both files", func() bool {
		raw, err := os.ReadFile(filepath.Join(folder, "report.json"))
		var report struct{ Files []entry }
		if err != nil || json.Unmarshal(raw, &report) != nil {
			return false
		}
		for _, e := range report.Files {
			said[e.File] = e
		}
		return said["morning light.wav"].State == "published" && said["noise.wav"].State == "refused"
	})
	if e := said["noise.wav"]; !strings.HasPrefix(e.Code, "audio.") || e.Text == "" {
		t.Errorf("%+v", e)
	}
	p.hears(said["morning light.wav"].Track)
	var track struct{ Title, Album string }
	p.json("GET", "/v1/tracks/"+said["morning light.wav"].Track, nil, &track)
	if track.Title != "Morning Light" || track.Album != "Harbour" {
		t.Errorf("%+v", track)
	}
	p.eventually("the inbox to be empty but for the report", func() bool {
		left, err := os.ReadDir(folder)
		return err == nil && len(left) == 1
	})
}

// direct uploads a file in parts, as a client of the API does.
func (p *person) direct(name string, file []byte) (track string) {
	p.t.Helper()
	var u struct {
		ID, Track string
		PartSize  int `json:"part_size"`
		PartCount int `json:"part_count"`
	}
	p.json("POST", "/v1/direct", map[string]any{"file_name": name, "size": len(file), "sha256": digest(file)}, &u)
	var etags []map[string]any
	for n := 1; n <= u.PartCount; n++ {
		var signed struct {
			Parts []struct{ URL string }
		}
		p.json("POST", "/v1/direct/"+u.ID+"/parts", map[string]any{"numbers": []int{n}}, &signed)
		at, err := url.Parse(p.base)
		if err == nil {
			at, err = at.Parse(signed.Parts[0].URL)
		}
		if err != nil {
			p.t.Fatal(err)
		}
		res := p.put(at.String(), file[(n-1)*u.PartSize:min(n*u.PartSize, len(file))])
		etags = append(etags, map[string]any{"number": n, "etag": res.Get("ETag")})
	}
	p.json("POST", "/v1/direct/"+u.ID+"/complete", map[string]any{"parts": etags}, nil)
	return u.Track
}

// put sends a body without our key: the address is all it takes.
func (p *person) put(address string, body []byte) http.Header {
	p.t.Helper()
	key := p.key
	p.key = ""
	defer func() { p.key = key }()
	a, err := p.once("PUT", address, body, "Authorization", "")
	if err != nil || a.status != http.StatusOK {
		p.t.Fatalf("PUT %s: %d %s %v", address, a.status, a.body, err)
	}
	return a.header
}

func TestAFileInPartsTellsTheStory(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	base := start(t, node.Config{Data: data, Ladder: oneQuality(), Quotas: node.Quotas{QuotaBytes: 9_000_000}})
	p := as(t, base, data)
	file := song(t, 50, 78) // more than one part
	id := p.direct("long.wav", file)
	if got := p.await(id); got.State != "published" {
		t.Fatalf("%+v", got)
	}
	var quota struct {
		Bytes struct{ Used, Reserved, Limit int64 }
		Hours struct{ Used float64 }
	}
	p.json("GET", "/v1/quota", nil, &quota)
	if quota.Bytes.Used != int64(len(file)) || quota.Bytes.Reserved != 0 || quota.Hours.Used*3600 < 49.9 || quota.Hours.Used*3600 > 50.1 {
		t.Errorf("%+v", quota)
	}
	if a := p.ask("POST", "/v1/uploads", nil, "Tus-Resumable", "1.0.0", "Upload-Length", "1000000"); a.status != http.StatusForbidden {
		t.Errorf("beyond the quota: %d %s", a.status, a.body)
	}
	if a := p.ask("DELETE", "/v1/tracks/"+id, nil); a.status != http.StatusNoContent {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := p.ask("POST", "/v1/uploads", nil, "Tus-Resumable", "1.0.0", "Upload-Length", "1000000"); a.status != http.StatusCreated {
		t.Errorf("after withdrawal: %d %s", a.status, a.body)
	}
}

func TestABucketForDirectUploadsNeedsAKeyOfItsOwn(t *testing.T) { // faults.md A12
	t.Parallel()
	main, other := realtest.MinIO(t), realtest.MinIO(t)
	_, err := node.Open(t.Context(), node.Config{Data: t.TempDir(), Objects: main, Doors: node.Doors{Direct: other}, Addr: "127.0.0.1:0", Child: child(), LogOutput: t.Output()})
	if err == nil || !strings.Contains(err.Error(), "--direct: its key can read the bucket of --objects") {
		t.Fatalf("a key that reads masters is taken: %v", err)
	}
	data := t.TempDir()
	base := start(t, node.Config{Data: data, Objects: main, Ladder: oneQuality(), Doors: node.Doors{Direct: realtest.MinIOAlone(t, other)}})
	p := as(t, base, data)
	if got := p.await(p.direct("song.wav", song(t, 2, 79))); got.State != "published" {
		t.Errorf("%+v", got)
	}
}

func TestWhatCameByAnotherDoorSurvivesAKill(t *testing.T) { // faults.md section 4
	if testing.Short() {
		t.Skip("kills 4 processes; left out by -short")
	}
	t.Parallel()
	file := song(t, 1.5, 80)
	for point, send := range map[string]func(p *person, data string){
		"inbox.expected": func(p *person, data string) { p.dropInto(data, file) },
		"inbox.received": func(p *person, data string) { p.dropInto(data, file) },
		"direct.joined":  func(p *person, _ string) { p.direct("song.wav", file) },
		"direct.fetched": func(p *person, _ string) { p.direct("song.wav", file) },
	} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			c := node.Config{Data: data, Addr: freeAddr(t), Ladder: oneQuality(), Doors: node.Doors{InboxSettle: time.Millisecond}}
			first := spawn(t, c, point+":kill:1")
			p := as(t, first.base, data)
			send(p, data)
			if !first.killed() {
				t.Fatalf("nobody passed %s", point)
			}
			spawnAgain(t, c)
			var list struct{ Tracks []trackJSON }
			p.eventually("the track", func() bool {
				a, err := p.once("GET", "/v1/tracks", nil)
				return err == nil && json.Unmarshal(a.body, &list) == nil && len(list.Tracks) > 0 && list.Tracks[0].State == "published"
			})
			p.eventually("the way in to be empty", func() bool {
				left, err := filepath.Glob(filepath.Join(data, "objects", "inbox", "*", "*.wav"))
				parts, failed := filepath.Glob(filepath.Join(data, "direct", "[dp]*", "*", "*"))
				return err == nil && failed == nil && len(left)+len(parts) == 0
			})
			p.json("GET", "/v1/tracks", nil, &list)
			if len(list.Tracks) != 1 {
				t.Errorf("one file became %d tracks", len(list.Tracks))
			}
		})
	}
}

// dropInto puts a song into the inbox of a server on a directory, as a file manager
// does: whole.
func (p *person) dropInto(data string, file []byte) {
	p.t.Helper()
	folder := filepath.Join(data, "objects", "inbox", p.me())
	err := os.MkdirAll(folder, 0o750)
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "song.wav.part"), file, 0o600)
	}
	if err == nil {
		err = os.Rename(filepath.Join(folder, "song.wav.part"), filepath.Join(folder, "song.wav"))
	}
	if err != nil {
		p.t.Fatal(err)
	}
}
