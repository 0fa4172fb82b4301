package cache

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/cachestatus"
)

// PeersConfig is the peers' part of a Config.
type PeersConfig struct {
	// URLs are the addresses at which all edges of a deployment ask each other, such
	// as http://10.0.0.7:8080; empty: there are no peers. The order does not matter.
	URLs []string
	// Self is the one of URLs that is this edge. Empty: it is none of them, asks them
	// for everything and is asked for nothing.
	Self string
	// Secrets prove that a question comes from an edge of the same deployment: the
	// first one is used, all are accepted. At least one, of 16 bytes or more. It is
	// called for every question, since keys change.
	Secrets func() [][]byte
	// Patience is how long another edge may take for its next bytes; default 2 s: it
	// may have to ask the object store.
	Patience time.Duration
}

const (
	// PeerPath is where Cache.Peer has to be reachable on every edge.
	PeerPath = "/internal/blocks/"
	peerAuth = "Melodyud-Peer"

	dialPeer        = 300 * time.Millisecond
	defaultPatience = 2 * time.Second
	// A peer that failed is left alone for a while that doubles with each failure.
	leastRest, mostRest = time.Second, 30 * time.Second

	authSkew     = 30 // seconds the clocks of edges may differ
	leastSecret  = 16 // bytes
	idlePerPeer  = 64
	mostPeerRead = 16 << 20 // bytes one question may ask for
)

// peers are the other edges. All of its methods work on nil: nobody.
type peers struct {
	all    []*peer
	member bool // we are one of them
	known  func() [][]byte
	client *http.Client
	log    *slog.Logger
	meters *meters
	now    func() time.Time

	patience time.Duration
}

// peer is one of the edges, perhaps this one.
type peer struct {
	url  string
	self bool

	mu    sync.Mutex
	rest  time.Duration // since the last failure; 0: it is well
	until time.Time     // it is left alone
}

func newPeers(c Config, m *meters) (*peers, error) {
	if len(c.Peers.URLs) == 0 {
		return nil, nil
	}
	p := &peers{
		known: c.Peers.Secrets, log: c.Logger, meters: m, now: c.Now, client: peerClient(),
		patience: cmp.Or(c.Peers.Patience, defaultPatience),
	}
	if p.known == nil || len(p.known()) == 0 || len(p.known()[0]) < leastSecret {
		return nil, fmt.Errorf("%w: edges that ask each other need a secret of %d bytes or more", melodyud.ErrInvalid, leastSecret)
	}
	self := strings.TrimRight(c.Peers.Self, "/")
	for _, one := range c.Peers.URLs {
		one = strings.TrimRight(one, "/")
		if u, err := url.Parse(one); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("%w: %q is no address of an edge: write http://host:port", melodyud.ErrInvalid, one)
		}
		p.all = append(p.all, &peer{url: one, self: one == self})
		p.member = p.member || one == self
	}
	if self != "" && !p.member {
		return nil, fmt.Errorf("%w: this edge, %s, is not among the peers %s", melodyud.ErrInvalid, self, strings.Join(c.Peers.URLs, ", "))
	}
	return p, nil
}

func peerClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: dialPeer}).DialContext,
			TLSHandshakeTimeout: 2 * dialPeer, MaxIdleConnsPerHost: idlePerPeer, IdleConnTimeout: time.Minute,
			DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (p *peers) close() {
	if p != nil {
		p.client.CloseIdleConnections()
	}
}

// owner is the edge responsible for a block; all edges with the same list agree, and
// when one joins or leaves only its own blocks move (rendezvous hashing).
func (p *peers) owner(b block) *peer {
	var best *peer
	var most uint64
	for _, one := range p.all {
		if score := one.score(b); best == nil || score > most || score == most && one.url < best.url {
			best, most = one, score
		}
	}
	return best
}

func (p *peer) score(b block) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, p.url+"\n"+b.key+"\n"+strconv.FormatInt(b.index, 10))
	x := h.Sum64() // its high bits say little about the last bytes: mix
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// read fills what it can of f from the edge responsible for it and reports whether
// that was all. An edge that does not answer is left alone for a while.
func (p *peers) read(ctx context.Context, f *fill, blockSize int64) bool {
	if p == nil {
		return false
	}
	one := p.owner(f.block)
	if one.self || one.resting(p.now()) {
		return false
	}
	f.setAsking(true)
	err := p.ask(ctx, one, f, blockSize)
	f.setAsking(false)
	if err == nil {
		one.well()
		return true
	}
	if ctx.Err() == nil && !errors.Is(err, errPassed) {
		p.failed(one, err)
	}
	return false
}

// errPassed says that a peer is well but does not have the block.
var errPassed = errors.New("the other edge passed")

// ask copies one block from a peer.
func (p *peers) ask(ctx context.Context, one *peer, f *fill, blockSize int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	patience := time.AfterFunc(p.patience, cancel)
	defer patience.Stop()
	secrets := p.known()
	if len(secrets) == 0 {
		return errPassed
	}
	path := fmt.Sprintf("%s%d/%d/%d/%s", PeerPath, f.size, f.block.index*blockSize, len(f.data), f.block.key)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, one.url+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set(peerAuth, proof(secrets[0], path, p.now()))
	res, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusOK && res.ContentLength == int64(len(f.data)):
		return f.copy(&patient{res.Body, patience, p.patience}, Status{Tier: Peer, via: res.Header.Get(cachestatus.Name)})
	case res.StatusCode == http.StatusNotFound, res.StatusCode == http.StatusServiceUnavailable:
		return errPassed
	}
	return fmt.Errorf("the edge %s answered %s", one.url, res.Status)
}

// patient puts off the end of patience with all bytes that come.
type patient struct {
	io.Reader
	timer *time.Timer
	more  time.Duration
}

func (p *patient) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if n > 0 {
		p.timer.Reset(p.more)
	}
	return n, err
}

func (p *peer) resting(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now.Before(p.until)
}

func (p *peer) well() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rest, p.until = 0, time.Time{}
}

// failed leaves an edge alone. Of several questions that fail at a time only the first
// counts.
func (p *peers) failed(one *peer, err error) {
	counts, first := one.fail(p.now())
	if counts {
		p.meters.peerFailures.Inc()
	}
	if first {
		p.log.Warn("another edge does not answer; the object store is asked instead",
			slog.String("edge", one.url), slog.Any("error", err))
	}
}

func (p *peer) fail(now time.Time) (counts, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Before(p.until) {
		return false, false
	}
	first = p.rest == 0
	p.rest = min(max(2*p.rest, leastRest), mostRest)
	p.until = now.Add(p.rest)
	return true, first
}

// proof shows that who asks for a path at a time knows the secret.
func proof(secret []byte, path string, now time.Time) string {
	stamp := strconv.FormatInt(now.Unix(), 10)
	m := hmac.New(sha256.New, secret)
	_, _ = io.WriteString(m, "melodyud peer\n"+path+"\n"+stamp)
	return stamp + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// proven checks what proof made, in constant time.
func (p *peers) proven(given, path string) bool {
	stamp, _, _ := strings.Cut(given, ".")
	at, err := strconv.ParseInt(stamp, 10, 64)
	now := p.now().Unix()
	if err != nil || at < now-authSkew || at > now+authSkew {
		return false
	}
	return slices.ContainsFunc(p.known(), func(secret []byte) bool {
		return hmac.Equal([]byte(given), []byte(proof(secret, path, time.Unix(at, 0))))
	})
}
