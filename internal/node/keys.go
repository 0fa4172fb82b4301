package node

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/accounts"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/ticket"
)

// ticketKeys returns the keys that sign playback tickets: those configured, or
// else those in the database, where the first process puts one.
func ticketKeys(ctx context.Context, c Config, db database.DB) (*ticket.Keyring, error) {
	keys, err := secrets(ctx, c.TicketKeys, "ticket_keys", "k", c.Now(), db)
	if err != nil {
		return nil, fmt.Errorf("ticket keys: %w", err)
	}
	return ticket.NewKeyring(keys...)
}

// mediaKeys returns the secrets of encrypted sound in the same way.
func mediaKeys(ctx context.Context, c Config, db database.DB) (*ticket.MediaKeys, error) {
	keys, err := secrets(ctx, c.MediaKeys, "media_keys", "m", c.Now(), db)
	if err != nil {
		return nil, fmt.Errorf("media keys: %w", err)
	}
	return ticket.NewMediaKeys(keys...)
}

// listenerKey returns the secret that names accounts in tickets and listeners in facts;
// the first process puts it into the database.
func listenerKey(ctx context.Context, c Config, db database.DB) (ticket.Key, error) {
	keys, err := secrets(ctx, "", "listener_keys", "l", c.Now(), db)
	if err != nil {
		return ticket.Key{}, fmt.Errorf("listener keys: %w", err)
	}
	return keys[0], nil
}

// secrets reads what was configured, or else a table, where it puts a fresh secret
// if there is none.
func secrets(ctx context.Context, configured, table, prefix string, now time.Time, db database.DB) ([]ticket.Key, error) {
	if configured != "" {
		return ticket.ParseKeys(configured)
	}
	var keys []ticket.Key
	err := db.InTx(ctx, func(tx database.Tx) (err error) {
		if keys, err = readSecrets(ctx, tx, table); err != nil || len(keys) > 0 {
			return err
		}
		key := newSecret(prefix, now)
		keys = []ticket.Key{key}
		_, err = tx.Exec(ctx, `INSERT INTO `+table+` (id, secret, created) VALUES (?, ?, ?)`,
			key.ID, base64.StdEncoding.EncodeToString(key.Secret), database.Millis(now))
		return err
	})
	return keys, err
}

func readSecrets(ctx context.Context, tx database.Tx, table string) ([]ticket.Key, error) {
	rows, err := tx.Query(ctx, `SELECT id, secret FROM `+table+` ORDER BY created DESC, id DESC`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var keys []ticket.Key
	for rows.Next() {
		var id, secret string
		if err := rows.Scan(&id, &secret); err != nil {
			return nil, err
		}
		raw, err := base64.StdEncoding.DecodeString(secret)
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", id, err)
		}
		keys = append(keys, ticket.Key{ID: id, Secret: raw})
	}
	return keys, rows.Err()
}

func newSecret(prefix string, now time.Time) ticket.Key {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails: crypto/rand aborts the process instead
	return ticket.Key{ID: prefix + now.UTC().Format("20060102-150405"), Secret: secret}
}

// LocalKeyFile is the name, in the data directory, of the key that a fresh server
// makes for whoever runs it.
const LocalKeyFile = "local.key"

// localKey makes sure that whoever can read the data directory can use the server:
// on a database without keys it makes one with every role. It returns "" where the
// directory has no key that is good.
func localKey(ctx context.Context, c Config, a *accounts.Service) (secret string, fresh bool, err error) {
	path := c.path(LocalKeyFile)
	if secret, err = kept(path, accounts.NewSecret); err != nil {
		return "", false, err
	}
	fresh, err = a.EnsureLocal(ctx, secret)
	if err != nil || fresh {
		return secret, fresh, err
	}
	if _, err := a.Authenticate(ctx, secret); errors.Is(err, melodyud.ErrUnauthenticated) {
		return "", false, os.Remove(path) // of another database, or revoked
	} else if err != nil {
		return "", false, err
	}
	return secret, false, nil
}

// nodeID is the name of this data directory, made once: its lock says that nobody
// else works under that name.
func nodeID(c Config) (string, error) { return kept(c.path("node.id"), rand.Text) }

// kept reads the one word in a file, which it makes when it is not there.
func kept(path string, fresh func() string) (string, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		word := fresh()
		return word, writeSecret(path, word)
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return strings.TrimSpace(string(raw)), nil
}

// writeSecret puts a secret into a file that only we can read, durably.
func writeSecret(path, secret string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	_, err = fmt.Fprintln(f, secret)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
