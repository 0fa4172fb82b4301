package ingest_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/ingest"
	"github.com/melodyud/melodyud/internal/clocktest"
	"github.com/melodyud/melodyud/internal/database/sqlite"
)

const (
	serveDir   = "INGEST_SERVE_DIR"
	serveAddr  = "INGEST_SERVE_ADDR"
	serveStore = "INGEST_SERVE_STORE"
)

// soak reports whether the long counts are wanted.
func soak() bool { return os.Getenv("MELODYUD_SOAK") == "1" }

func TestNoAcknowledgedByteIsLostHoweverOftenItIsKilled(t *testing.T) { // faults.md A6; issue: 200 files, 50 kills
	if testing.Short() {
		t.Skip("kills processes; left out by -short")
	}
	t.Parallel()
	files, kills := 12, 5
	if soak() {
		files, kills = 200, 50
	}
	for name := range stores {
		if name != "growing object" && !soak() {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &mortal{t: t, dir: t.TempDir(), addr: freeAddr(t), store: name, rand: rand.New(rand.NewPCG(uint64(files), 4))}
			s.surviveKills(album(files, 1<<20, 1), kills)
		})
	}
}

// mortal is a server in a process of its own.
type mortal struct {
	t                testing.TB
	dir, addr, store string
	rand             *rand.Rand
	killed           int
}

// live starts the server and returns what kills it.
func (s *mortal) live() (kill func()) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), os.Args[0], "-test.run=^TestServeUntilKilled$", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), serveDir+"="+s.dir, serveAddr+"="+s.addr, serveStore+"="+s.store)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if lines.Text() == "serving" {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			}
		}
		fmt.Fprintln(&said, lines.Text())
	}
	s.t.Fatalf("the server did not start: %v\n%s", cmd.Wait(), said.String())
	return nil
}

// surviveKills uploads all files while the server is killed at random moments, and
// at least kills times.
func (s *mortal) surviveKills(files [][]byte, kills int) {
	var done atomic.Int32
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		s.uploadAll(files, &done)
	}()
	for over := false; !over || s.killed < kills; s.killed++ {
		kill := s.live()
		select {
		case <-time.After(s.life(kills)):
		case <-finished:
			over = true
		}
		kill()
		if s.t.Failed() {
			break
		}
	}
	defer s.live()()
	<-finished
	s.t.Logf("%d files, %d kills", done.Load(), s.killed)
	f := &fixture{t: s.t, store: dirStore(s.t, s.dir)}
	f.wantMasters(files)
	if tracks, err := filepath.Glob(filepath.Join(s.dir, "track-*")); err != nil || len(tracks) != len(files) {
		s.t.Errorf("%d tracks of %d files, %v", len(tracks), len(files), err)
	}
}

// life is how long the server may live: a moment, and longer and longer once it has
// been killed often enough, so that a slow machine comes to an end too.
func (s *mortal) life(kills int) time.Duration {
	return time.Duration(20+s.rand.IntN(300)) * time.Millisecond * time.Duration(max(1, s.killed-kills))
}

func (s *mortal) uploadAll(files [][]byte, done *atomic.Int32) {
	var group sync.WaitGroup
	for w := range 4 {
		group.Go(func() {
			for i := w; i < len(files); i += 4 {
				p := newPatient(s.t, "http://"+s.addr, uint64(i))
				p.received(p.upload(files[i], i), files[i])
				done.Add(1)
			}
		})
	}
	group.Wait()
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestServeUntilKilled is the process that TestNoAcknowledgedByteIsLostHoweverOftenItIsKilled
// kills.
func TestServeUntilKilled(t *testing.T) {
	path := os.Getenv(serveDir)
	if path == "" {
		t.Skip("runs in a process of its own, started by TestNoAcknowledgedByteIsLostHoweverOftenItIsKilled")
	}
	db, err := sqlite.Open(t.Context(), filepath.Join(path, "db"))
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, db: db, store: dirStore(t, path), clock: clocktest.New(time.Now()), catalog: &catalog{got: map[melodyud.TrackID]melodyud.Receipt{}}}
	f.catalog.refuse(func(r melodyud.Receipt) error {
		return os.WriteFile(filepath.Join(path, "track-"+string(r.Track)), []byte(r.Master.SHA256), 0o600)
	})
	config := ingest.Config{
		DB: db, Store: f.store, Tracks: f.catalog, PartSize: 64 << 10, Sweep: 50 * time.Millisecond,
		MaxOpen: 10_000, // answers to creations are lost, too
	}
	stores[os.Getenv(serveStore)](&config)
	l, err := net.Listen("tcp", os.Getenv(serveAddr))
	if err != nil {
		t.Fatal(err)
	}
	handler := f.handler(config)
	go func() { _ = f.Run(t.Context()) }()
	fmt.Println("serving")
	t.Fatal((&http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}).Serve(l))
}
