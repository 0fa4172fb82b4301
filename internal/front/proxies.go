package front

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	melodyud "github.com/melodyud/melodyud"
)

// Proxies are the machines whose word on where a request came from is taken. The
// zero value trusts nobody.
type Proxies struct {
	trusted []netip.Prefix
}

// ParseProxies reads addresses and networks, such as 10.0.0.0/8 or 192.0.2.7.
func ParseProxies(list []string) (Proxies, error) {
	var p Proxies
	for _, one := range list {
		network, err := netip.ParsePrefix(one)
		if err != nil {
			a, failed := netip.ParseAddr(one)
			if failed != nil {
				return Proxies{}, fmt.Errorf("%w: --trusted-proxies: %q is no address and no network: write 10.0.0.0/8 or 192.0.2.7", melodyud.ErrInvalid, one)
			}
			network = netip.PrefixFrom(a, a.BitLen())
		}
		p.trusted = append(p.trusted, network.Masked())
	}
	return p, nil
}

// None reports whether nobody is trusted.
func (p Proxies) None() bool { return len(p.trusted) == 0 }

// Trusts reports whether a is one of the proxies.
func (p Proxies) Trusts(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, network := range p.trusted {
		if network.Contains(a) {
			return true
		}
	}
	return false
}

// Client returns where a request came from: peer, the other end of the connection,
// unless that is a proxy. Then it is the last address in the lines of
// X-Forwarded-For that is none: whatever stands before it may be made up.
func (p Proxies) Client(peer netip.Addr, forwarded []string) netip.Addr {
	if !p.Trusts(peer) {
		return peer
	}
	client := peer
	hops := strings.Split(strings.Join(forwarded, ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		a, ok := hop(hops[i])
		if !ok {
			return client
		}
		if client = a; !p.Trusts(a) {
			return client
		}
	}
	return client
}

// hop reads an address, perhaps with a port.
func hop(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return a.Unmap().WithZone(""), err == nil
}

// Wrap returns a handler that calls next with the client's address, and port 0, in
// RemoteAddr of requests that came through a proxy.
func (p Proxies) Wrap(next http.Handler) http.Handler {
	if p.None() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
			if from := p.Client(peer.Addr(), r.Header.Values("X-Forwarded-For")); from != peer.Addr() {
				c := *r
				c.RemoteAddr = netip.AddrPortFrom(from, 0).String()
				r = &c
			}
		}
		next.ServeHTTP(w, r)
	})
}
