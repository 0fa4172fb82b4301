package insights

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
)

// Day is what counts of one day, in UTC.
type Day struct {
	Date        time.Time // its midnight
	Plays       int64     // counted streams
	Listeners   int64     // different ones with a counted stream
	Completions int64     // plays to the end, or of nine tenths of the track
	Skips       int64     // plays that the listener left before the end
	EarlySkips  int64     // those of them of less than 30 seconds
	Heard       time.Duration
}

// Days returns the last n days of a track, oldest first, up to the one of now, and
// the sums of all days there ever were. Listeners of the sum are those of each day
// added up: pseudonyms change, so nobody can know more.
func (s *Service) Days(ctx context.Context, id melodyud.TrackID, now time.Time, n int) (days []Day, all Day, err error) {
	last := dayOf(database.Millis(now))
	days = make([]Day, n)
	for i := range days {
		days[i].Date = time.UnixMilli((last - int64(n-1-i)) * day.Milliseconds()).UTC()
	}
	add := func(on int64, d Day) {
		all = all.plus(d)
		if i := int(on - last + int64(n) - 1); i >= 0 && i < n {
			days[i] = days[i].plus(d)
		}
	}
	err = s.each(ctx, func(rows *sql.Rows) error {
		var on, ms int64
		var d Day
		err := rows.Scan(&on, &d.Plays, &d.Completions, &d.Skips, &d.EarlySkips, &ms)
		d.Heard = time.Duration(ms) * time.Millisecond
		add(on, d)
		return err
	}, `SELECT day, SUM(plays), SUM(completions), SUM(skips), SUM(early_skips), SUM(heard_ms) FROM play_days
		WHERE release IN (SELECT release FROM play_releases WHERE track = ?) GROUP BY day`, string(id))
	if err != nil {
		return nil, Day{}, err
	}
	err = s.each(ctx, func(rows *sql.Rows) error {
		var on int64
		var d Day
		err := rows.Scan(&on, &d.Listeners)
		add(on, d)
		return err
	}, `SELECT day, COUNT(DISTINCT listener) FROM play_listeners
		WHERE release IN (SELECT release FROM play_releases WHERE track = ?) GROUP BY day`, string(id))
	return days, all, err
}

// plus adds up; the date stays.
func (d Day) plus(e Day) Day {
	d.Plays, d.Listeners, d.Completions = d.Plays+e.Plays, d.Listeners+e.Listeners, d.Completions+e.Completions
	d.Skips, d.EarlySkips, d.Heard = d.Skips+e.Skips, d.EarlySkips+e.EarlySkips, d.Heard+e.Heard
	return d
}

// Count is how often a track was played.
type Count struct {
	Track      melodyud.TrackID
	Plays      int64   // counted streams ever
	PlaysByDay []int64 // of the last days, oldest first
}

// Counts returns how often tracks were played, in their order, with the last n days
// up to the one of now. Those that are not owner's are left out; an empty owner is
// everybody.
func (s *Service) Counts(ctx context.Context, owner melodyud.UserID, tracks []melodyud.TrackID, now time.Time, n int) ([]Count, error) {
	if len(tracks) == 0 {
		return nil, nil
	}
	first := dayOf(database.Millis(now)) - int64(n) + 1
	known := map[melodyud.TrackID]*Count{}
	args := []any{string(owner), string(owner)}
	for _, id := range tracks {
		args = append(args, string(id))
	}
	err := s.each(ctx, func(rows *sql.Rows) error {
		var id melodyud.TrackID
		var on, plays int64
		if err := rows.Scan(&id, &on, &plays); err != nil {
			return err
		}
		c := known[id]
		if c == nil {
			c = &Count{Track: id, PlaysByDay: make([]int64, n)}
			known[id] = c
		}
		c.Plays += plays
		if i := on - first; i >= 0 && i < int64(n) {
			c.PlaysByDay[i] += plays
		}
		return nil
	}, `SELECT r.track, COALESCE(d.day, 0), COALESCE(SUM(d.plays), 0)
		FROM play_releases r LEFT JOIN play_days d ON d.release = r.release
		WHERE (? = '' OR r.owner = ?) AND r.track IN (?`+strings.Repeat(", ?", len(tracks)-1)+`) GROUP BY r.track, COALESCE(d.day, 0)`, args...)
	if err != nil {
		return nil, err
	}
	var counts []Count
	for _, id := range tracks {
		if c := known[id]; c != nil {
			counts = append(counts, *c)
			delete(known, id) // asked for twice, answered once
		}
	}
	return counts, nil
}

func (s *Service) each(ctx context.Context, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := s.c.DB.Query(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("read plays: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return fmt.Errorf("read plays: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read plays: %w", err)
	}
	return nil
}
