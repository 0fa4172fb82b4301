// Package front is where connections come in: TLS with HTTP/1.1, HTTP/2 and HTTP/3,
// whose certificate may be replaced at any time, and the addresses of clients that
// come through a proxy.
package front

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

// certificate is the one that two files hold.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	present atomic.Pointer[tls.Certificate]
	seen    [2]stamp // of the files as they were read last; only Run's business after load
}

// stamp tells one state of a file from another.
type stamp struct {
	changed time.Time
	size    int64
}

// loadCertificate reads the files. Its errors are sentences for operators.
func loadCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	if certFile == "" || keyFile == "" {
		return nil, fmt.Errorf("%w: TLS needs both --tls-cert and --tls-key", melodyud.ErrInvalid)
	}
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	c.seen = c.stamps()
	return c, c.load()
}

func (c *certificate) load() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("%w: --tls-cert %s and --tls-key %s: %w", melodyud.ErrInvalid, c.certFile, c.keyFile, err)
	}
	c.present.Store(&pair)
	return nil
}

// stamps follows symbolic links, which is how certificates are replaced at once.
// What cannot be read has the zero stamp.
func (c *certificate) stamps() (now [2]stamp) {
	for i, name := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(name); err == nil {
			now[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return now
}

// get serves tls.Config.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.present.Load(), nil
}

// watch looks at the files until ctx ends, and serves what they hold from then on.
// Files that do not fit each other, as while they are being written, change nothing.
func (c *certificate) watch(ctx context.Context, every time.Duration) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
			c.look(ctx)
		}
	}
}

func (c *certificate) look(ctx context.Context) {
	now := c.stamps()
	if now == c.seen {
		return
	}
	c.seen = now
	if err := c.load(); err != nil {
		c.log.WarnContext(ctx, "the new certificate cannot be used; the present one stays until its files change again", slog.Any("error", err))
		return
	}
	c.log.InfoContext(ctx, "certificate replaced", slog.Time("expires", c.expires()))
}

// expires is when the certificate is no longer good; zero if it does not say.
func (c *certificate) expires() time.Time {
	pair := c.present.Load()
	leaf := pair.Leaf
	if leaf == nil {
		parsed, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil {
			return time.Time{}
		}
		leaf = parsed
	}
	return leaf.NotAfter
}
