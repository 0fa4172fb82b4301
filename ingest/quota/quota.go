// Package quota keeps creators within what they were granted: bytes stored, hours
// of sound, and uploads a day.
//
// Nothing is counted up or down. What an owner uses is asked of the rows, each
// time, within the transaction that adds to it: so two uploads that race cannot
// both take the last place, an upload that is refused, expires or is cancelled and
// a track that is withdrawn give back what they held by themselves, and no crash
// leaves a count wrong.
package quota

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
)

// tracks knows what has become of uploads.
type tracks interface {
	// Stored sums up the owner's tracks that are received or published: the bytes of
	// their masters, how many of these bytes have no known length of sound yet, and the
	// sound of the others. It names those of the uploads whose masters are among them.
	Stored(ctx context.Context, q database.Querier, owner melodyud.UserID, uploads []melodyud.UploadID) (
		bytes, unmeasured int64, sound time.Duration, among []melodyud.UploadID, err error)
}

// Limits are what an owner may use; 0 is no limit.
type Limits struct {
	Bytes   int64         // of masters, stored or being uploaded
	Sound   time.Duration // of all tracks together
	Uploads int64         // started within one day of UTC
}

// Config configures a Service.
type Config struct {
	DB      database.DB           // required
	Tracks  tracks                // required
	Default Limits                // of owners without an entry of their own; default: none
	Logger  *slog.Logger          // default: discards
	Metrics prometheus.Registerer // default: a private registry
	Now     func() time.Time      // default time.Now
}

// Service knows limits and use. Safe for concurrent use.
type Service struct {
	config   Config
	refusals *prometheus.CounterVec
}

// New returns a service. A limit below zero is an error.
func New(c Config) (*Service, error) {
	if c.DB == nil || c.Tracks == nil {
		return nil, errors.New("quota: Config needs DB and Tracks")
	}
	if c.Default.Bytes < 0 || c.Default.Sound < 0 || c.Default.Uploads < 0 {
		return nil, fmt.Errorf("%w: a quota cannot be negative; 0 is no limit", melodyud.ErrInvalid)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Service{config: c, refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "melodyud_ingest_quota_refusals_total", Help: "Uploads that a quota refused.",
	}, []string{"code"})}
	if err := c.Metrics.Register(s.refusals); err != nil {
		return nil, fmt.Errorf("register quota metrics: %w", err)
	}
	return s, nil
}

// Use is what an owner's quota stands at.
type Use struct {
	Limits          Limits
	Bytes, Reserved int64         // of tracks; of uploads under way
	Sound, Expected time.Duration // of tracks; guessed of what has not been rendered yet
	Uploads         int64         // started today, but for those that came to nothing
	Resets          time.Time     // when the next day begins
}

// expectedRate is the sound of a CD in bytes a second: what is not rendered yet is
// taken to last at least its size by this.
const expectedRate = 44100 * 2 * 2

func expected(bytes int64) time.Duration {
	return time.Duration(bytes/expectedRate)*time.Second + time.Duration(bytes%expectedRate)*time.Second/expectedRate
}

// Use returns what the owner uses as q sees it.
func (s *Service) Use(ctx context.Context, q database.Querier, owner melodyud.UserID) (Use, error) {
	l, err := s.limits(ctx, q, owner)
	if err != nil {
		return Use{}, err
	}
	return s.use(ctx, q, owner, l)
}

func (s *Service) use(ctx context.Context, q database.Querier, owner melodyud.UserID, l Limits) (Use, error) {
	today := s.config.Now().UTC().Truncate(24 * time.Hour)
	u := Use{Limits: l, Resets: today.Add(24 * time.Hour)}
	under, err := u.reserve(ctx, q, owner)
	if err != nil {
		return Use{}, fmt.Errorf("uploads of %s: %w", owner, err)
	}
	err = q.QueryRow(ctx, `SELECT COUNT(*) FROM uploads WHERE owner = ? AND created >= ?
		AND state NOT IN ('refused', 'expired', 'ended') AND concat <> 'partial'`,
		[]any{string(owner), database.Millis(today)}, &u.Uploads)
	if err != nil {
		return Use{}, fmt.Errorf("uploads of %s today: %w", owner, err)
	}
	bytes, unmeasured, sound, among, err := s.config.Tracks.Stored(ctx, q, owner, slices.Sorted(maps.Keys(under)))
	if err != nil {
		return Use{}, fmt.Errorf("tracks of %s: %w", owner, err)
	}
	for _, id := range among { // it became a track a moment ago, and counts once
		u.Reserved -= under[id]
	}
	u.Bytes, u.Sound, u.Expected = bytes, sound, expected(unmeasured+u.Reserved)
	return u, nil
}

