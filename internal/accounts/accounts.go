// Package accounts knows who may do what: API keys, the roles and tier they
// carry, and the browsers that signed in with them.
//
// Keys and sessions are 256-bit random secrets and are kept as SHA-256 only. A
// secret is looked up by its hash, so the time it takes says nothing about it.
// Browser sessions end with the key they came from.
package accounts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/ticket"
)

// Config configures a Service.
type Config struct {
	DB     database.DB  // required
	Logger *slog.Logger // default: discards
	// SecureCookies marks session cookies Secure on plain connections too: for a
	// server behind a proxy that ends TLS. Connections with TLS always get it.
	SecureCookies bool
	// SessionTTL is how long a browser stays signed in. Default 30 days.
	SessionTTL time.Duration
	// Names names accounts in tickets, which a revoked key voids; nil: they live on.
	Names names
	Now   func() time.Time // default time.Now
}

type names interface {
	Account(user melodyud.UserID) string
}

// Service keeps keys and sessions. Safe for concurrent use.
type Service struct {
	config Config
	limit  *limiter
}

const defaultTTL = 30 * 24 * time.Hour

// New returns a service on c.DB.
func New(c Config) (*Service, error) {
	if c.DB == nil {
		return nil, errors.New("accounts: Config.DB is required")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.SessionTTL == 0 {
		c.SessionTTL = defaultTTL
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{config: c, limit: newLimiter()}, nil
}

const (
	keyPrefix     = "mk_"
	sessionPrefix = "ms_"
	secretLen     = len(keyPrefix) + 43 // 32 bytes in base64
)

// NewSecret returns a fresh secret for a key: "mk_" and 256 random bits.
func NewSecret() string { return newSecret(keyPrefix) }

func newSecret(prefix string) string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails: it aborts the process instead
	return prefix + base64.RawURLEncoding.EncodeToString(b)
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

var errKey = melodyud.Refuse(melodyud.ErrUnauthenticated, "auth.key",
	"This key or sign-in is not valid any more. Ask the operator for a new key, or sign in again.")

const principalColumns = `SELECT k.user_id, k.name, k.roles, k.tier FROM account_keys k`

// Authenticate returns whose secret this is, that of a key or of a session.
// Unknown, revoked and expired secrets are one and the same refusal.
func (s *Service) Authenticate(ctx context.Context, secret string) (api.Principal, error) {
	if len(secret) != secretLen {
		return api.Principal{}, errKey
	}
	switch {
	case strings.HasPrefix(secret, keyPrefix):
		return s.principal(ctx, principalColumns+` WHERE k.hash = ? AND k.revoked = 0`, hashOf(secret))
	case strings.HasPrefix(secret, sessionPrefix):
		return s.principal(ctx, principalColumns+` JOIN account_sessions s ON s.key_id = k.id
			WHERE s.hash = ? AND s.expires > ? AND k.revoked = 0`, hashOf(secret), database.Millis(s.config.Now()))
	}
	return api.Principal{}, errKey
}

func (s *Service) principal(ctx context.Context, query string, args ...any) (api.Principal, error) {
	var p api.Principal
	var roles string
	err := s.config.DB.QueryRow(ctx, query, args, &p.User, &p.Name, &roles, &p.Tier)
	if errors.Is(err, melodyud.ErrNotFound) {
		return api.Principal{}, errKey
	}
	if err != nil {
		return api.Principal{}, fmt.Errorf("read account: %w", err)
	}
	p.Roles = splitRoles(roles)
	return p, nil
}

func splitRoles(list string) []api.Role {
	var roles []api.Role
	for r := range strings.SplitSeq(list, ",") {
		roles = append(roles, api.Role(r))
	}
	return roles
}

func joinRoles(roles []api.Role) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return strings.Join(names, ",")
}

// EnsureLocal makes secret a key with every role and the premium tier if the
// database holds no key at all, and reports whether it did. Calling it again with
// the same secret changes nothing, so a caller first keeps the secret in a file
// and then calls: a crash between the two locks nobody out.
func (s *Service) EnsureLocal(ctx context.Context, secret string) (created bool, err error) {
	if len(secret) != secretLen || !strings.HasPrefix(secret, keyPrefix) {
		return false, fmt.Errorf("%w: local key does not look like one of NewSecret", melodyud.ErrInvalid)
	}
	err = s.config.DB.InTx(ctx, func(tx database.Tx) error {
		created = false
		var n int64
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM account_keys`, nil, &n); err != nil || n > 0 {
			return err
		}
		created = true
		return insertKey(ctx, tx, s.newKey("Local creator", AllRoles(), ticket.Premium), secret)
	})
	if err != nil {
		return false, fmt.Errorf("create local key: %w", err)
	}
	return created, nil
}
