package duplicates

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
)

// State is whether people have judged a pair.
type State string

const (
	stateOpen      State = "open"
	stateDismissed State = "dismissed"
)

// Pair is two tracks that may be the same. First is the older one.
type Pair struct {
	First, Second           melodyud.TrackID
	FirstOwner, SecondOwner melodyud.UserID
	Kind                    Kind
	Offset                  float64 // seconds: where in First Second begins; negative if it begins before it
	Score                   float64 // bit error, 0..1; of Speed how alike they sound, 0..1
	Speed                   float64 // of Second against First
	State                   State
	Found                   time.Time
}

// keepPairs writes what a look-up of p has found. Dismissed pairs stay dismissed.
func keepPairs(ctx context.Context, tx database.Tx, p *print, found []match, now int64) error {
	for _, m := range found {
		pair := pairOf(p, m)
		_, err := tx.Exec(ctx, `INSERT INTO duplicate_pairs
			(first, second, first_owner, second_owner, kind, offset_ms, score, speed, state, found)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (first, second) DO NOTHING`,
			string(pair.First), string(pair.Second), string(pair.FirstOwner), string(pair.SecondOwner), string(pair.Kind),
			int64(math.Round(pair.Offset*1000)), int64(math.Round(pair.Score*10000)), int64(math.Round(pair.Speed*1000)), string(stateOpen), now)
		if err != nil {
			return err
		}
	}
	return nil
}

// pairOf tells a match in the order of ages.
func pairOf(p *print, m match) Pair {
	if p.track > m.other.track {
		return Pair{
			First: m.other.track, Second: p.track, FirstOwner: m.other.owner, SecondOwner: p.owner,
			Kind: m.kind, Offset: m.offset, Score: m.score, Speed: m.speed,
		}
	}
	return Pair{
		First: p.track, Second: m.other.track, FirstOwner: p.owner, SecondOwner: m.other.owner,
		Kind: m.kind, Offset: -m.offset, Score: m.score, Speed: 1 / m.speed,
	}
}

// Pairs returns all pairs of a track, the most alike first.
func (s *Service) Pairs(ctx context.Context, id melodyud.TrackID) ([]Pair, error) {
	return s.pairs(ctx, `WHERE first = ? OR second = ? ORDER BY score, first, second LIMIT 100`, string(id), string(id))
}

// Judged returns pairs of all tracks in a state, up to limit of those behind a
// pair.
func (s *Service) Judged(ctx context.Context, state State, first, second melodyud.TrackID, limit int) ([]Pair, error) {
	return s.pairs(ctx, `WHERE state = ? AND (first > ? OR first = ? AND second > ?) ORDER BY first, second LIMIT ?`,
		string(state), string(first), string(first), string(second), limit)
}

func (s *Service) pairs(ctx context.Context, where string, args ...any) (list []Pair, err error) {
	err = s.each(ctx, func(rows *sql.Rows) error {
		var p Pair
		var offset, score, speed, found int64
		err := rows.Scan(&p.First, &p.Second, &p.FirstOwner, &p.SecondOwner, &p.Kind, &offset, &score, &speed, &p.State, &found)
		p.Offset, p.Score, p.Speed = float64(offset)/1000, float64(score)/10000, float64(speed)/1000
		p.Found = database.Time(found)
		list = append(list, p)
		return err
	}, `SELECT first, second, first_owner, second_owner, kind, offset_ms, score, speed, state, found FROM duplicate_pairs `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read pairs: %w", err)
	}
	return list, nil
}

// Dismiss notes that somebody says two tracks are no duplicates, or may both stay.
// Doing it again changes nothing. No such pair is ErrNotFound.
func (s *Service) Dismiss(ctx context.Context, who melodyud.UserID, a, b melodyud.TrackID) error {
	first, second := min(a, b), max(a, b)
	n, err := s.c.DB.Exec(ctx, `UPDATE duplicate_pairs SET state = ?, decided_by = ?, decided = ? WHERE first = ? AND second = ?`,
		string(stateDismissed), string(who), database.Millis(s.c.Now()), string(first), string(second))
	if err == nil && n == 0 {
		err = fmt.Errorf("%w: no such pair", melodyud.ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("dismiss %s and %s: %w", first, second, err)
	}
	return nil
}
