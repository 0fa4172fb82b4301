package ingest_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/melodyud/melodyud/ingest"
)

// outcome is what testdata/outside/client.mjs says of one way to upload.
type outcome struct {
	Name   string
	Track  string
	SHA256 string
	Title  string
	Status int
	Error  string
}

func TestTusJSClientAgrees(t *testing.T) { // standards.md 7.2
	t.Parallel()
	if os.Getenv("MELODYUD_OUTSIDE") != "1" {
		t.Skip("set MELODYUD_OUTSIDE=1 to judge the server by tus-js-client; needs node and npm packages")
	}
	f := newFixture(t, func(c *ingest.Config) { c.PartSize = 0 })
	got := f.outside(installOutside(t))
	if len(got) != 20 {
		t.Fatalf("%d outcomes: %+v", len(got), got)
	}
	for _, o := range got {
		f.judge(o)
	}
}

// installOutside installs the pinned client outside the source tree.
func installOutside(t *testing.T) string {
	t.Helper()
	work := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "client.mjs", "server.mjs"} {
		data, err := os.ReadFile(filepath.Join("testdata", "outside", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(work, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	npm := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = work
	if out, err := npm.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	return work
}

func (f *fixture) outside(work string) []outcome {
	f.t.Helper()
	cmd := exec.CommandContext(f.t.Context(), "node", "client.mjs")
	cmd.Dir = work
	cmd.Env = append(os.Environ(), "ENDPOINT="+f.url+"/v1/uploads", "DRAFT_ENDPOINT="+f.url+"/v1/resumable", "KEY=ada")
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		f.t.Fatalf("node: %v\n%s%s", err, out.String(), problems.String())
	}
	var all []outcome
	for lines := bufio.NewScanner(&out); lines.Scan(); {
		var o outcome
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			f.t.Fatalf("%q: %v", lines.Text(), err)
		}
		all = append(all, o)
	}
	return all
}

func (f *fixture) judge(o outcome) {
	f.t.Helper()
	switch o.Name {
	case "empty file":
		if !strings.Contains(o.Error, "This file is empty. Choose a file with music in it.") {
			f.t.Errorf("%s: the client shows %q", o.Name, o.Error)
		}
		return
	case "terminate":
		if o.Status != 410 || o.Error != "" {
			f.t.Errorf("%s: %+v", o.Name, o)
		}
		return
	}
	for _, r := range f.catalog.receipts() {
		if string(r.Track) == o.Track {
			if r.Master.SHA256 != o.SHA256 || o.SHA256 == "" || r.Tags.Title != o.Title {
				f.t.Errorf("%s: %+v became %+v", o.Name, o, r)
			}
			return
		}
	}
	f.t.Errorf("%s: no track: %+v", o.Name, o)
}
