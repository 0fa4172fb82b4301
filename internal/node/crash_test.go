package node_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/node"
	"github.com/melodyud/melodyud/internal/realtest"
)

// faultPoints are the named places on a track's way, numbered as the crash
// points 1 to 21 of a whole upload.
var faultPoints = []string{
	"upload.created", "upload.chunk", "upload.synced", "upload.offset", "upload.last", "upload.part", "upload.compose",
	"track.received", "queue.rung", "task.taken", "render.validated", "render.decode", "render.features",
	"render.rendition", "store.segment", "store.media", "store.playlist", "publish.flip", "publish.flipped",
	"outbox.read", "outbox.sent",
}

// process is a real server process that can be killed.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  bytes.Buffer
	base string
}

// spawn starts a server process of its own; fault, if not empty, is its FAULT.
func spawn(t *testing.T, c node.Config, fault string) *process {
	t.Helper()
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(self(), "serve", string(raw))}
	p.cmd.Env = append(os.Environ(), "FAULT="+fault)
	p.cmd.Stderr = &p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = p.cmd.Wait()
		t.Fatalf("server did not start: %v\n%s", err, p.log.String())
	}
	p.base = strings.TrimSpace(line)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		if t.Failed() {
			t.Logf("log:\n%s", p.log.String())
		}
	})
	return p
}

// killed waits until the process is dead and says whether SIGKILL did it.
func (p *process) killed() bool {
	err := p.cmd.Wait()
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
}

// freeAddr returns an address that a restarted server can take again.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestAProcessKilledAtAnyPointLosesNothing(t *testing.T) { // faults.md section 4, A6
	if testing.Short() {
		t.Skip("kills 21 processes; left out by -short")
	}
	t.Parallel()
	file := song(t, 5, 5)
	for _, point := range faultPoints {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			surviveKill(t, point, file)
		})
	}
}

// surviveKill uploads a file to a server that dies at point and comes back.
func surviveKill(t *testing.T, point string, file []byte) {
	data := t.TempDir()
	c := node.Config{Data: data, Addr: freeAddr(t)}
	first := spawn(t, c, point+":kill:1")
	p := as(t, first.base, data)
	died := make(chan bool, 1)
	go func() {
		died <- first.killed()
		spawnAgain(t, c)
	}()
	id := p.upload("song.wav", file)
	track := p.await(id)
	if track.State != "published" {
		t.Fatalf("%+v", track)
	}
	if !<-died {
		t.Fatal("the process was not killed at this point")
	}
	p.hears(id)
	checkNothingHalf(t, p, data, id, file)
}

// spawnAgain is spawn from another goroutine than the test's.
func spawnAgain(t *testing.T, c node.Config) {
	raw, _ := json.Marshal(c)
	cmd := exec.Command(self(), "serve", string(raw))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Errorf("restart: %v", err)
		return
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// checkNothingHalf holds the store and the rows to the invariants: one track, one
// release, the master byte for byte, and nothing unfinished lying about.
func checkNothingHalf(t *testing.T, p *person, data, id string, file []byte) {
	t.Helper()
	var list struct{ Tracks []trackJSON }
	p.json("GET", "/v1/tracks", nil, &list)
	published := slices.DeleteFunc(list.Tracks, func(t trackJSON) bool { return t.State != "published" })
	if len(list.Tracks) != 1 || len(published) != 1 || published[0].ID != id || published[0].Release.Number != 1 {
		t.Errorf("tracks %+v", list.Tracks)
	}
	master, err := os.ReadFile(filepath.Join(data, "objects", "masters", digest(file)))
	if err != nil || !bytes.Equal(master, file) {
		t.Errorf("the master is not what was sent: %v", err)
	}
	for _, pattern := range []string{"masters/*", "media/*", "releases/*"} {
		if found, _ := filepath.Glob(filepath.Join(data, "objects", pattern)); len(found) != 1 {
			t.Errorf("%s: %d objects", pattern, len(found))
		}
	}
	p.eventually("scratch and upload parts to go", func() bool {
		return len(files(t, filepath.Join(data, "scratch"))) == 0 &&
			len(files(t, filepath.Join(data, "objects", "uploads"))) == 0
	})
}

func TestAnotherWorkerFinishesTheSameBytesWhenOneIsKilled(t *testing.T) { // faults B1
	if testing.Short() {
		t.Skip("left out with -short: it mostly waits")
	}
	t.Parallel()
	shared := t.TempDir()
	c := node.Config{
		DB: "sqlite:" + filepath.Join(shared, "rows.db"), Objects: "dir:" + filepath.Join(shared, "objects"),
		Queue: realtest.Redis(t), Addr: "127.0.0.1:0", // and the lease as it comes: 45 s
	}
	with := func(roles ...node.Role) node.Config {
		c := c
		c.Roles, c.Data = roles, t.TempDir()
		return c
	}
	front := with(node.RoleAPI, node.RoleEdge)
	p := as(t, spawn(t, front, "").base, front.Data)
	victim := spawn(t, with(node.RoleWork), "render.decode:kill:3")
	file := song(t, 10, 6)
	id := p.upload("song.wav", file)
	if !victim.killed() {
		t.Fatal("the worker was not killed in mid-render")
	}
	died := time.Now()
	spawn(t, with(node.RoleWork), "")
	if track := p.await(id); track.State != "published" {
		t.Fatalf("%+v", track)
	}
	t.Logf("published %.0f s after the kill", time.Since(died).Seconds())
	p.hears(id)
	sameAsUndisturbed(t, filepath.Join(shared, "objects"), file)
}

// sameAsUndisturbed compares the one render in a store with a render made without
// any disturbance.
func sameAsUndisturbed(t *testing.T, objects string, file []byte) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "song.wav")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	quiet, err := node.Render(t.Context(), f, node.RenderConfig{
		Out: filepath.Join(dir, "out"), Child: child(),
	})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(objects, "media", quiet.Manifest.RenderHash, "manifest.json"))
	if err != nil {
		t.Fatalf("the render is called otherwise: %v", err)
	}
	var stored melodyud.Manifest
	if err := json.Unmarshal(raw, &stored); err != nil {
		t.Fatal(err)
	}
	for _, r := range quiet.Manifest.Renditions {
		got, ok := stored.Rendition(r.Name)
		if !ok || got.SHA256 != r.SHA256 {
			t.Errorf("%s differs from an undisturbed render", r.Name)
		}
	}
}
