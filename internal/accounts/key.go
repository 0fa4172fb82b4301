package accounts

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/ticket"
)

// Key describes an API key without its secret.
type Key struct {
	ID      string          `json:"id" doc:"Names the key, for revoking it."`
	User    melodyud.UserID `json:"user" doc:"Who acts with it and owns what it uploads."`
	Name    string          `json:"name"`
	Roles   []api.Role      `json:"roles"`
	Tier    ticket.Tier     `json:"tier"`
	Created time.Time       `json:"created"`
	Revoked *time.Time      `json:"revoked,omitempty"`
}

// AllRoles are the roles a key may have.
func AllRoles() []api.Role { return []api.Role{api.RoleCreator, api.RoleListener, api.RoleOps} }

const maxName = 100

// The refusals of Create and Revoke.
var (
	errName  = melodyud.Refuse(melodyud.ErrInvalid, "key.name", "Give the key a name of 1 to 100 characters.")
	errRoles = melodyud.Refuse(melodyud.ErrInvalid, "key.roles", "A key needs one or more of the roles creator, listener and ops.")
	errTier  = melodyud.Refuse(melodyud.ErrInvalid, "key.tier", "The tier is free or premium.")
	errNoKey = melodyud.Refuse(melodyud.ErrNotFound, "key.unknown", "There is no such key.")
)

// Create makes a key for a new user and returns it with its secret, which is
// shown this once. Bad names, roles and tiers are refusals.
func (s *Service) Create(ctx context.Context, name string, roles []api.Role, tier ticket.Tier) (Key, string, error) {
	k := s.newKey(strings.TrimSpace(name), roles, tier)
	if err := k.check(); err != nil {
		return Key{}, "", err
	}
	secret := NewSecret()
	if err := insertKey(ctx, s.config.DB, k, secret); err != nil {
		return Key{}, "", fmt.Errorf("create key: %w", err)
	}
	return k, secret, nil
}

func (s *Service) newKey(name string, roles []api.Role, tier ticket.Tier) Key {
	now := s.config.Now()
	return Key{
		ID: "key_" + rand.Text(), User: melodyud.NewUserID(now), Name: name,
		Roles: roles, Tier: tier, Created: now.UTC().Truncate(time.Millisecond),
	}
}

func (k Key) check() error {
	if k.Name == "" || utf8.RuneCountInString(k.Name) > maxName || !utf8.ValidString(k.Name) || strings.ContainsFunc(k.Name, unicode.IsControl) {
		return errName
	}
	if len(k.Roles) == 0 || len(k.Roles) > len(AllRoles()) {
		return errRoles
	}
	for _, r := range k.Roles {
		if !slices.Contains(AllRoles(), r) {
			return errRoles
		}
	}
	if k.Tier != ticket.Free && k.Tier != ticket.Premium {
		return errTier
	}
	return nil
}

func insertKey(ctx context.Context, q database.Querier, k Key, secret string) error {
	_, err := q.Exec(ctx, `INSERT INTO account_keys (id, hash, user_id, name, roles, tier, created) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		k.ID, hashOf(secret), string(k.User), k.Name, joinRoles(k.Roles), string(k.Tier), database.Millis(k.Created))
	return err
}

// List returns all keys, newest first, up to limit of them.
func (s *Service) List(ctx context.Context, limit int) ([]Key, error) {
	rows, err := s.config.DB.Query(ctx, `SELECT id, user_id, name, roles, tier, created, revoked FROM account_keys
		ORDER BY created DESC, id LIMIT ?`, limit)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	defer rows.Close()
	keys := []Key{}
	for rows.Next() {
		var k Key
		var roles string
		var created, revoked int64
		if err := rows.Scan(&k.ID, &k.User, &k.Name, &roles, &k.Tier, &created, &revoked); err != nil {
			return nil, fmt.Errorf("read key: %w", err)
		}
		k.Roles, k.Created = splitRoles(roles), database.Time(created)
		if revoked != 0 {
			t := database.Time(revoked)
			k.Revoked = &t
		}
		keys = append(keys, k)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	return keys, nil
}

// errRevoked is what listeners hear whose key was revoked.
var errRevoked = melodyud.Refuse(melodyud.ErrForbidden, "playback.revoked",
	"Your key has been revoked. Ask the operator for a new one.")

// Revoke ends a key, every session made with it and every ticket given to it, at
// once: tickets within 2 s. Revoking it again is no error; an unknown id is
// ErrNotFound.
func (s *Service) Revoke(ctx context.Context, id string) error {
	err := s.config.DB.InTx(ctx, func(tx database.Tx) error {
		var user melodyud.UserID
		err := tx.QueryRow(ctx, `UPDATE account_keys SET revoked = CASE WHEN revoked = 0 THEN ? ELSE revoked END WHERE id = ?
			RETURNING user_id`, []any{database.Millis(s.config.Now()), id}, &user)
		if errors.Is(err, melodyud.ErrNotFound) {
			return errNoKey
		}
		if err != nil {
			return err
		}
		if s.config.Names == nil {
			return nil
		}
		return s.void(ctx, tx, melodyud.Notice{
			Scope: melodyud.NoticeAccount, ID: s.config.Names.Account(user),
			Code: errRevoked.Code, Text: errRevoked.Text,
		})
	})
	if err != nil {
		return fmt.Errorf("revoke key: %w", err)
	}
	return nil
}
