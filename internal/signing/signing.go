// Package signing owns the keys that sign playback tickets: it makes new ones,
// retires old ones and brings what the database has to every process within a
// second, without a restart (TOK-5).
//
// A new key is accepted everywhere before anybody signs with it, and an old one stays
// good until it is retired: tickets in use never notice.
package signing

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/ticket"
)

// ring is what signs and checks in this process.
type ring interface {
	Replace(keys ...ticket.Key) error
}

// Config of a Service.
type Config struct {
	DB   database.DB // required
	Ring ring        // required: kept up to date by Run
	// Fixed says that the keys are in the configuration: Run does nothing then, and
	// rotating is refused.
	Fixed bool
	// Poll is how often the keys are read. Default 1 s.
	Poll time.Duration
	// Settle is how long a new key is only accepted, so that every process knows it
	// before it meets a ticket of it. Default five times Poll.
	Settle time.Duration
	Logger *slog.Logger     // default: discards
	Now    func() time.Time // default time.Now
}

// Service keeps the keys. Safe for concurrent use.
type Service struct {
	c Config
}

// New returns a service on c.DB.
func New(c Config) (*Service, error) {
	if c.DB == nil || c.Ring == nil {
		return nil, fmt.Errorf("%w: signing needs a database and a ring", melodyud.ErrInvalid)
	}
	if c.Poll <= 0 {
		c.Poll = time.Second
	}
	if c.Settle <= 0 {
		c.Settle = 5 * c.Poll
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{c: c}, nil
}

// stored is a key as its row has it.
type stored struct {
	ticket.Key
	created time.Time
}

// Run keeps the ring up to date until ctx ends, and returns nil then. While the
// database is away the keys stay what they were.
func (s *Service) Run(ctx context.Context) error {
	if s.c.Fixed {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(s.c.Poll)
	defer tick.Stop()
	for failing := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := s.refresh(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			s.c.Logger.WarnContext(ctx, "ticket keys could not be read", slog.Any("error", err))
		}
		failing = err != nil
	}
}

func (s *Service) refresh(ctx context.Context) error {
	keys, err := read(ctx, s.c.DB)
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return fmt.Errorf("%w: the database has no ticket key", melodyud.ErrNotFound)
	}
	return s.c.Ring.Replace(s.inOrder(keys)...)
}

// inOrder puts the key to sign with first: the newest that every process knows, or
// else the oldest.
func (s *Service) inOrder(keys []stored) []ticket.Key {
	i := s.signer(keys)
	out := []ticket.Key{keys[i].Key}
	for _, k := range slices.Delete(slices.Clone(keys), i, i+1) {
		out = append(out, k.Key)
	}
	return out
}

// signer finds the key to sign with among keys, newest first.
func (s *Service) signer(keys []stored) int {
	settled := s.c.Now().Add(-s.c.Settle)
	i := slices.IndexFunc(keys, func(k stored) bool { return !k.created.After(settled) })
	if i < 0 {
		return len(keys) - 1
	}
	return i
}

// read returns the keys, newest first.
func read(ctx context.Context, q database.Querier) ([]stored, error) {
	rows, err := q.Query(ctx, `SELECT id, secret, created FROM ticket_keys ORDER BY created DESC, id DESC`)
	if err != nil {
		return nil, fmt.Errorf("read ticket keys: %w", err)
	}
	defer rows.Close()
	var keys []stored
	for rows.Next() {
		var k stored
		var secret string
		var created int64
		if err := rows.Scan(&k.ID, &secret, &created); err != nil {
			return nil, fmt.Errorf("read ticket keys: %w", err)
		}
		if k.Secret, err = base64.StdEncoding.DecodeString(secret); err != nil {
			return nil, fmt.Errorf("ticket key %s: %w", k.ID, err)
		}
		k.created = database.Time(created)
		keys = append(keys, k)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read ticket keys: %w", err)
	}
	return keys, nil
}

// Key describes a signing key without its secret.
type Key struct {
	ID      string    `json:"id" example:"k20260301-120000"`
	Created time.Time `json:"created"`
	State   string    `json:"state" enum:"new,signing,accepted" doc:"new: known, not signing yet. signing: new URLs are signed with it. accepted: URLs of it still play."`
	// Until is when the last ticket of a key that no longer signs has expired.
	Until *time.Time `json:"until,omitempty" doc:"For accepted keys: when the last URL of it has expired; retire it then."`
}

