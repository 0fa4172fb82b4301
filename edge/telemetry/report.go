package telemetry

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

// Beacon is what a player sends: what happened since the last one that was
// acknowledged, and again what was not. Times of the clock are in milliseconds
// since 1970 as the player has it, times in the track in milliseconds.
type beacon struct {
	Sent   int64    `json:"sent"` // by the player's clock, which need not be right
	Events []report `json:"events"`
}

// report is one thing that happened.
type report struct {
	Type     string `json:"type"`
	Play     string `json:"play"`     // up to 64 letters, digits, "-" and "_"; the player makes it up
	Sequence int64  `json:"sequence"` // counts what is told of this play, from 0
	At       int64  `json:"at"`       // by the player's clock

	Release   melodyud.ReleaseID  `json:"release"` // needed where several tracks play as one
	Position  int64               `json:"position_ms"`
	Target    int64               `json:"target_ms"`
	Took      int64               `json:"took_ms"`
	Heard     []melodyud.Interval `json:"heard"`
	Rendition string              `json:"rendition"`
	Code      string              `json:"code"`

	Ad       string `json:"ad"` // of what is told of an ad
	Break    string `json:"break"`
	Place    string `json:"place"`
	Quartile int    `json:"quartile"`

	age int64 // ms since it happened; filled when read
}

// types are what a report may be, and the fact it becomes.
var types = map[string]string{
	"requested": melodyud.PlaybackRequested, "started": melodyud.PlaybackStarted, "heard": melodyud.PlaybackHeard,
	"paused": melodyud.PlaybackPaused, "seeked": melodyud.PlaybackSeeked, "stalled": melodyud.PlaybackStalled,
	"switched": melodyud.PlaybackSwitched, "skipped": melodyud.PlaybackSkipped, "ended": melodyud.PlaybackEnded,
	"failed": melodyud.PlaybackFailed,
}

// adTypes are the same for ads.
var adTypes = map[string]string{
	"ad-requested": melodyud.AdRequested, "ad-impression": melodyud.AdImpression, "ad-quartile": melodyud.AdQuartile,
	"ad-completed": melodyud.AdCompleted, "ad-skipped": melodyud.AdSkipped, "ad-error": melodyud.AdError,
}

const (
	mostReports   = 200
	mostIntervals = 100
	mostSequence  = 1_000_000
	oldest        = 24 * time.Hour // a player may have been out of reach for so long
	longest       = 24 * time.Hour // track
	slack         = 250            // ms that a player's idea of a track's end may be off
	clockSlack    = 10_000         // ms that listening may seem to outrun the clock
)

var (
	errBeacon = melodyud.Refuse(melodyud.ErrInvalid, "telemetry.invalid",
		"This report of a player cannot be read. See the documentation of the events address.")
	errRelease = melodyud.Refuse(melodyud.ErrInvalid, "telemetry.release",
		"This report tells of a track that its address does not play.")
)

// readBeacon reads and bounds what a player sends.
func readBeacon(body []byte) ([]report, error) {
	var b beacon
	if err := json.Unmarshal(body, &b); err != nil {
		return nil, errBeacon.Because(err)
	}
	if len(b.Events) > mostReports {
		return nil, errLarge
	}
	for i := range b.Events {
		one := &b.Events[i]
		if err := one.check(); err != nil {
			return nil, errBeacon.Because(fmt.Errorf("event %d: %w", i, err))
		}
		if b.Sent > 0 && one.At > 0 {
			one.age = max(0, min(b.Sent-one.At, oldest.Milliseconds()))
		}
	}
	return b.Events, nil
}

// check bounds what was read (CMCD-9); what depends on the track is checked later.
func (r *report) check() error {
	if types[r.Type] == "" && adTypes[r.Type] == "" {
		return fmt.Errorf("%w: there is no type %.20q", melodyud.ErrInvalid, r.Type)
	}
	if !plain(r.Play) {
		return fmt.Errorf("%w: play %.20q", melodyud.ErrInvalid, r.Play)
	}
	for _, s := range []string{r.Rendition, r.Code, r.Ad, r.Break, r.Place} {
		if s != "" && !plain(s) {
			return fmt.Errorf("%w: text %.20q", melodyud.ErrInvalid, s)
		}
	}
	for _, ms := range []int64{r.Position, r.Target, r.Took} {
		if ms < 0 || ms > longest.Milliseconds() {
			return fmt.Errorf("%w: time %d ms", melodyud.ErrInvalid, ms)
		}
	}
	if r.Sequence < 0 || r.Sequence > mostSequence || r.Quartile < 0 || r.Quartile > 3 || len(r.Heard) > mostIntervals || r.At < 0 {
		return fmt.Errorf("%w: out of range", melodyud.ErrInvalid)
	}
	for _, i := range r.Heard {
		if i.From < 0 || i.To <= i.From || i.To > longest.Milliseconds() || !(i.Rate >= 0 && i.Rate <= 16) || math.IsInf(i.Rate, 0) {
			return fmt.Errorf("%w: heard %d to %d ms", melodyud.ErrInvalid, i.From, i.To)
		}
	}
	return nil
}

