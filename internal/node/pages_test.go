package node_test

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/melodyud/melodyud/internal/node"
)

func TestProgramsAreToldOfWrongAddressesAndMethodsInJSON(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := as(t, start(t, node.Config{Data: data}), data)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/v1/keys", http.StatusNotFound, ""},
		{"PUT", "/v1/tracks", http.StatusMethodNotAllowed, "GET"},
		{"DELETE", "/readyz", http.StatusMethodNotAllowed, "GET"},
	} {
		a := p.ask(c.method, c.path, nil)
		if a.status != c.status || a.header.Get("Content-Type") != "application/problem+json" || !strings.Contains(a.header.Get("Allow"), c.allow) {
			t.Errorf("%s %s: %d %v %s", c.method, c.path, a.status, a.header, a.body)
		}
	}
}

func TestThePageMayReachAnEdgeOnAnotherHost(t *testing.T) {
	t.Parallel()
	base := start(t, node.Config{EdgeURL: "https://edge.example/music/"})
	p := &person{t: t, base: base}
	a, err := p.once("GET", "/", nil)
	policy := a.header.Get("Content-Security-Policy")
	for _, kind := range []string{"connect-src", "media-src"} {
		_, sources, _ := strings.Cut(policy, kind)
		sources, _, _ = strings.Cut(sources, ";")
		if err != nil || !strings.Contains(sources, " https://edge.example") || strings.Contains(sources, "music") {
			t.Errorf("policy %q names no edge for %s (%v)", policy, kind, err)
		}
	}
}

func TestSessionsOfAPublicHTTPSAddressAreForHTTPSOnly(t *testing.T) {
	t.Parallel()
	for address, secure := range map[string]bool{"https://music.example": true, "http://music.example": false, "": false} {
		data := t.TempDir()
		n, stop := startUntil(t, node.Config{Data: data})
		stop() // it made the key
		key := as(t, n, data).key
		listen := freeAddress(t)
		start(t, node.Config{Data: data, Addr: listen, PublicURL: address})
		p := &person{t: t, base: "http://" + listen}
		a, err := p.once("GET", "/signin?key="+key, nil)
		if err != nil || a.status != http.StatusSeeOther || strings.Contains(a.header.Get("Set-Cookie"), "Secure") != secure {
			t.Errorf("at %q: %d %v %v, want Secure %v", address, a.status, a.header, err, secure)
		}
	}
}

// freeAddress is one that a server told another public address can be found at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
