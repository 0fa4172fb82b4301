package node

import (
	"fmt"
	"net"
	"net/url"
	"strconv"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/front"
)

// Front is how clients reach this process besides plain HTTP.
type Front struct {
	TLSAddr string `env:"MELODYUD_TLS_ADDR" placeholder:"ADDR" help:"Address to listen on for HTTPS: HTTP/1.1 and HTTP/2, and HTTP/3 on the UDP port of the same number. Default with --tls-cert: 127.0.0.1:8443."`
	TLSCert string `env:"MELODYUD_TLS_CERT" type:"path" placeholder:"FILE" help:"Certificate and its chain, in PEM. A new one is taken up when the file changes."`
	TLSKey  string `env:"MELODYUD_TLS_KEY" type:"path" placeholder:"FILE" help:"Key of the certificate, in PEM."`

	TrustedProxies []string `env:"MELODYUD_TRUSTED_PROXIES" placeholder:"CIDR,…" help:"Proxies whose X-Forwarded-For, or PROXY protocol, is believed. Default: nobody's."`
}

func (f *Front) check() error {
	if (f.TLSCert == "") != (f.TLSKey == "") || f.TLSAddr != "" && f.TLSCert == "" {
		return fmt.Errorf("%w: TLS needs both --tls-cert and --tls-key", melodyud.ErrInvalid)
	}
	if f.TLSCert != "" && f.TLSAddr == "" {
		f.TLSAddr = "127.0.0.1:8443"
	}
	_, err := front.ParseProxies(f.TrustedProxies)
	return err
}

func (f *Front) proxies() front.Proxies {
	p, _ := front.ParseProxies(f.TrustedProxies) // checked
	return p
}

// listenTLS opens the listener for HTTPS if there is a certificate.
func (n *Node) listenTLS() error {
	f := n.config.Front
	if f.TLSCert == "" {
		return nil
	}
	s, err := front.Listen(front.Config{
		Addr: f.TLSAddr, CertFile: f.TLSCert, KeyFile: f.TLSKey, Handler: n.handler, PublicPort: publicPort(n.config.PublicURL), Proxies: f.proxies(),
		Drain: n.config.requestDrain(), Logger: n.log,
	})
	if err != nil {
		return err
	}
	n.secure = s.Addr()
	n.closers = append(n.closers, func() { _ = s.Close() }) // closed already when it has served
	n.runs("https", listening, s.Run)
	return nil
}

// publicPort is the port of an https address; 0 for others.
func publicPort(public string) int {
	u, err := url.Parse(public)
	if err != nil || u.Scheme != "https" {
		return 0
	}
	if u.Port() == "" {
		return 443
	}
	port, _ := strconv.Atoi(u.Port())
	return port
}

// TLSURL is where browsers find this process with TLS, or "" without it.
func (n *Node) TLSURL() string {
	if n.secure == nil {
		return ""
	}
	return "https://" + visible(n.secure)
}

// visible is an address that one can go to.
func visible(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
