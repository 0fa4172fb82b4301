package insights

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/insights/heard"
)

// learnReleases notes which track a release is of.
func learnReleases(ctx context.Context, tx database.Tx, events []melodyud.Event) (int, error) {
	for _, e := range events {
		var f melodyud.TrackFact
		if e.Type != melodyud.TrackPublished || json.Unmarshal(e.Data, &f) != nil || f.Release == "" {
			continue
		}
		_, err := tx.Exec(ctx, `INSERT INTO play_releases (release, track, owner) VALUES (?, ?, ?) ON CONFLICT (release) DO NOTHING`,
			string(f.Release), string(f.Track), string(f.Owner))
		if err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// key names a play.
type key struct{ session, play string }

// play is one play as far as it has been told.
type play struct {
	key
	release                            melodyud.ReleaseID
	length                             int64 // ms; 0: not known
	heard                              heard.Set
	ended, counted, completed, skipped bool
	touched                            int64
}

// session is what plays of one ticket have in common.
type session struct {
	name         string
	issued       int64 // unix ms; 0: not known
	heard, plays int64
	touched      int64
}

// change is what a fact adds to a day of a release.
type change struct {
	plays, completions, skips, early, heard int64
}

// batch is the plays and sessions that a batch of facts tells of.
type batch struct {
	ctx      context.Context
	tx       database.Tx
	plays    map[key]*play
	sessions map[string]*session
	counted  int
}

// foldPlays folds facts of plays; it returns how many plays have come to count.
func (s *Service) foldPlays(ctx context.Context, tx database.Tx, events []melodyud.Event) (int, error) {
	b := &batch{ctx: ctx, tx: tx, plays: map[key]*play{}, sessions: map[string]*session{}}
	for _, e := range events {
		f, ok := factOf(e)
		if !ok {
			continue
		}
		if err := b.fold(e, &f); err != nil {
			return 0, err
		}
	}
	if err := b.write(); err != nil {
		return 0, err
	}
	return b.counted, s.sweep(ctx, tx, events)
}

// factOf reads a fact that tells of what was heard, or how a play went.
func factOf(e melodyud.Event) (f melodyud.PlaybackFact, ok bool) {
	switch e.Type {
	case melodyud.PlaybackHeard, melodyud.PlaybackPaused, melodyud.PlaybackSeeked, melodyud.PlaybackStalled,
		melodyud.PlaybackSwitched, melodyud.PlaybackSkipped, melodyud.PlaybackEnded, melodyud.PlaybackFailed:
		err := json.Unmarshal(e.Data, &f)
		return f, err == nil && f.Session != "" && f.Play != "" && f.Release != ""
	}
	return f, false
}

// mostPlays bounds what one ticket can make rows of.
const mostPlays = 1000

func (b *batch) fold(e melodyud.Event, f *melodyud.PlaybackFact) error {
	own, err := b.session(f)
	if err != nil {
		return err
	}
	one, err := b.play(f, own)
	if err != nil || one == nil {
		return err
	}
	at := database.Millis(e.Time)
	own.touched, one.touched = max(own.touched, at), max(one.touched, at)
	if f.Release != one.release {
		return nil // a play is of one track
	}
	done := one.take(e.Type, f, own)
	if own.plausible(at) && !one.counted && heard.Counts(one.heard.Length(), one.length, one.ended) {
		one.counted, done.plays = true, 1
		if err := b.count(e, f, one); err != nil {
			return err
		}
	}
	return b.add(one.release, dayOf(at), done)
}

// clockSlack is by how much listening may seem to outrun the clock.
const clockSlack = 10 * time.Second

// plausible reports whether there was time at all for what a session has heard.
func (s *session) plausible(at int64) bool {
	return s.issued == 0 || s.heard <= at-s.issued+clockSlack.Milliseconds()
}

// take adds what a fact tells, and returns what of it is new.
func (p *play) take(typ string, f *melodyud.PlaybackFact, own *session) (done change) {
	p.length = max(p.length, f.Length)
	for _, i := range f.Heard {
		done.heard += p.heard.Add(i)
	}
	own.heard += done.heard
	p.ended = p.ended || typ == melodyud.PlaybackEnded
	if !p.completed && heard.Completes(p.heard.Length(), p.length, p.ended) {
		p.completed, done.completions = true, 1
	}
	if !p.skipped && typ == melodyud.PlaybackSkipped {
		p.skipped, done.skips = true, 1
		if p.heard.Length() < heard.Enough {
			done.early = 1
		}
	}
	return done
}

// count tells that a play counts, and remembers who listened.
func (b *batch) count(e melodyud.Event, f *melodyud.PlaybackFact, one *play) error {
	b.counted++
	listener := f.Listener
	if listener == "" {
		listener = f.Session
	}
	_, err := b.tx.Exec(b.ctx, `INSERT INTO play_listeners (release, day, listener) VALUES (?, ?, ?) ON CONFLICT (release, day, listener) DO NOTHING`,
		string(one.release), dayOf(database.Millis(e.Time)), listener)
	if err != nil {
		return err
	}
	told := melodyud.NewEvent(e.Time, melodyud.StreamCounted, e.Subject, melodyud.StreamFact{
		Play: f.Play, Session: f.Session, Listener: f.Listener, Tier: f.Tier, Track: f.Track, Release: f.Release, Heard: one.heard.Length(),
	})
	told.ID = melodyud.EventIDOf("counted", f.Session, f.Play)
	return b.tx.Emit(b.ctx, melodyud.TopicPlayback, told)
}

const day = 24 * time.Hour

// dayOf is the day of a time in unix milliseconds.
func dayOf(ms int64) int64 { return ms / day.Milliseconds() }

func (b *batch) add(release melodyud.ReleaseID, day int64, c change) error {
	if c == (change{}) {
		return nil
	}
	_, err := b.tx.Exec(b.ctx, `INSERT INTO play_days (release, day, plays, completions, skips, early_skips, heard_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (release, day) DO UPDATE SET plays = play_days.plays + excluded.plays,
			completions = play_days.completions + excluded.completions, skips = play_days.skips + excluded.skips,
			early_skips = play_days.early_skips + excluded.early_skips, heard_ms = play_days.heard_ms + excluded.heard_ms`,
		string(release), day, c.plays, c.completions, c.skips, c.early, c.heard)
	return err
}

// session finds the session of a fact, or begins it.
func (b *batch) session(f *melodyud.PlaybackFact) (*session, error) {
	own := b.sessions[f.Session]
	if own == nil {
		own = &session{name: f.Session}
		err := b.tx.QueryRow(b.ctx, `SELECT issued, heard_ms, plays, touched FROM play_sessions WHERE session = ?`, []any{f.Session},
			&own.issued, &own.heard, &own.plays, &own.touched)
		if err != nil && !errors.Is(err, melodyud.ErrNotFound) {
			return nil, err
		}
		b.sessions[f.Session] = own
	}
	if issued := database.Millis(f.Issued); !f.Issued.IsZero() && (own.issued == 0 || issued < own.issued) {
		own.issued = issued // a renewed ticket is younger than its session
	}
	return own, nil
}

// play finds the play of a fact, or begins it; nil if the session has too many.
func (b *batch) play(f *melodyud.PlaybackFact, own *session) (*play, error) {
	k := key{f.Session, f.Play}
	if known := b.plays[k]; known != nil {
		return known, nil
	}
	one := &play{key: k}
	var text string
	err := b.tx.QueryRow(b.ctx, `SELECT release, length_ms, heard, ended, counted, completed, skipped, touched FROM plays
		WHERE session = ? AND play = ?`, []any{k.session, k.play},
		&one.release, &one.length, &text, &one.ended, &one.counted, &one.completed, &one.skipped, &one.touched)
	switch {
	case errors.Is(err, melodyud.ErrNotFound):
		if own.plays >= mostPlays {
			return nil, nil
		}
		own.plays++
		one.release = f.Release
	case err != nil:
		return nil, err
	default:
		if one.heard, err = heard.Parse(text); err != nil {
			return nil, fmt.Errorf("play %s of session %s: %w", k.play, k.session, err)
		}
	}
	b.plays[k] = one
	return one, nil
}

// write stores what has changed, always in the same order, so that transactions of
// others do not wait for each other in a circle.
func (b *batch) write() error {
	for _, one := range sorted(b.plays, func(p *play) string { return p.session + "\n" + p.play }) {
		_, err := b.tx.Exec(b.ctx, `INSERT INTO plays (session, play, release, length_ms, heard, heard_ms, ended, counted, completed, skipped, touched)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (session, play) DO UPDATE SET length_ms = excluded.length_ms,
				heard = excluded.heard, heard_ms = excluded.heard_ms, ended = excluded.ended, counted = excluded.counted,
				completed = excluded.completed, skipped = excluded.skipped, touched = excluded.touched`,
			one.session, one.play, string(one.release), one.length, one.heard.String(), one.heard.Length(),
			one.ended, one.counted, one.completed, one.skipped, one.touched)
		if err != nil {
			return err
		}
	}
	for _, own := range sorted(b.sessions, func(s *session) string { return s.name }) {
		_, err := b.tx.Exec(b.ctx, `INSERT INTO play_sessions (session, issued, heard_ms, plays, touched) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (session) DO UPDATE SET issued = excluded.issued, heard_ms = excluded.heard_ms, plays = excluded.plays, touched = excluded.touched`,
			own.name, own.issued, own.heard, own.plays, own.touched)
		if err != nil {
			return err
		}
	}
	return nil
}

func sorted[K comparable, V any](m map[K]V, name func(V) string) []V {
	return slices.SortedFunc(maps.Values(m), func(a, b V) int { return strings.Compare(name(a), name(b)) })
}

// sweep forgets plays that nothing more is told of, once in an hour of the facts'
// own time, so that making the rows anew forgets the same.
func (s *Service) sweep(ctx context.Context, tx database.Tx, events []melodyud.Event) error {
	var newest time.Time
	for _, e := range events {
		if e.Time.After(newest) {
			newest = e.Time
		}
	}
	hour := newest.Unix() / 3600
	if hour <= s.swept.Load() {
		return nil
	}
	s.swept.Store(hour)
	for _, table := range []string{"plays", "play_sessions"} {
		if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE touched < ?`, database.Millis(newest.Add(-s.c.Keep))); err != nil {
			return err
		}
	}
	return nil
}
