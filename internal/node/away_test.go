package node_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/melodyud/melodyud/internal/node"
	"github.com/melodyud/melodyud/internal/realtest"
)

// problem is what a refused request is told.
type problem struct{ Code, Detail string }

func (a answer) problem() (p problem) {
	_ = json.Unmarshal(a.body, &p)
	return p
}

func TestCachedTracksPlayOnWhileTheStoreIsAway(t *testing.T) { // faults C2
	t.Parallel()
	if os.Getenv("MELODYUD_INTEGRATION") != "1" {
		t.Skip("set MELODYUD_INTEGRATION=1 to cut an edge off from a real MinIO")
	}
	address, err := url.Parse(realtest.MinIO(t))
	if err != nil {
		t.Fatal(err)
	}
	proxy := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "store", "127.0.0.1:0", address.Host)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	address.Host = proxy.Listen
	s := newStage(t, node.Config{Objects: address.String(), CacheBytes: 1 << 20})
	unheard := s.upload("other.wav", song(t, 3, 92))
	s.await(unheard)
	pressed := s.press(unheard)
	proxy.Stop() // the listener of the stage goes on
	a, err := s.once("GET", pressed, nil)
	if err != nil || a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" ||
		a.problem().Code != "playback.unavailable" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("an unheard track: %d %s %v, want a clear 503", a.status, a.body, err)
	}
	if got := s.fetch(s.base + s.main); len(uris(got)) != 1 {
		t.Errorf("the playlist of a cached track: %s", got)
	}
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	s.eventually("the unheard track to play by itself", func() bool {
		a, err := s.once("GET", pressed, nil)
		return err == nil && a.status == http.StatusOK
	})
	s.hears(unheard)
}

// pair is two edges of one deployment, each a process of its own, and where its API is.
type pair struct {
	api, data string
	edges     [2]*process
}

func newPair(t *testing.T, c node.Config) pair {
	t.Helper()
	shared := t.TempDir()
	c.DB, c.Objects, c.Queue = "sqlite:"+filepath.Join(shared, "rows.db"), "dir:"+filepath.Join(shared, "objects"), realtest.Redis(t)
	c.Ladder = oneQuality()
	main := c
	main.Roles, main.Data = []node.Role{node.RoleAPI, node.RoleWork, node.RoleFold}, t.TempDir()
	p := pair{api: start(t, main), data: main.Data}
	for i := range p.edges {
		edge := c
		edge.Roles, edge.Data, edge.Addr = []node.Role{node.RoleEdge}, t.TempDir(), "127.0.0.1:0"
		p.edges[i] = spawn(t, edge, "")
	}
	return p
}

func TestPlayersGoOnAtAnotherEdgeWhenOneIsKilled(t *testing.T) {
	t.Parallel()
	both := newPair(t, node.Config{})
	p := as(t, both.api, both.data)
	id := p.upload("song.wav", song(t, 12, 93))
	p.await(id)
	address := p.press(id)
	want := both.plays(t, address, nil)
	got := both.plays(t, address, func() {
		if err := both.edges[0].cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	})
	if !bytes.Equal(got, want) {
		t.Errorf("after the kill the player had %d bytes, undisturbed %d", len(got), len(want))
	}
}

// plays fetches a track from its playlist to its end, from the first edge that
// answers. In the middle of a segment in the middle of the track, with half of it
// read, it calls disturb.
func (b pair) plays(t *testing.T, main string, disturb func()) []byte {
	t.Helper()
	p := &person{t: t, patience: time.Minute}
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	fetch := func(path string, disturb func()) (body []byte) {
		p.eventually(path, func() bool {
			for _, e := range b.edges {
				if got, err := b.fetch(client, e.base+path, disturb); err == nil {
					body = got
					return true
				} else if errors.Is(err, errRefused) {
					t.Fatal(err)
				}
				disturb = nil
			}
			return false
		})
		return body
	}
	at := path(t, main)
	media := path(t, p.resolve("http://edge"+at, uris(fetch(at, nil))[0]))
	all := []byte{}
	segments := uris(fetch(media, nil))
	for i, s := range segments {
		var now func()
		if i == len(segments)/2 {
			now = disturb
		}
		all = append(all, fetch(path(t, p.resolve("http://edge"+media, s)), now)...)
	}
	return all
}

