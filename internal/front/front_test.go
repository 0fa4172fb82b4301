package front_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
	"go.uber.org/goleak"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/front"
	"github.com/melodyud/melodyud/internal/realtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a Secure until the test ends or stop is called.
func serve(t *testing.T, c front.Config) (addr string, stop func()) {
	t.Helper()
	c.Addr = "127.0.0.1:0"
	s, err := front.Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return s.Addr().String(), stop
}

// clients speak one version of HTTP each.
func clients(t *testing.T, roots *x509.CertPool) map[string]http.RoundTripper {
	t.Helper()
	config := &tls.Config{RootCAs: roots}
	one, two := new(http.Protocols), new(http.Protocols)
	one.SetHTTP1(true)
	two.SetHTTP2(true)
	h1 := &http.Transport{TLSClientConfig: config.Clone(), Protocols: one}
	h2 := &http.Transport{TLSClientConfig: config.Clone(), Protocols: two}
	h3 := &http3.Transport{TLSClientConfig: config.Clone()}
	t.Cleanup(func() {
		h1.CloseIdleConnections()
		h2.CloseIdleConnections()
		if err := h3.Close(); err != nil {
			t.Error(err)
		}
	})
	return map[string]http.RoundTripper{"HTTP/1.1": h1, "HTTP/2.0": h2, "HTTP/3.0": h3}
}

func get(t *testing.T, rt http.RoundTripper, address string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := rt.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func TestThreeVersionsOfHTTPAreServedOnOnePort(t *testing.T) {
	t.Parallel()
	p := realtest.NewCertificate(t, t.TempDir(), "first")
	var addr string
	addr, _ = serve(t, front.Config{CertFile: p.CertFile, KeyFile: p.KeyFile, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || r.TLS.Version < tls.VersionTLS12 || r.RemoteAddr == "" {
			t.Error("a request without TLS or address")
		}
		_, _ = io.WriteString(w, r.Proto)
	})})
	_, port, _ := net.SplitHostPort(addr)
	for proto, rt := range clients(t, p.Roots) {
		res, body := get(t, rt, "https://"+addr+"/")
		if res.Proto != proto || body != proto {
			t.Errorf("asked by %s, answered by %s to %s", proto, res.Proto, body)
		}
		if offered := res.Header.Get("Alt-Svc"); proto != "HTTP/3.0" && offered != `h3=":`+port+`"; ma=86400` {
			t.Errorf("%s: Alt-Svc %q", proto, offered)
		}
	}
}

func TestOldVersionsOfTLSAreRefused(t *testing.T) { // HLS-83
	t.Parallel()
	p := realtest.NewCertificate(t, t.TempDir(), "first")
	addr, _ := serve(t, front.Config{CertFile: p.CertFile, KeyFile: p.KeyFile, Handler: http.NotFoundHandler()})
	for version, good := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: p.Roots, MinVersion: version, MaxVersion: version})
		if (err == nil) != good {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			conn.Close()
		}
	}
}

func TestANewCertificateIsServedWithoutARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := realtest.NewCertificate(t, dir, "first")
	addr, _ := serve(t, front.Config{CertFile: p.CertFile, KeyFile: p.KeyFile, Look: 5 * time.Millisecond, Handler: http.NotFoundHandler()})
	name := func() string {
		conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) // whoever answers is asked its name
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if got := name(); got != "first" {
		t.Fatalf("served %q", got)
	}
	if err := os.WriteFile(p.KeyFile, []byte("half a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if got := name(); got != "first" {
			t.Fatalf("half a key serves %q", got)
		}
		time.Sleep(time.Millisecond)
	}
	second := realtest.NewCertificate(t, dir, "second")
	for deadline := time.Now().Add(time.Minute); name() != "second"; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the new certificate is not served")
		}
	}
	for proto, rt := range clients(t, second.Roots) {
		if res, _ := get(t, rt, "https://"+addr+"/"); res.Proto != proto {
			t.Errorf("with the new certificate: %s", res.Proto)
		}
	}
}

