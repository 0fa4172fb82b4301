package node_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/quic-go/quic-go/http3"

	"github.com/melodyud/melodyud/internal/node"
	"github.com/melodyud/melodyud/internal/realtest"
)

// tongues are clients that speak one version of HTTP each.
func tongues(t *testing.T, trust realtest.Certificate) map[string]http.RoundTripper {
	t.Helper()
	config := &tls.Config{RootCAs: trust.Roots}
	one, two := new(http.Protocols), new(http.Protocols)
	one.SetHTTP1(true)
	two.SetHTTP2(true)
	h1 := &http.Transport{TLSClientConfig: config.Clone(), Protocols: one, DisableCompression: true}
	h2 := &http.Transport{TLSClientConfig: config.Clone(), Protocols: two, DisableCompression: true}
	h3 := &http3.Transport{TLSClientConfig: config.Clone(), DisableCompression: true}
	t.Cleanup(func() {
		h1.CloseIdleConnections()
		h2.CloseIdleConnections()
		h3.Close()
	})
	return map[string]http.RoundTripper{"HTTP/1.1": h1, "HTTP/2.0": h2, "HTTP/3.0": h3}
}

// startTLS runs a node with a certificate until the test ends.
func startTLS(t *testing.T, c node.Config) (plain, secure string, cert realtest.Certificate) {
	t.Helper()
	cert = realtest.NewCertificate(t, t.TempDir(), "melodyud")
	c.Front = node.Front{TLSAddr: "127.0.0.1:0", TLSCert: cert.CertFile, TLSKey: cert.KeyFile}
	n, stop := run(t, c)
	t.Cleanup(stop)
	return n.URL(), n.TLSURL(), cert
}

// fetched is an answer by which other ways to the same address are measured.
type fetched struct {
	status int
	header http.Header
	body   []byte
}

func fetchBy(t *testing.T, rt http.RoundTripper, address string, headers ...string) fetched {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "https://elsewhere.example")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := rt.RoundTrip(r)
	if err != nil {
		t.Fatalf("%s: %v", address, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s: %v", address, err)
	}
	for _, changing := range []string{"X-Request-Id", "Date", "Server-Timing", "Cache-Status", "Alt-Svc", "Age", "Connection"} {
		res.Header.Del(changing)
	}
	return fetched{res.StatusCode, res.Header, body}
}

func TestEveryVersionOfHTTPPlaysTheSame(t *testing.T) { // HLS-82, HLS-83
	t.Parallel()
	data := t.TempDir()
	plain, secure, cert := startTLS(t, node.Config{Data: data, Ladder: oneQuality()})
	p := as(t, plain, data)
	id := p.upload("song.wav", song(t, 3, 90))
	p.await(id)
	main := path(t, p.press(id))
	media, segment := p.leads(plain, main)
	direct := &http.Transport{DisableCompression: true}
	defer direct.CloseIdleConnections()
	for _, c := range []struct {
		address string
		headers []string
		status  int
	}{
		{main, nil, http.StatusOK},
		{media, []string{"Accept-Encoding", "gzip"}, http.StatusOK},
		{segment, nil, http.StatusOK},
		{segment, []string{"Range", "bytes=10-99"}, http.StatusPartialContent},
		{segment + "x", nil, http.StatusNotFound},
		{strings.Replace(segment, "/p/", "/p/x", 1), nil, http.StatusForbidden},
	} {
		want := fetchBy(t, direct, plain+c.address, c.headers...)
		if want.status != c.status || c.status < 400 && want.header.Get("Content-Length") == "" {
			t.Errorf("%s: %d in pieces of unknown number, want %d", c.address, want.status, c.status)
		}
		for proto, rt := range tongues(t, cert) {
			got := fetchBy(t, rt, secure+c.address, c.headers...)
			if got.status != want.status || c.status < 400 && !bytes.Equal(got.body, want.body) {
				t.Errorf("%s by %s: %d and %d bytes, plain %d and %d", c.address, proto, got.status, len(got.body), want.status, len(want.body))
			}
			for name := range want.header {
				if got.header.Get(name) != want.header.Get(name) {
					t.Errorf("%s by %s: %s is %q, plain %q", c.address, proto, name, got.header.Get(name), want.header.Get(name))
				}
			}
		}
	}
}

func TestTheRateOfTheAPIIsOneForAllWaysToIt(t *testing.T) {
	t.Parallel()
	plain, secure, cert := startTLS(t, node.Config{Data: t.TempDir(), EdgeLimits: node.EdgeLimits{RateAPI: 0.01}}) // one request in a minute and more
	direct := &http.Transport{}
	defer direct.CloseIdleConnections()
	if got := fetchBy(t, direct, plain+"/v1/me"); got.status != http.StatusUnauthorized {
		t.Errorf("the first request: %d", got.status)
	}
	for proto, rt := range tongues(t, cert) {
		if got := fetchBy(t, rt, secure+"/v1/me"); got.status != http.StatusTooManyRequests {
			t.Errorf("another by %s: %d", proto, got.status)
		}
	}
}

func path(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Path
}
