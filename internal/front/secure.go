package front

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/melodyud/melodyud/internal/api"
)

// Config of a Secure.
type Config struct {
	// Addr is where to listen, "host:port": TCP for HTTP/1.1 and HTTP/2, and the UDP
	// port of the same number for HTTP/3. Port 0 takes a free one.
	Addr string
	// CertFile and KeyFile hold the certificate with its chain, and the key, in PEM.
	CertFile, KeyFile string
	// Handler answers, however the request came.
	Handler http.Handler
	// Proxies may begin TCP connections with the PROXY protocol; default: nobody.
	Proxies Proxies
	// PublicPort is the port that clients are told for HTTP/3; default that of Addr.
	PublicPort int
	// Drain is how long a stop waits for requests in hand.
	Drain time.Duration
	// Look is how often the files are looked at for a new certificate; default 2 s.
	Look   time.Duration
	Logger *slog.Logger // default: discards
}

// Secure serves HTTP over TLS.
type Secure struct {
	c    Config
	cert *certificate
	tcp  net.Listener
	udp  net.PacketConn
	h1h2 *http.Server
	h3   *http3.Server
}

// Limits for clients of HTTP/2 and HTTP/3, besides those of api.NewServer.
const (
	mostStreams = 128 // requests at once on one connection
	handshake   = 5 * time.Second
	quicIdle    = 60 * time.Second
)

// Listen reads the certificate and listens; Run serves. Errors are sentences for
// operators.
func Listen(c Config) (*Secure, error) {
	if c.Look == 0 {
		c.Look = 2 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	cert, err := loadCertificate(c.CertFile, c.KeyFile, c.Logger)
	if err != nil {
		return nil, err
	}
	s := &Secure{c: c, cert: cert}
	if s.tcp, s.udp, err = listen(c.Addr); err != nil {
		return nil, err
	}
	if c.PublicPort == 0 {
		s.c.PublicPort = s.tcp.Addr().(*net.TCPAddr).Port
	}
	s.tcp = c.Proxies.Listen(s.tcp)
	s.build()
	return s, nil
}

// listen takes a port for TCP and UDP. A free one for both takes some tries.
func listen(addr string) (net.Listener, net.PacketConn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, nil, fmt.Errorf("--tls-addr: %w", err)
	}
	for try := 0; ; try++ {
		tcp, err := net.Listen("tcp", addr)
		if err != nil {
			return nil, nil, fmt.Errorf("cannot listen on %s: %w", addr, err)
		}
		udp, err := net.ListenPacket("udp", net.JoinHostPort(host, strconv.Itoa(tcp.Addr().(*net.TCPAddr).Port)))
		if err == nil {
			return tcp, udp, nil
		}
		_ = tcp.Close()
		if port != "0" || try == 20 {
			return nil, nil, fmt.Errorf("cannot listen on %s for HTTP/3: %w", addr, err)
		}
	}
}

func (s *Secure) build() {
	config := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.cert.get, NextProtos: []string{"h2", "http/1.1"}} // HLS-83
	s.h1h2 = api.NewServer(s.offer(s.c.Handler))
	s.h1h2.TLSConfig = config
	s.h1h2.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: mostStreams}
	s.h1h2.ErrorLog = slog.NewLogLogger(s.c.Logger.Handler(), slog.LevelDebug) // clients that leave in mid-handshake
	s.h3 = &http3.Server{
		Handler: s.c.Handler, TLSConfig: http3.ConfigureTLSConfig(config), MaxHeaderBytes: s.h1h2.MaxHeaderBytes,
		IdleTimeout: s.h1h2.IdleTimeout,
		QUICConfig: &quic.Config{
			HandshakeIdleTimeout: handshake, MaxIdleTimeout: quicIdle, MaxIncomingStreams: mostStreams, MaxIncomingUniStreams: 16,
		},
	}
}

// offer tells clients of HTTP/1.1 and HTTP/2 that there is HTTP/3, too (RFC 7838).
func (s *Secure) offer(next http.Handler) http.Handler {
	service := fmt.Sprintf(`h3=":%d"; ma=86400`, s.c.PublicPort)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Alt-Svc", service)
		next.ServeHTTP(w, r)
	})
}

// Addr is where it listens.
func (s *Secure) Addr() net.Addr { return s.tcp.Addr() }

// Close gives the ports back without having served.
func (s *Secure) Close() error {
	return errors.Join(unlessClosed(s.tcp.Close()), unlessClosed(s.udp.Close()))
}

func unlessClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Run serves until ctx ends, then waits for requests in hand.
func (s *Secure) Run(ctx context.Context) error {
	s.c.Logger.InfoContext(ctx, "serving TLS", slog.String("address", s.Addr().String()), slog.Time("expires", s.cert.expires()))
	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		s.cert.watch(watching, s.c.Look)
	}()
	failed := make(chan error, 2)
	go func() { failed <- s.h1h2.ServeTLS(s.tcp, "", "") }()
	go func() { failed <- s.h3.Serve(s.udp) }()
	var err error
	left := 2
	select {
	case err = <-failed:
		left--
	case <-ctx.Done():
	}
	stop()
	<-watched
	s.stop(ctx)
	for range left {
		err = errors.Join(err, served(<-failed))
	}
	return errors.Join(served(err), s.Close())
}

// stop lets requests in hand end within the drain time and cuts the others.
func (s *Secure) stop(ctx context.Context) {
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.c.Drain)
	defer cancel()
	cut := make(chan error, 2)
	go func() { cut <- s.h1h2.Shutdown(drain) }()
	go func() { cut <- s.h3.Shutdown(drain) }()
	if err := errors.Join(<-cut, <-cut); err != nil {
		s.c.Logger.WarnContext(ctx, "requests over TLS cut by the stop", slog.Any("error", err))
	}
	_ = s.h1h2.Close()
	_ = s.h3.Close()
}

// served forgives a server for having been stopped.
func served(err error) error {
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, quic.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
