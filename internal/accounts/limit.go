package accounts

import (
	"net"
	"net/netip"
	"sync"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

// Guessing 256 bits is hopeless; the limit only keeps guessers off the database.
const (
	maxFailures  = 20 // per address and window
	window       = time.Minute
	maxAddresses = 10_000 // remembered in a window
)

var errLimited = melodyud.Refuse(melodyud.ErrLimited, "auth.too-many",
	"Too many failed sign-ins from your network. Wait a minute and try again.")

// limiter counts failed sign-ins by address, in memory and by fixed windows.
type limiter struct {
	mu    sync.Mutex
	count map[string]int
	ends  time.Time
}

func newLimiter() *limiter { return &limiter{count: map[string]int{}} }

func (l *limiter) check(address string, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn(now)
	if l.count[network(address)] >= maxFailures {
		return errLimited
	}
	return nil
}

func (l *limiter) failed(address string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn(now)
	key := network(address)
	if _, known := l.count[key]; known || len(l.count) < maxAddresses {
		l.count[key]++
	}
}

func (l *limiter) turn(now time.Time) {
	if !now.Before(l.ends) {
		clear(l.count)
		l.ends = now.Add(window)
	}
}

// network is who counts as one: an IPv4 address or an IPv6 /64.
func network(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if a = a.Unmap().WithZone(""); a.Is6() {
		p, _ := a.Prefix(64) // 64 bits always fit an IPv6 address
		return p.String()
	}
	return a.String()
}
