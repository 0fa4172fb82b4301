package sound

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/queue"
)

// The states of a back-fill.
const (
	running   = "running"
	done      = "done"
	cancelled = "cancelled"
)

// TaskReanalyze wakes a worker for what Next has.
const TaskReanalyze = "sound:reanalyze"

// Reanalysis is a back-fill: published tracks that are listened to anew, one after
// the other, while nothing more urgent waits.
type Reanalysis struct {
	ID      string    `json:"id"`
	State   string    `json:"state" enum:"running,done,cancelled"`
	Where   string    `json:"where" doc:"Which tracks: all, track=…, owner=…, analyzer_version < N, joined by \"and\"."`
	PerHour int64     `json:"per_hour" doc:"Most tracks an hour; 0: as fast as the workers can."`
	Total   int       `json:"total" doc:"Tracks counted at the start."`
	Sound   float64   `json:"sound_seconds" doc:"How long they are together."`
	Done    int       `json:"done"`
	Skipped int       `json:"skipped" doc:"Withdrawn or replaced meanwhile."`
	Failed  int       `json:"failed" doc:"Given up after three attempts."`
	InHand  int       `json:"in_hand" doc:"Held by a worker now, or by one that died."`
	Reason  string    `json:"reason,omitempty" doc:"Of the last failure."`
	Rate    float64   `json:"tracks_per_hour" doc:"How fast it goes."`
	Left    *float64  `json:"seconds_left" doc:"At that rate; null while nobody knows."`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`

	which   melodyud.Hearing
	next    int64
	after   melodyud.TrackID
	drained bool
}

const selectReanalyses = `SELECT id, state, of_track, of_owner, below, per_hour, next, after, drained, total, sound_ms, done, skipped, failed,
	reason, created, updated, (SELECT COUNT(*) FROM reanalysis_leases l WHERE l.reanalysis = reanalyses.id) FROM reanalyses `

func (s *Service) load(ctx context.Context, q database.Querier, where string, args ...any) ([]Reanalysis, error) {
	rows, err := q.Query(ctx, selectReanalyses+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read reanalyses: %w", err)
	}
	defer rows.Close()
	var all []Reanalysis
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("read reanalyses: %w", err)
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

func scan(rows *sql.Rows) (r Reanalysis, err error) {
	var soundMS, drained, created, updated int64
	err = rows.Scan(&r.ID, &r.State, &r.which.Track, &r.which.Owner, &r.which.Below, &r.PerHour, &r.next, &r.after, &drained,
		&r.Total, &soundMS, &r.Done, &r.Skipped, &r.Failed, &r.Reason, &created, &updated, &r.InHand)
	r.Where, r.Sound, r.drained = where(r.which), float64(soundMS)/1000, drained != 0
	r.Created, r.Updated = database.Time(created), database.Time(updated)
	r.estimate()
	return r, err
}

// estimate says how fast it goes and how long it will last.
func (r *Reanalysis) estimate() {
	over := r.Done + r.Skipped + r.Failed
	if spent := r.Updated.Sub(r.Created).Hours(); over > 0 && spent > 0 {
		r.Rate = float64(over) / spent
	}
	if r.State != running {
		r.Left = new(0.0)
	} else if r.Rate > 0 {
		r.Left = new(float64(max(0, r.Total-over)) / r.Rate * 3600)
	}
}

// Start begins a back-fill of which tracks, at most perHour an hour (0: as fast as
// the workers can), and rings for it.
func (s *Service) Start(ctx context.Context, which melodyud.Hearing, perHour int64) (Reanalysis, error) {
	total, seconds, err := s.c.Library.CountHeard(ctx, which)
	if err != nil {
		return Reanalysis{}, err
	}
	id, now := "rea_"+rand.Text(), database.Millis(s.c.Now())
	_, err = s.c.Database.Exec(ctx, `INSERT INTO reanalyses (id, state, of_track, of_owner, below, per_hour, next, total, sound_ms, created, updated)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, id, running, string(which.Track), string(which.Owner), which.Below, perHour, now,
		total, int64(seconds*1000), now, now)
	if err != nil {
		return Reanalysis{}, fmt.Errorf("start reanalysis: %w", err)
	}
	s.ring(ctx, id)
	return s.Reanalysis(ctx, id)
}

const ringPatience = 2 * time.Second

// ring wakes a worker. A lost ring is made good by the workers' sweep.
func (s *Service) ring(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ringPatience)
	defer cancel()
	if err := s.c.Bell.Ring(ctx, queue.Task{Type: TaskReanalyze, Subject: id, Urgency: queue.Bulk}); err != nil {
		s.c.Logger.WarnContext(ctx, "ring lost", "reanalysis", id, "error", err)
	}
}

var errNoReanalysis = melodyud.Refuse(melodyud.ErrNotFound, "reanalysis.not-found", "There is no such reanalysis. List them with: melodyud reanalyze --status.")

// Reanalysis returns one back-fill. Errors: ErrNotFound.
func (s *Service) Reanalysis(ctx context.Context, id string) (Reanalysis, error) {
	all, err := s.load(ctx, s.c.Database, `WHERE id = ?`, id)
	if err == nil && len(all) == 0 {
		err = errNoReanalysis
	}
	if err != nil {
		return Reanalysis{}, err
	}
	return all[0], nil
}

// Reanalyses returns the last 100 back-fills, the latest first.
func (s *Service) Reanalyses(ctx context.Context) ([]Reanalysis, error) {
	return s.load(ctx, s.c.Database, `ORDER BY created DESC, id LIMIT 100`)
}

// Cancel ends a back-fill; tracks in hand are not waited for. Cancelling again, or
// what is done, changes nothing. Errors: ErrNotFound.
func (s *Service) Cancel(ctx context.Context, id string) (Reanalysis, error) {
	err := s.c.Database.InTx(ctx, func(tx database.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE reanalyses SET state = ?, updated = ? WHERE id = ? AND state = ?`,
			cancelled, database.Millis(s.c.Now()), id, running)
		if err != nil || n == 0 {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM reanalysis_leases WHERE reanalysis = ?`, id)
		return err
	})
	if err != nil {
		return Reanalysis{}, fmt.Errorf("cancel reanalysis %s: %w", id, err)
	}
	return s.Reanalysis(ctx, id)
}