// plain reports whether s is a name: 1 to 64 letters, digits, ".", "-" and "_".
func plain(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// release returns which of the tracks that the address plays is told of.
func (w *teller) release(r *report) (melodyud.ReleaseID, error) {
	if r.Release == "" && len(w.releases) == 1 {
		return w.releases[0], nil
	}
	if !slices.Contains(w.releases, r.Release) {
		return "", errRelease
	}
	return r.Release, nil
}

// told is one fact of a play, for the metrics.
type told struct {
	typ  string
	fact melodyud.PlaybackFact
}

// factsOf makes facts of reports, by the ticket's session and listener whoever the
// body claims to be.
func (t *Intake) factsOf(who teller, all []report, lengths map[melodyud.ReleaseID]int64) ([]melodyud.Event, []told, error) {
	var heard int64
	listener := t.pseudonym(who.claims.Account, who.now)
	events, tolds := make([]melodyud.Event, 0, len(all)), make([]told, 0, len(all))
	for i := range all {
		r := &all[i]
		release, err := who.release(r)
		if err != nil {
			return nil, nil, err
		}
		var data any
		typ := types[r.Type]
		if typ == "" {
			typ, data = adTypes[r.Type], who.adFact(r, listener)
		} else {
			f := who.playFact(r, listener, release, lengths[release])
			for _, i := range f.Heard {
				heard += i.To - i.From
			}
			tolds, data = append(tolds, told{typ, f}), f
		}
		events = append(events, who.event(typ, subject(listener, who.claims.Session), r, data))
	}
	if !who.claims.Issued.IsZero() && heard > who.now.Sub(who.claims.Issued).Milliseconds()+clockSlack {
		return nil, nil, errBeacon.Because(fmt.Errorf("%w: %d ms were heard in less time", melodyud.ErrInvalid, heard))
	}
	return events, tolds, nil
}

// event gives a fact the id that its player would give it again, and the time at
// which it happened by our clock.
func (w *teller) event(typ, subject string, r *report, data any) melodyud.Event {
	e := melodyud.NewEvent(w.now.Add(-time.Duration(r.age)*time.Millisecond), typ, subject, data)
	e.ID = melodyud.EventIDOf("player", w.claims.Session, r.Play, strconv.FormatInt(r.Sequence, 10))
	return e
}

func (w *teller) playFact(r *report, listener string, release melodyud.ReleaseID, length int64) melodyud.PlaybackFact {
	return melodyud.PlaybackFact{
		Play: r.Play, Session: w.claims.Session, Listener: listener, Tier: string(w.claims.Tier),
		Track: w.track, Release: release, Length: length, Issued: w.claims.Issued,
		Sequence: r.Sequence, Position: r.Position, Target: r.Target, Took: r.Took,
		Heard: within(r.Heard, length), Rendition: r.Rendition, Code: r.Code,
	}
}

func (w *teller) adFact(r *report, listener string) melodyud.AdFact {
	return melodyud.AdFact{
		Ad: r.Ad, Break: r.Break, Session: w.claims.Session, Listener: listener, Tier: string(w.claims.Tier), Place: r.Place,
		Track: w.track, Sequence: r.Sequence, Position: r.Position, Quartile: r.Quartile, Code: r.Code,
	}
}

// within cuts intervals at the track's end, where that is known. What lies more
// than slack behind it is no music.
func within(all []melodyud.Interval, length int64) []melodyud.Interval {
	if length == 0 {
		return all
	}
	kept := all[:0:0]
	for _, i := range all {
		if i.To > length+slack {
			continue
		}
		if i.To = min(i.To, length); i.From < i.To {
			kept = append(kept, i)
		}
	}
	return kept
}