// reserve adds up the uploads under way and returns what each takes.
func (u *Use) reserve(ctx context.Context, q database.Querier, owner melodyud.UserID) (map[melodyud.UploadID]int64, error) {
	rows, err := q.Query(ctx, `SELECT id, length, progress, concat FROM uploads
		WHERE owner = ? AND state NOT IN ('received', 'refused', 'expired', 'ended')`, string(owner))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	under := map[melodyud.UploadID]int64{}
	for rows.Next() {
		var id melodyud.UploadID
		var concat string
		var length, progress int64
		if err := rows.Scan(&id, &length, &progress, &concat); err != nil {
			return nil, err
		}
		if !strings.HasPrefix(concat, "final") { // of bytes that its partial uploads have reserved
			under[id] = max(length, progress) // the length is -1 while it is not declared
			u.Reserved += under[id]
		}
	}
	return under, rows.Err()
}

// Reserve refuses to add an upload's bytes, or a number of uploads, that go beyond
// the owner's quota. It belongs into the transaction that adds their rows, before
// it does. Errors: ErrForbidden as quota.bytes or quota.hours, ErrLimited as
// quota.uploads.
func (s *Service) Reserve(ctx context.Context, tx database.Tx, owner melodyud.UserID, bytes, uploads int64) error {
	l, err := s.limits(ctx, tx, owner)
	if err != nil || l == (Limits{}) {
		return err
	}
	u, err := s.use(ctx, tx, owner, l)
	if err != nil {
		return err
	}
	if why := u.refuse(bytes, uploads, s.config.Now()); why != nil {
		refusal, _ := melodyud.AsRefusal(why)
		s.refusals.WithLabelValues(refusal.Code).Inc()
		return why
	}
	return nil
}

// limits are the owner's own, where there are some, or the defaults.
func (s *Service) limits(ctx context.Context, q database.Querier, owner melodyud.UserID) (Limits, error) {
	own, err := overrides(ctx, q, owner)
	if err != nil {
		return Limits{}, err
	}
	l := s.config.Default
	if own.Bytes >= 0 {
		l.Bytes = own.Bytes
	}
	if own.Sound >= 0 {
		l.Sound = own.Sound
	}
	if own.Uploads >= 0 {
		l.Uploads = own.Uploads
	}
	return l, nil
}

const unchanged = -1 // an override that leaves the default

func overrides(ctx context.Context, q database.Querier, owner melodyud.UserID) (Limits, error) {
	var l Limits
	var millis int64
	err := q.QueryRow(ctx, `SELECT bytes, sound_ms, uploads FROM quotas WHERE owner = ?`, []any{string(owner)}, &l.Bytes, &millis, &l.Uploads)
	if errors.Is(err, melodyud.ErrNotFound) {
		return Limits{unchanged, unchanged, unchanged}, nil
	}
	if err != nil {
		return Limits{}, fmt.Errorf("quota of %s: %w", owner, err)
	}
	if l.Sound = time.Duration(millis) * time.Millisecond; millis < 0 {
		l.Sound = unchanged
	}
	return l, nil
}

// Override sets limits for one owner alone; those below zero stay the default's.
func (s *Service) Override(ctx context.Context, owner melodyud.UserID, l Limits) error {
	millis := l.Sound.Milliseconds()
	if l.Sound < 0 {
		millis = unchanged
	}
	_, err := s.config.DB.Exec(ctx, `INSERT INTO quotas (owner, bytes, sound_ms, uploads) VALUES (?, ?, ?, ?)
		ON CONFLICT (owner) DO UPDATE SET bytes = excluded.bytes, sound_ms = excluded.sound_ms, uploads = excluded.uploads`,
		string(owner), max(l.Bytes, unchanged), millis, max(l.Uploads, unchanged))
	if err != nil {
		return fmt.Errorf("set quota of %s: %w", owner, err)
	}
	return nil
}

// Reset makes the owner's limits the default ones again.
func (s *Service) Reset(ctx context.Context, owner melodyud.UserID) error {
	if _, err := s.config.DB.Exec(ctx, `DELETE FROM quotas WHERE owner = ?`, string(owner)); err != nil {
		return fmt.Errorf("reset quota of %s: %w", owner, err)
	}
	return nil
}
