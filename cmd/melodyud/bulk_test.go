package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/melodyud/melodyud/fixtures"
)

// album makes a folder with music in it, some of it in a folder below, and things
// that are none.
func album(t *testing.T, songs int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "album")
	for i := range songs {
		name := filepath.Join(dir, fmt.Sprintf("%02d song.wav", i))
		if i%2 == 1 {
			name = filepath.Join(dir, "more", fmt.Sprintf("%02d song.wav", i))
		}
		write(t, name, loudWAV(i))
	}
	write(t, filepath.Join(dir, "cover.txt"), []byte("no music"))
	write(t, filepath.Join(dir, ".hidden.wav"), loudWAV(99))
	return dir
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// loudWAV is two seconds of sound that no other number gives.
func loudWAV(n int) []byte {
	var out bytes.Buffer
	err := fixtures.WAV(&out, fixtures.Spec{Rate: 44100, Channels: 1, Samples: 2 * 44100, Wave: fixtures.Sine(200+10*float64(n), 0.5)})
	if err != nil {
		panic(err)
	}
	return out.Bytes()
}

func TestAFolderIsUploadedOnceAndPassedOverAfterThat(t *testing.T) {
	t.Parallel()
	p := serving(t)
	dir := album(t, 5)
	write(t, filepath.Join(dir, "notes.wav"), bytes.Repeat([]byte("no music "), 100))
	state := filepath.Join(t.TempDir(), "state.jsonl")
	first := p.run("upload", "-r", dir, "--state", state, "--json", "--wait")
	if first.code != exitRefused || !strings.Contains(first.err, "5 uploaded, 0 there already, 1 refused, 0 failed.") ||
		!strings.Contains(first.err, "1 other files are no music") || !strings.Contains(first.err, "notes.wav") {
		t.Fatalf("exit %d\n%s%s", first.code, first.out, first.err)
	}
	states := map[string]int{}
	for _, line := range strings.Split(strings.TrimSpace(first.out), "\n") {
		var one uploaded
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		states[one.State]++
	}
	if states["published"] != 5 || states["refused"] != 1 {
		t.Errorf("states %v", states)
	}
	if err := os.Remove(filepath.Join(dir, "notes.wav")); err != nil {
		t.Fatal(err)
	}
	again := p.run("upload", "-r", dir, "--state", state)
	if again.code != 0 || !strings.Contains(again.err, "0 uploaded, 5 there already, 0 refused, 0 failed.") {
		t.Errorf("exit %d\n%s", again.code, again.err)
	}
	other := p.run("upload", "-r", dir, "--state", filepath.Join(t.TempDir(), "lost.jsonl"))
	if other.code != 0 || !strings.Contains(other.err, "0 uploaded, 5 there already, 0 refused, 0 failed.") {
		t.Errorf("without the state file: exit %d\n%s", other.code, other.err)
	}
	if n := strings.Count(p.must("tracks", "--state", "published"), "trk_"); n != 5 {
		t.Errorf("%d tracks", n)
	}
}

func TestABulkUploadThatIsKilledGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	p := serving(t)
	dir := album(t, 12)
	state := filepath.Join(t.TempDir(), "state.jsonl")
	for kills := range 3 {
		cmd := p.command("upload", "-r", dir, "--state", state, "--parallel", "2")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(30 * time.Second)
		for arrived(state) < 2*(kills+1) && time.Now().Before(deadline) {
			time.Sleep(5 * time.Millisecond)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
	}
	last := p.run("upload", "-r", dir, "--state", state, "--wait")
	if last.code != 0 || !strings.Contains(last.err, "0 refused, 0 failed.") || strings.Contains(last.err, "12 uploaded") {
		t.Errorf("exit %d\n%s", last.code, last.err)
	}
	deadline := time.Now().Add(time.Minute)
	for strings.Count(p.must("tracks", "--state", "published"), "trk_") < 12 && time.Now().Before(deadline) {
		time.Sleep(100 * time.Millisecond)
	}
	if all := p.must("tracks"); strings.Count(all, "trk_") != 12 {
		t.Errorf("tracks\n%s", all)
	}
}

// arrived counts the files that the state file says are on the server.
func arrived(state string) int {
	data, err := os.ReadFile(state)
	if err != nil {
		return 0
	}
	return bytes.Count(data, []byte(`"state":"received"`))
}

func TestAFolderNeedsToBeAskedFor(t *testing.T) {
	t.Parallel()
	p := &program{t: t, data: t.TempDir(), url: "http://127.0.0.1:1"}
	write(t, filepath.Join(p.data, "local.key"), []byte("key"))
	r := p.run("upload", t.TempDir())
	if r.code != exitFailed || !strings.Contains(r.err, "add -r") {
		t.Errorf("exit %d %s", r.code, r.err)
	}
}

func TestTheAudioOfATrackIsReplacedFromTheCommandLine(t *testing.T) {
	t.Parallel()
	p := serving(t)
	dir := album(t, 3)
	id, _, _ := strings.Cut(p.must("upload", "--wait", filepath.Join(dir, "00 song.wav")), " ")
	p.must("upload", "--replaces", id, filepath.Join(dir, "more", "01 song.wav"))
	deadline := time.Now().Add(time.Minute)
	releases := ""
	for strings.Count(releases, "rel_") < 2 && time.Now().Before(deadline) {
		time.Sleep(100 * time.Millisecond)
		releases = p.must("releases", id)
	}
	lines := strings.Split(strings.TrimSpace(releases), "\n")
	if len(lines) != 3 || !strings.Contains(lines[1], "01 song.wav") || !strings.Contains(lines[1], "heard now") {
		t.Fatalf("releases\n%s", releases)
	}
	p.must("restore", id, strings.Fields(lines[2])[1])
	if now := p.must("releases", id); !strings.Contains(strings.Split(now, "\n")[2], "heard now") {
		t.Errorf("after restoring\n%s", now)
	}
	p.must("upload", "-r", "--state", filepath.Join(t.TempDir(), "state.jsonl"), "--replaces", id, filepath.Join(dir, "02 song.wav"))
	if all := p.must("tracks"); strings.Count(all, "trk_") != 1 {
		t.Errorf("with -r it was no replacement\n%s", all)
	}
}
