package ads

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/eventlog"
)

// HeardConfig configures a Heard.
type HeardConfig struct {
	DB     database.DB      // required
	Events eventlog.Log     // required: the facts of listening
	Logger *slog.Logger     // default: discards
	Now    func() time.Time // default time.Now
}

// Heard counts what is told of ads, and learns from the facts of listening who heard
// their break, so that they do not owe it any more (AD-23): a player told that an ad was heard to its end or, of players
// that tell nothing, the edge sent the ad's sound. Its Run may run in many processes at
// once: the event log lets one of them work.
type Heard struct {
	c     HeardConfig
	swept atomic.Int64 // when old breaks were last forgotten, unix milliseconds
}

// NewHeard returns a Heard. A missing database or log is ErrInvalid.
func NewHeard(c HeardConfig) (*Heard, error) {
	if c.DB == nil || c.Events == nil {
		return nil, fmt.Errorf("%w: who hears ads needs a database and an event log", melodyud.ErrInvalid)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Heard{c: c}, nil
}

// Run follows the facts until ctx ends.
func (h *Heard) Run(ctx context.Context) error {
	return h.c.Events.Consume(ctx, melodyud.TopicPlayback, "ads", h.Handle)
}

// Handle learns from a batch of facts. Doing it again changes nothing. Only an outage
// is an error.
func (h *Heard) Handle(ctx context.Context, events []melodyud.Event) error {
	for _, e := range events {
		err := h.learn(ctx, e)
		if errors.Is(err, melodyud.ErrUnavailable) || errors.Is(err, melodyud.ErrLimited) || ctx.Err() != nil {
			return err
		}
		if err != nil {
			h.c.Logger.WarnContext(ctx, "fact of an ad passed over", slog.String("event", string(e.ID)), slog.Any("error", err))
		}
	}
	return h.sweep(ctx)
}

func (h *Heard) learn(ctx context.Context, e melodyud.Event) error {
	switch e.Type {
	case melodyud.AdImpression, melodyud.AdCompleted, melodyud.AdError:
		var f melodyud.AdFact
		if err := json.Unmarshal(e.Data, &f); err != nil {
			return err
		}
		return h.told(ctx, e, f)
	case melodyud.SegmentsServed:
		var f melodyud.DeliveryFact
		if err := json.Unmarshal(e.Data, &f); err != nil {
			return err
		}
		return h.served(ctx, f, e.Time)
	}
	return nil
}

// columns are where facts of ads are counted.
var columns = map[string]string{
	melodyud.AdImpression: "impressions", melodyud.AdCompleted: "completions", melodyud.AdError: "errors",
}

func (h *Heard) told(ctx context.Context, e melodyud.Event, f melodyud.AdFact) (err error) {
	switch e.Type {
	case melodyud.AdCompleted:
		err = h.heard(ctx, f.Session, e.Time, true)
	case melodyud.AdImpression:
		_, err = h.c.DB.Exec(ctx, `UPDATE ad_breaks SET told = 1 WHERE session = ? AND told = 0`, f.Session)
	}
	if err != nil || f.Ad == "" {
		return err
	}
	return h.c.DB.InTx(ctx, func(tx database.Tx) error {
		n, err := tx.Exec(ctx, `INSERT INTO ad_facts (event, told) VALUES (?, ?) ON CONFLICT (event) DO NOTHING`,
			string(e.ID), database.Millis(h.c.Now()))
		if err != nil || n == 0 {
			return err
		}
		column := columns[e.Type]
		_, err = tx.Exec(ctx, `UPDATE house_ads SET `+column+` = `+column+` + 1 WHERE track = ?`, f.Ad)
		return err
	})
}

// enough is how many segments of an ad a player that tells nothing has to fetch.
const enough = 3

func (h *Heard) served(ctx context.Context, f melodyud.DeliveryFact, at time.Time) error {
	var n int64
	for _, count := range f.Segments {
		n += count
	}
	if n < enough {
		return nil
	}
	var ads int64
	err := h.c.DB.QueryRow(ctx, `SELECT COUNT(*) FROM house_ads a JOIN ad_breaks b ON b.session = ? WHERE a.track = ?`,
		[]any{f.Session, string(f.Track)}, &ads)
	if err != nil || ads == 0 {
		return err
	}
	return h.heard(ctx, f.Session, at, false)
}

// heard notes that the listener of a session had their break. What the edge sent says
// nothing of players that tell for themselves.
func (h *Heard) heard(ctx context.Context, session string, at time.Time, told bool) error {
	var listener string
	err := h.c.DB.QueryRow(ctx, `SELECT listener FROM ad_breaks WHERE session = ? AND told <= ?`, []any{session, truth(told)}, &listener)
	if errors.Is(err, melodyud.ErrNotFound) {
		return nil // nothing was owed
	}
	if err != nil {
		return err
	}
	if now := h.c.Now(); at.After(now) {
		at = now // by a player's clock
	}
	_, err = h.c.DB.Exec(ctx, `INSERT INTO ad_listeners (listener, broke) VALUES (?, ?)
		ON CONFLICT (listener) DO UPDATE SET broke = excluded.broke WHERE ad_listeners.broke < excluded.broke`,
		listener, database.Millis(at))
	return err
}

const (
	owed   = 24 * time.Hour     // how long a break is owed by one ticket
	retold = 3 * 24 * time.Hour // how long facts may come again: players tell for a day
)

// sweep forgets old breaks, once an hour.
func (h *Heard) sweep(ctx context.Context) error {
	now := h.c.Now()
	if now.UnixMilli()-h.swept.Load() < time.Hour.Milliseconds() {
		return nil
	}
	h.swept.Store(now.UnixMilli())
	_, err := h.c.DB.Exec(ctx, `DELETE FROM ad_breaks WHERE asked < ?`, database.Millis(now.Add(-owed)))
	if err == nil {
		_, err = h.c.DB.Exec(ctx, `DELETE FROM ad_facts WHERE told < ?`, database.Millis(now.Add(-retold)))
	}
	if err != nil {
		return fmt.Errorf("forget old breaks: %w", err)
	}
	return nil
}
