package duplicates

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
)

const (
	keysAtOnce = 100  // of one statement
	maxNear    = 5000 // tracks of as many beats that are compared
	perRow     = 3    // values of a posting
)

// indexed reports whether the index has a track as a fact tells it.
func (s *Service) indexed(ctx context.Context, fact melodyud.TrackFact) (bool, error) {
	var release, features string
	err := s.c.DB.QueryRow(ctx, `SELECT release, features FROM duplicate_prints WHERE track = ?`, []any{string(fact.Track)}, &release, &features)
	if errors.Is(err, melodyud.ErrNotFound) {
		return false, nil
	}
	return release == string(fact.Release) && features == fact.FeaturesHash, err
}

// lookup finds what sounds like p, and which of p's keys are those of so many
// tracks that no more are indexed.
func (s *Service) lookup(ctx context.Context, p *print) (found []match, crowded map[uint32]bool, err error) {
	hits, crowded, err := s.hits(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	seen := map[int64]bool{}
	for _, c := range ranked(hits) {
		other, err := s.load(ctx, `id = ?`, c.print)
		if err != nil {
			return nil, nil, err
		}
		for _, o := range other {
			if m, ok := compare(p, o, c.offsets); ok {
				found = append(found, m)
				seen[o.id] = true
			}
		}
	}
	near, err := s.atOtherSpeeds(ctx, p, seen)
	return append(found, near...), crowded, err
}

// hits reads the postings of p's keys.
func (s *Service) hits(ctx context.Context, p *print) (hits []hit, crowded map[uint32]bool, err error) {
	places := map[uint32][]int{}
	var keys []any
	for _, k := range p.queryKeys() {
		if places[k.key] == nil {
			keys = append(keys, int64(k.key))
		}
		places[k.key] = append(places[k.key], k.position)
	}
	count := map[uint32]int{}
	for some := range slices.Chunk(keys, keysAtOnce) {
		err := s.each(ctx, func(rows *sql.Rows) error {
			var key uint32
			var h hit
			if err := rows.Scan(&key, &h.print, &h.offset); err != nil {
				return err
			}
			count[key]++
			for _, at := range places[key] {
				hits = append(hits, hit{h.print, h.offset - at})
			}
			return nil
		}, `SELECT k.key, k.print, k.position FROM duplicate_keys k WHERE k.key IN (`+marks(len(some))+`)
			AND k.print NOT IN (SELECT id FROM duplicate_prints WHERE track = ?)`, append(some, string(p.track))...)
		if err != nil {
			return nil, nil, err
		}
	}
	crowded = map[uint32]bool{}
	for key, n := range count {
		if n >= s.c.MaxPostings {
			crowded[key] = true
		}
	}
	return hits, crowded, nil
}

func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

// atOtherSpeeds finds p faster or slower, but for those that were found already.
func (s *Service) atOtherSpeeds(ctx context.Context, p *print, seen map[int64]bool) (found []match, err error) {
	if p.beats() == 0 || len(p.embedding) == 0 {
		return nil, nil
	}
	for _, octave := range octaves {
		beats := p.beats() * octave * 100
		near, err := s.load(ctx, `beats BETWEEN ? AND ? AND track <> ? ORDER BY id LIMIT ?`,
			int64(beats*(1-beatsTolerance)), int64(math.Ceil(beats*(1+beatsTolerance))), string(p.track), maxNear)
		if err != nil {
			return nil, err
		}
		for _, other := range near {
			if m, ok := spedUp(p, other); ok && !seen[other.id] {
				found = append(found, m)
				seen[other.id] = true
			}
		}
	}
	return found, nil
}

// load reads prints.
func (s *Service) load(ctx context.Context, where string, args ...any) (list []*print, err error) {
	err = s.each(ctx, func(rows *sql.Rows) error {
		p := &print{}
		var items, embedding string
		var duration, tempo int64
		if err := rows.Scan(&p.id, &p.track, &p.owner, &items, &duration, &tempo, &embedding); err != nil {
			return err
		}
		p.duration, p.tempo, p.embedding = float64(duration)/1000, float64(tempo)/1000, decodeVector(embedding)
		if p.items, err = decodePrint(items); err != nil {
			return err
		}
		list = append(list, p)
		return nil
	}, `SELECT id, track, owner, print, duration_ms, tempo_milli, embedding FROM duplicate_prints WHERE `+where, args...)
	return list, err
}

func (s *Service) each(ctx context.Context, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := s.c.DB.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// store puts p into the index and keeps what was found.
func (s *Service) store(ctx context.Context, p *print, found []match, crowded map[uint32]bool) error {
	now := database.Millis(s.c.Now())
	return s.c.DB.InTx(ctx, func(tx database.Tx) error {
		if err := remove(ctx, tx, p.track, p.release); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, `INSERT INTO duplicate_prints
			(track, owner, release, features, print, duration_ms, tempo_milli, beats, embedding, created)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`, []any{
			string(p.track), string(p.owner), string(p.release), p.features, encodePrint(p.items),
			int64(p.duration * 1000), int64(math.Round(p.tempo * 1000)), int64(math.Round(p.beats() * 100)), encodeVector(p.embedding), now,
		}, &p.id)
		if err != nil {
			return err
		}
		if err := insertKeys(ctx, tx, p, crowded); err != nil {
			return err
		}
		return keepPairs(ctx, tx, p, found, now)
	})
}

func insertKeys(ctx context.Context, tx database.Tx, p *print, crowded map[uint32]bool) error {
	var values []any
	for _, k := range p.indexedKeys() {
		if !crowded[k.key] {
			values = append(values, int64(k.key), p.id, k.position)
		}
	}
	for some := range slices.Chunk(values, perRow*keysAtOnce) {
		_, err := tx.Exec(ctx, `INSERT INTO duplicate_keys (key, print, position) VALUES `+
			strings.TrimSuffix(strings.Repeat("(?, ?, ?), ", len(some)/perRow), ", "), some...)
		if err != nil {
			return err
		}
	}
	return nil
}

// Forget takes a track out of the index, and its pairs with it.
func (s *Service) Forget(ctx context.Context, id melodyud.TrackID) error {
	err := s.c.DB.InTx(ctx, func(tx database.Tx) error { return remove(ctx, tx, id, "") })
	if err != nil {
		return fmt.Errorf("take track %s out of the index: %w", id, err)
	}
	return nil
}

// remove deletes what is known of a track. Pairs that were dismissed stay if it
// keeps its release.
func remove(ctx context.Context, tx database.Tx, id melodyud.TrackID, keep melodyud.ReleaseID) error {
	p := &print{track: id}
	var items string
	err := tx.QueryRow(ctx, `SELECT id, release, print FROM duplicate_prints WHERE track = ?`, []any{string(id)}, &p.id, &p.release, &items)
	if errors.Is(err, melodyud.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if p.items, err = decodePrint(items); err != nil {
		return err
	}
	for some := range slices.Chunk(p.indexedKeys(), keysAtOnce) {
		args := []any{p.id}
		for _, k := range some {
			args = append(args, int64(k.key))
		}
		if _, err := tx.Exec(ctx, `DELETE FROM duplicate_keys WHERE print = ? AND key IN (`+marks(len(some))+`)`, args...); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, `DELETE FROM duplicate_prints WHERE id = ?`, p.id); err != nil {
		return err
	}
	dismissed := string(stateDismissed)
	if p.release != keep {
		dismissed = ""
	}
	_, err = tx.Exec(ctx, `DELETE FROM duplicate_pairs WHERE (first = ? OR second = ?) AND state <> ?`, string(id), string(id), dismissed)
	return err
}
