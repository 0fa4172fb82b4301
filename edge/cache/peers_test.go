package cache_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/cache"
)

var secret = bytes.Repeat([]byte("s"), 32)

func known(secrets ...[]byte) func() [][]byte { return func() [][]byte { return secrets } }

// edges are caches that ask each other over real connections, above one origin.
type edges struct {
	stages  []*stage
	servers []*httptest.Server
	urls    []string
}

// together builds n edges; change may alter each one's configuration.
func together(t *testing.T, origin *shelf, n int, change func(i int, c *cache.Config, urls []string)) *edges {
	t.Helper()
	e := &edges{stages: make([]*stage, n)}
	for i := range n {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			e.stages[i].Peer().ServeHTTP(w, r)
		}))
		t.Cleanup(server.Close)
		e.servers, e.urls = append(e.servers, server), append(e.urls, server.URL)
	}
	for i := range n {
		e.stages[i] = build(t, origin, func(c *cache.Config) {
			c.Peers = cache.PeersConfig{URLs: e.urls, Self: e.urls[i], Secrets: known(secret)}
			if change != nil {
				change(i, c, e.urls)
			}
		})
	}
	return e
}

func TestEdgesTogetherAskTheStoreOnceForABlock(t *testing.T) {
	t.Parallel()
	origin := &shelf{size: 40*kib + 7}
	e := together(t, origin, 3, nil)
	var all sync.WaitGroup
	for _, s := range e.stages {
		all.Go(func() { s.read(t, "media/k", origin.size) })
	}
	all.Wait()
	if n := origin.opens.Load(); n != 11 {
		t.Errorf("%d fetches for 11 blocks", n)
	}
	var asked float64
	for _, s := range e.stages {
		asked += s.meter(t, "peer_served_total", "")
	}
	if asked != 22 {
		t.Errorf("%v questions for 11 blocks of two others", asked)
	}
}

func TestStatusTellsOfTheEdgeThatWasAsked(t *testing.T) { // EDGE-11
	t.Parallel()
	origin := &shelf{size: kib}
	e := together(t, origin, 2, nil)
	seen := map[string]bool{}
	for i := range 20 {
		key := fmt.Sprint("media/", i)
		for _, s := range e.stages {
			seen[s.read(t, key, kib).Header("edge")] = true
		}
	}
	for _, want := range []string{
		"edge; fwd=uri-miss; stored",
		"melodyud-peer; hit, edge; fwd=uri-miss; stored",
		"melodyud-peer; fwd=uri-miss; stored, edge; fwd=uri-miss; stored",
		"edge; hit", // the owner, after another had asked it
	} {
		if !seen[want] {
			t.Errorf("never %q", want)
		}
		delete(seen, want)
	}
	if len(seen) > 0 {
		t.Errorf("%v", seen)
	}
}

func TestABrokenEdgeIsAskedOnceAndThenLeftAlone(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer broken.Close()
	origin := &shelf{size: 200 * kib}
	s := build(t, origin, func(c *cache.Config) {
		c.Peers = cache.PeersConfig{URLs: []string{broken.URL}, Secrets: known(secret)}
	})
	s.read(t, "media/k", origin.size)
	if n := asked.Load(); n > 2 { // two blocks of a stretch are asked for at a time
		t.Errorf("asked %d times", n)
	}
	s.clock.advance(90 * time.Second)
	s.read(t, "media/other", origin.size)
	if n := asked.Load(); n > 4 || n < 2 {
		t.Errorf("asked %d times in all", n)
	}
	if n := s.log.count("does not answer"); n != 1 {
		t.Errorf("said %d times", n)
	}
}

func TestADeadEdgeCostsNoListenerAnything(t *testing.T) {
	t.Parallel()
	origin := &shelf{size: 200 * kib}
	e := together(t, origin, 2, nil)
	e.servers[1].Close()
	e.stages[0].read(t, "media/k", origin.size)
	if n := origin.opens.Load(); n != 50 {
		t.Errorf("%d fetches for 50 blocks", n)
	}
}

func TestASilentEdgeCostsItsPatienceOnce(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	silent := "http://" + l.Addr().String()
	origin := &shelf{size: 64 * kib}
	s := build(t, origin, func(c *cache.Config) {
		c.Peers = cache.PeersConfig{URLs: []string{silent}, Secrets: known(secret), Patience: 20 * time.Millisecond}
	})
	s.read(t, "media/k", origin.size)
	if n := origin.opens.Load(); n != 16 {
		t.Errorf("%d fetches for 16 blocks", n)
	}
}

func TestAnEdgeThatBreaksOffIsGoneOnWithAtTheStore(t *testing.T) {
	t.Parallel()
	origin := &shelf{size: 4 * kib}
	half := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "4096")
		_, _ = w.Write(contents("media/k", 4*kib)[:1000])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer half.Close()
	s := build(t, origin, func(c *cache.Config) {
		c.Peers = cache.PeersConfig{URLs: []string{half.URL}, Secrets: known(secret)}
	})
	s.read(t, "media/k", origin.size)
	if want := "media/k 1000 3096"; len(origin.asked) != 1 || origin.asked[0] != want {
		t.Errorf("asked for %q, want %q", origin.asked, want)
	}
}

func TestEdgesThatDisagreeDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	origin := &shelf{size: 4 * kib}
	e := together(t, origin, 2, func(i int, c *cache.Config, urls []string) {
		c.Peers.URLs, c.Peers.Self = urls[1-i:2-i], "" // each takes the other for responsible
		c.Peers.Patience = 20 * time.Second
	})
	var both sync.WaitGroup
	for _, s := range e.stages {
		for i := range 20 {
			both.Go(func() { s.read(t, fmt.Sprint("media/", i), origin.size) })
		}
	}
	both.Wait()
}

func TestOnlyEdgesOfTheDeploymentAreAnswered(t *testing.T) {
	t.Parallel()
	origin := &shelf{size: kib}
	e := together(t, origin, 1, nil)
	var sent string // what another edge with the secret sends
	spy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = r.Header.Get("Melodyud-Peer")
		http.Error(w, "", http.StatusServiceUnavailable)
	}))
	defer spy.Close()
	other := build(t, origin, func(c *cache.Config) {
		c.Peers = cache.PeersConfig{URLs: []string{spy.URL}, Secrets: known(secret)}
	})
	other.read(t, "media/k", kib)
	const path = cache.PeerPath + "1024/0/1024/media/k"
	for name, c := range map[string]struct {
		proof, path string
		want        int
	}{
		"good":           {sent, path, http.StatusOK},
		"none":           {"", path, http.StatusForbidden},
		"another path":   {sent, cache.PeerPath + "1024/0/1024/masters/k", http.StatusForbidden},
		"another time":   {"9" + sent[1:], path, http.StatusForbidden},
		"another secret": {sent[:len(sent)-1] + "!", path, http.StatusForbidden},
		"no time":        {"x." + sent, path, http.StatusForbidden},
	} {
		if got := e.ask(t, c.path, c.proof); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	e.stages[0].clock.advance(time.Minute)
	if got := e.ask(t, path, sent); got != http.StatusForbidden {
		t.Errorf("a minute later: %d", got)
	}
	alone := build(t, origin, nil)
	recorder := httptest.NewRecorder()
	alone.Peer().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
	if recorder.Code != http.StatusNotFound {
		t.Errorf("without peers: %d", recorder.Code)
	}
}

func (e *edges) ask(t *testing.T, path, proof string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.urls[0]+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Melodyud-Peer", proof)
	res, err := e.servers[0].Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

func TestAnEdgeWithOtherKeysIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	origin := &shelf{size: 40 * kib}
	e := together(t, origin, 2, func(i int, c *cache.Config, _ []string) {
		c.Peers.Secrets = known(bytes.Repeat([]byte{byte(i)}, 32))
	})
	e.stages[0].read(t, "media/k", origin.size)
	if e.stages[0].meter(t, "peer_failures_total", "") != 1 || e.stages[0].log.count("answered 403") != 1 {
		t.Error("nobody is told why")
	}
}

func TestAnOldSecretIsGoodWhileKeysChange(t *testing.T) {
	t.Parallel()
	origin := &shelf{size: 40 * kib}
	fresh := bytes.Repeat([]byte("f"), 32)
	e := together(t, origin, 2, func(i int, c *cache.Config, _ []string) {
		c.Peers.Secrets = known([][][]byte{{fresh, secret}, {secret, fresh}}[i]...)
	})
	e.stages[0].read(t, "media/k", origin.size)
	e.stages[1].read(t, "media/k", origin.size)
	if n := origin.opens.Load(); n != 10 {
		t.Errorf("%d fetches for 10 blocks", n)
	}
}

func TestOnlyTheOwnerKeepsABlockOnDisk(t *testing.T) {
	t.Parallel()
	origin := &shelf{size: 4 * kib}
	dirs := []string{t.TempDir(), t.TempDir()}
	e := together(t, origin, 2, func(i int, c *cache.Config, _ []string) {
		c.Disk = cache.DiskConfig{Dir: dirs[i], Bytes: 1 << 20, Free: -1}
	})
	written := func() (n float64) {
		for _, s := range e.stages {
			n += s.meter(t, "disk_writes_total", "written")
		}
		return n
	}
	for _, s := range e.stages {
		s.settled(t, 0)
	}
	for i := range 20 {
		for _, s := range e.stages {
			s.read(t, fmt.Sprint("media/", i), origin.size)
		}
		until(t, "kept", func() bool { return written() >= float64(i+1) })
	}
	if n := written(); n != 20 {
		t.Errorf("20 blocks were kept %v times", n)
	}
}

func TestPeersThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]cache.PeersConfig{
		"no secret":      {URLs: []string{"http://a"}},
		"short secret":   {URLs: []string{"http://a"}, Secrets: known([]byte("short"))},
		"no address":     {URLs: []string{"a:80"}, Secrets: known(secret)},
		"not among them": {URLs: []string{"http://a"}, Self: "http://b", Secrets: known(secret)},
	} {
		_, err := cache.New(cache.Config{Origin: &shelf{}, Peers: p})
		if melodyud.Kind(err) != melodyud.ErrInvalid || !strings.Contains(err.Error(), " ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
