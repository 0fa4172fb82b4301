package accounts

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/database"
)

// signIn turns a key into a session. Failures count against the address.
func (s *Service) signIn(ctx context.Context, address, secret string) (api.Principal, string, error) {
	now := s.config.Now()
	if err := s.limit.check(address, now); err != nil {
		return api.Principal{}, "", err
	}
	p, err := s.signInWith(ctx, strings.TrimSpace(secret))
	if err != nil {
		if errors.Is(err, melodyud.ErrUnauthenticated) {
			s.limit.failed(address, now)
		}
		return api.Principal{}, "", err
	}
	session, err := s.openSession(ctx, strings.TrimSpace(secret))
	return p, session, err
}

// signInWith accepts keys only: a session must not beget sessions.
func (s *Service) signInWith(ctx context.Context, secret string) (api.Principal, error) {
	if !strings.HasPrefix(secret, keyPrefix) {
		return api.Principal{}, errKey
	}
	return s.Authenticate(ctx, secret)
}

func (s *Service) openSession(ctx context.Context, key string) (string, error) {
	now := s.config.Now()
	session := newSecret(sessionPrefix)
	err := s.config.DB.InTx(ctx, func(tx database.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM account_sessions WHERE expires <= ?`, database.Millis(now)); err != nil {
			return err
		}
		n, err := tx.Exec(ctx, `INSERT INTO account_sessions (hash, key_id, created, expires)
			SELECT ?, id, ?, ? FROM account_keys WHERE hash = ? AND revoked = 0`,
			hashOf(session), database.Millis(now), database.Millis(now.Add(s.config.SessionTTL)), hashOf(key))
		if err == nil && n == 0 {
			return errKey
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("open session: %w", err)
	}
	return session, nil
}

// errSignedOut is what listeners hear whose browser was signed out.
var errSignedOut = melodyud.Refuse(melodyud.ErrForbidden, "playback.signed-out",
	"This browser was signed out. Sign in again to go on listening.")

// closeSession signs a browser out and voids the tickets it was given.
func (s *Service) closeSession(ctx context.Context, session string) error {
	err := s.config.DB.InTx(ctx, func(tx database.Tx) error {
		n, err := tx.Exec(ctx, `DELETE FROM account_sessions WHERE hash = ?`, hashOf(session))
		if err != nil || n == 0 {
			return err
		}
		return s.void(ctx, tx, melodyud.Notice{
			Scope: melodyud.NoticeSignIn, ID: api.SignInOf(session), Code: errSignedOut.Code, Text: errSignedOut.Text,
		})
	})
	if err != nil {
		return fmt.Errorf("close session: %w", err)
	}
	return nil
}

// void has every edge refuse the tickets that n names and that were given out until
// now.
func (s *Service) void(ctx context.Context, tx database.Tx, n melodyud.Notice) error {
	now := s.config.Now()
	n.Before = now.UTC()
	return tx.Emit(ctx, melodyud.TopicRights, melodyud.NewNotice(now, n))
}

// cookie carries a session; an empty one takes it away. SameSite is Lax because
// sign-in links are opened from outside.
func (s *Service) cookie(session string, tls bool) *http.Cookie {
	c := &http.Cookie{
		Name: api.SessionCookie, Value: session, Path: "/", MaxAge: int(s.config.SessionTTL.Seconds()),
		HttpOnly: true, Secure: tls || s.config.SecureCookies, SameSite: http.SameSiteLaxMode,
	}
	if session == "" {
		c.MaxAge = -1
	}
	return c
}