// errRefused is what a player takes for an answer, not for trouble on the way.
var errRefused = errors.New("refused")

func (b pair) fetch(client *http.Client, address string, disturb func()) ([]byte, error) {
	res, err := client.Get(address)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode >= 400 && res.StatusCode < 500 {
		return nil, fmt.Errorf("%w: %s", errRefused, res.Status)
	}
	if res.StatusCode != http.StatusOK {
		return nil, errors.New(res.Status)
	}
	head := make([]byte, res.ContentLength/2)
	if _, err := io.ReadFull(res.Body, head); err != nil {
		return nil, err
	}
	if disturb != nil {
		disturb()
	}
	rest, err := io.ReadAll(res.Body)
	return append(head, rest...), err
}

func TestFfmpegPlaysOnWhenItsEdgeIsKilled(t *testing.T) {
	t.Parallel()
	if os.Getenv("MELODYUD_OUTSIDE") != "1" {
		t.Skip("set MELODYUD_OUTSIDE=1 to have ffmpeg play while its edge is killed")
	}
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("ffmpeg is not installed")
	}
	both := newPair(t, node.Config{})
	p := as(t, both.api, both.data)
	id := p.upload("song.wav", song(t, 12, 94))
	p.await(id)
	address := p.press(id)
	way := newWay(t, both)
	decode := func() string {
		// One request after the other: one that is cut in the middle ffmpeg leaves out,
		// one without an answer it sends again.
		out, err := exec.CommandContext(t.Context(), ffmpeg, "-v", "error", "-http_multiple", "0",
			"-i", way.base+path(t, address), "-f", "s16le", "-").Output()
		if err != nil {
			var said *exec.ExitError
			errors.As(err, &said)
			t.Fatalf("ffmpeg: %v\n%s", err, said.Stderr)
		}
		return fmt.Sprint(len(out), " ", digest(out))
	}
	want := decode()
	way.after(6, func() {
		if err := both.edges[0].cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		for { // a dying process may take one more connection, and ffmpeg tries only once more
			c, err := net.Dial("tcp", strings.TrimPrefix(both.edges[0].base, "http://"))
			if err != nil {
				return
			}
			c.Close()
			time.Sleep(time.Millisecond)
		}
	})
	if got := decode(); got != want {
		t.Errorf("after the kill ffmpeg heard %s, undisturbed %s", got, want)
	}
	if !way.moved() {
		t.Error("ffmpeg did not need the other edge")
	}
}

// way is what stands before the edges of a deployment: it leads each connection to
// the first edge that takes it.
type way struct {
	base string

	mu     sync.Mutex
	left   int // requests until strike
	strike func()
	second bool // the second edge was used
}

func newWay(t *testing.T, b pair) *way {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &way{base: "http://" + l.Addr().String()}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() { w.lead(c, b) })
		}
	})
	t.Cleanup(func() { l.Close(); group.Wait() })
	return w
}

func (w *way) after(requests int, strike func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left, w.strike = requests, strike
}

func (w *way) moved() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.second
}

// lead passes a connection on until either end has had enough.
func (w *way) lead(client net.Conn, b pair) {
	defer client.Close()
	for i, e := range b.edges {
		w.mu.Lock() // not while an edge is being killed: dying it may take one more connection
		edge, err := net.Dial("tcp", strings.TrimPrefix(e.base, "http://"))
		w.second = w.second || err == nil && i == 1
		w.mu.Unlock()
		if err != nil {
			continue
		}
		defer edge.Close()
		over := make(chan struct{})
		go func() {
			defer close(over)
			_, _ = io.Copy(edge, watch{client, w})
			edge.Close()
		}()
		_, _ = io.Copy(client, edge)
		client.Close()
		<-over
		return
	}
}

// watch counts what a player sends; each piece is a request.
type watch struct {
	net.Conn
	way *way
}

func (c watch) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.way.mu.Lock()
	defer c.way.mu.Unlock()
	if n > 0 {
		c.way.left--
	}
	if n > 0 && c.way.left == 0 {
		c.way.strike()
	}
	return n, err
}