// List returns the keys, newest first.
func (s *Service) List(ctx context.Context) ([]Key, error) {
	keys, err := read(ctx, s.c.DB)
	if err != nil {
		return nil, err
	}
	return s.describe(keys), nil
}

func (s *Service) describe(keys []stored) []Key {
	signer := s.signer(keys)
	out := make([]Key, len(keys))
	for i, k := range keys {
		out[i] = Key{ID: k.ID, Created: k.created, State: "signing"}
		switch {
		case i < signer:
			out[i].State = "new"
		case i > signer:
			out[i].State = "accepted"
			out[i].Until = new(keys[i-1].created.Add(s.c.Settle + ticket.MaxLife + ticket.Skew))
		}
	}
	return out
}

var (
	errFixed = melodyud.Refuse(melodyud.ErrConflict, "ticket-key.fixed",
		"The keys of this server are in its configuration: put a new one in front of MELODYUD_TICKET_KEYS and restart the processes one by one.")
	errMany = melodyud.Refuse(melodyud.ErrConflict, "ticket-key.many",
		"There are many ticket keys already. Retire those that are no longer in use.")
	errNoKey = melodyud.Refuse(melodyud.ErrNotFound, "ticket-key.unknown",
		"There is no such ticket key. List the keys first.")
	errInUse = melodyud.Refuse(melodyud.ErrConflict, "ticket-key.in-use",
		"Playback addresses signed with this key are still in use. Wait until they have expired, or retire it at once with now: they stop then.")
	errSigning = melodyud.Refuse(melodyud.ErrConflict, "ticket-key.signing",
		"This key signs new playback addresses. Rotate first, and retire it a few seconds later.")
)

// maxKeys bounds what every check of a ticket may have to look through.
const maxKeys = 16

// Rotate makes a new key, which signs from Settle later on. Errors: ErrConflict.
func (s *Service) Rotate(ctx context.Context) (Key, error) {
	if s.c.Fixed {
		return Key{}, errFixed
	}
	now := s.c.Now()
	id := "k" + now.UTC().Format("20060102-150405.000")
	fresh := stored{Key: ticket.Key{ID: id[:16] + "-" + id[17:], Secret: make([]byte, 32)}, created: now.UTC()}
	_, _ = rand.Read(fresh.Secret) // never fails: it aborts the process instead
	err := s.c.DB.InTx(ctx, func(tx database.Tx) error {
		keys, err := read(ctx, tx)
		if err != nil {
			return err
		}
		if len(keys) >= maxKeys {
			return errMany
		}
		_, err = tx.Exec(ctx, `INSERT INTO ticket_keys (id, secret, created) VALUES (?, ?, ?)`,
			fresh.ID, base64.StdEncoding.EncodeToString(fresh.Secret), database.Millis(now))
		return err
	})
	if err != nil {
		return Key{}, fmt.Errorf("rotate ticket keys: %w", err)
	}
	return Key{ID: fresh.ID, Created: fresh.created.Truncate(time.Millisecond), State: "new"}, nil
}

// Retire removes a key: what it signed is refused within a second. The key that
// signs cannot be retired; one whose tickets may still be in use only if at once.
// Errors: ErrNotFound, ErrConflict.
func (s *Service) Retire(ctx context.Context, id string, atOnce bool) error {
	if s.c.Fixed {
		return errFixed
	}
	err := s.c.DB.InTx(ctx, func(tx database.Tx) error {
		keys, err := read(ctx, tx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(keys, func(k stored) bool { return k.ID == id })
		if i < 0 {
			return errNoKey
		}
		switch k := s.describe(keys)[i]; {
		case k.State == "signing":
			return errSigning
		case k.State == "accepted" && s.c.Now().Before(*k.Until) && !atOnce:
			return errInUse
		}
		_, err = tx.Exec(ctx, `DELETE FROM ticket_keys WHERE id = ?`, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("retire ticket key: %w", err)
	}
	return nil
}