func TestAStopLetsRequestsInHandEnd(t *testing.T) {
	t.Parallel()
	p := realtest.NewCertificate(t, t.TempDir(), "first")
	entered, leave := make(chan struct{}, 3), make(chan struct{})
	addr, stop := serve(t, front.Config{CertFile: p.CertFile, KeyFile: p.KeyFile, Drain: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-leave
		_, _ = io.WriteString(w, "all of it")
	})})
	var group sync.WaitGroup
	for proto, rt := range clients(t, p.Roots) {
		group.Go(func() {
			if _, body := get(t, rt, "https://"+addr+"/"); body != "all of it" {
				t.Errorf("%s: %q", proto, body)
			}
			if h3, ok := rt.(*http3.Transport); ok {
				h3.CloseIdleConnections()
			}
		})
	}
	for range 3 {
		<-entered
	}
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	for {
		if _, err := net.Dial("tcp", addr); err != nil {
			break // nothing new is taken
		}
		time.Sleep(time.Millisecond)
	}
	close(leave)
	group.Wait()
	<-stopped
}

func TestWhatCannotServeIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := realtest.NewCertificate(t, dir, "first")
	other := realtest.NewCertificate(t, t.TempDir(), "other")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, c := range map[string]struct {
		config front.Config
		says   string
	}{
		"no key":     {front.Config{CertFile: p.CertFile}, "--tls-key"},
		"no file":    {front.Config{CertFile: dir + "/none", KeyFile: p.KeyFile}, "--tls-cert"},
		"no pair":    {front.Config{CertFile: p.CertFile, KeyFile: other.KeyFile}, "--tls-key"},
		"no address": {front.Config{CertFile: p.CertFile, KeyFile: p.KeyFile, Addr: "nowhere"}, "--tls-addr"},
		"taken":      {front.Config{CertFile: p.CertFile, KeyFile: p.KeyFile, Addr: taken.Addr().String()}, taken.Addr().String()},
	} {
		s, err := front.Listen(c.config)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOnlyProxiesAreBelieved(t *testing.T) {
	t.Parallel()
	p, err := front.ParseProxies([]string{"10.0.0.0/8", "2001:db8::/32", "192.0.2.7"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		peer      string
		forwarded []string
		client    string
	}{
		{"203.0.113.5", []string{"198.51.100.1"}, "203.0.113.5"},      // a stranger's word
		{"10.1.2.3", []string{"198.51.100.1"}, "198.51.100.1"},        // a proxy's
		{"192.0.2.7", []string{"198.51.100.1:4711"}, "198.51.100.1"},  // with a port
		{"::ffff:10.1.2.3", []string{"198.51.100.1"}, "198.51.100.1"}, // the same proxy over IPv6
		{"2001:db8::1", []string{"[2001:470::1]:99"}, "2001:470::1"},
		{"10.1.2.3", []string{"1.1.1.1, 198.51.100.1, 10.9.9.9"}, "198.51.100.1"},     // two proxies; what the client made up comes first
		{"10.1.2.3", []string{"1.1.1.1", "198.51.100.1", "10.9.9.9"}, "198.51.100.1"}, // the same in lines of their own
		{"10.1.2.3", nil, "10.1.2.3"},
		{"10.1.2.3", []string{""}, "10.1.2.3"},
		{"10.1.2.3", []string{"unknown"}, "10.1.2.3"},
		{"10.1.2.3", []string{"198.51.100.1, <script>, 10.9.9.9"}, "10.9.9.9"},
		{"10.1.2.3", []string{"10.4.4.4, 10.9.9.9"}, "10.4.4.4"}, // a client inside
	} {
		if got := p.Client(netip.MustParseAddr(c.peer), c.forwarded); got.String() != c.client {
			t.Errorf("%s with %q: %s, want %s", c.peer, c.forwarded, got, c.client)
		}
	}
	if nobody, err := front.ParseProxies(nil); err != nil || !nobody.None() || nobody.Client(netip.MustParseAddr("10.1.2.3"), []string{"198.51.100.1"}).String() != "10.1.2.3" {
		t.Error("somebody is believed by default")
	}
	for _, bad := range []string{"", "ten", "10.0.0.0/33", "10.0.0.0/8,"} {
		if _, err := front.ParseProxies([]string{bad}); !errors.Is(err, melodyud.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestHandlersSeeTheClientBehindAProxy(t *testing.T) {
	t.Parallel()
	p, err := front.ParseProxies([]string{"10.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	h := p.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = append(seen, r.RemoteAddr) }))
	for _, remote := range []string{"10.1.1.1:80", "203.0.113.5:80", "garbage"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = remote
		r.Header.Set("X-Forwarded-For", "198.51.100.1")
		h.ServeHTTP(httptest.NewRecorder(), r)
		if r.RemoteAddr != remote {
			t.Error("the caller's request was changed")
		}
	}
	if want := []string{"198.51.100.1:0", "203.0.113.5:80", "garbage"}; !slices.Equal(seen, want) {
		t.Errorf("%q, want %q", seen, want)
	}
}
