package ads

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/plain"
)

// Ad is one house ad.
type Ad struct {
	Track      melodyud.TrackID
	Title      string
	Advertiser string
	Active     bool // false: kept, but not heard
	Weight     int  // how often, in proportion to the others; 1 to 10
	Added      time.Time
	// What players told of it: its first samples, its ends, and what went wrong.
	Impressions, Completions, Errors int64

	Status   Status
	Release  melodyud.ReleaseID // empty before the first
	Duration time.Duration
	Loudness *float64 // LUFS, of the release; nil: not known, or silence
	Gain     int      // hundredths of a decibel, of the release

	wanted int // the gain that gives it the loudness of music
}

// Status says whether an ad can be heard.
type Status string

// The statuses.
const (
	Ready      Status = "ready"
	Preparing  Status = "preparing"  // its track is being worked on
	Levelling  Status = "levelling"  // it is about to be rendered as loud as music
	Unmatched  Status = "unmatched"  // it cannot be made as loud as music: it is silent, or far too quiet
	TooLong    Status = "too-long"   // no ad is longer than Longest
	Gone       Status = "gone"       // its track was refused or withdrawn
	Unreadable Status = "unreadable" // its manifest cannot be read now
)

// Longest is the length of the longest ad.
const Longest = 90 * time.Second

const (
	maxWeight = 10
	maxAds    = 200
	// mostGain is the most an ad is made louder, in hundredths of a decibel.
	mostGain = 2400
	// closeEnough is a difference in gain that is not worth another rendering.
	closeEnough = 25
)

// self asks for any track.
var self = api.Principal{Name: "ads", Roles: []api.Role{api.RoleOps}}

// Ads returns all house ads, in the order of their tracks' ids.
func (s *Service) Ads(ctx context.Context) ([]Ad, error) {
	rows, err := s.c.DB.Query(ctx, `SELECT track, title, advertiser, active, weight, added,
		impressions, completions, errors FROM house_ads ORDER BY track LIMIT ?`, maxAds)
	if err != nil {
		return nil, fmt.Errorf("read house ads: %w", err)
	}
	defer rows.Close()
	var all []Ad
	for rows.Next() {
		var a Ad
		var active, added int64
		if err := rows.Scan(&a.Track, &a.Title, &a.Advertiser, &active, &a.Weight, &added, &a.Impressions, &a.Completions, &a.Errors); err != nil {
			return nil, fmt.Errorf("read house ads: %w", err)
		}
		a.Active, a.Added = active != 0, database.Time(added)
		all = append(all, a)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, fmt.Errorf("read house ads: %w", err)
	}
	for i := range all {
		if err := s.judge(ctx, &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// judge fills in what a's track says.
func (s *Service) judge(ctx context.Context, a *Ad) error {
	t, err := s.c.Tracks.Track(ctx, self, a.Track)
	switch {
	case errors.Is(err, melodyud.ErrNotFound):
		a.Status = Gone
		return nil
	case err != nil:
		return fmt.Errorf("house ad %s: %w", a.Track, err)
	}
	if a.Title == "" {
		a.Title = t.Title
	}
	if a.Advertiser == "" {
		a.Advertiser = t.Artist
	}
	switch {
	case t.State == melodyud.StateWithdrawn || t.State == melodyud.StateRefused:
		a.Status = Gone
	case t.Release == nil:
		a.Status = Preparing
	default:
		a.Release, a.Duration = t.Release.ID, t.Release.Duration
		s.listen(ctx, a, t.Progress.Stage == melodyud.StageDone)
	}
	return nil
}

// sounds is what the manifest of a release says of its sound.
type sounds struct {
	loudness *float64
	gain     int
}

// listen judges a by how loud its release is. An ad that is being rendered again is
// heard as it was, if that was well.
func (s *Service) listen(ctx context.Context, a *Ad, idle bool) {
	m, err := s.manifest(ctx, a.Release)
	if err != nil {
		a.Status = Unreadable
		s.c.Logger.WarnContext(ctx, "house ad not read", "track", a.Track, "error", err)
		return
	}
	a.Loudness, a.Gain = m.loudness, m.gain
	if a.Duration > Longest {
		a.Status = TooLong
		return
	}
	if m.loudness == nil {
		a.Status = Unmatched
		return
	}
	off := melodyud.AdTarget - *m.loudness
	a.wanted = min(m.gain+int(math.Round(off*100)), mostGain)
	switch {
	case math.Abs(off) <= melodyud.AdTolerance/2:
		a.Status = Ready
	case !idle && math.Abs(off) <= melodyud.AdTolerance:
		a.Status = Ready
	case !idle:
		a.Status = Preparing
	case math.Abs(float64(a.wanted-m.gain)) > closeEnough:
		a.Status = Levelling
	case math.Abs(off) <= melodyud.AdTolerance:
		a.Status = Ready
	default:
		a.Status = Unmatched
	}
}

const maxManifest = 16 << 20 // bytes

// manifest reads what a release sounds like. Releases never change.
func (s *Service) manifest(ctx context.Context, id melodyud.ReleaseID) (sounds, error) {
	s.mu.Lock()
	known, ok := s.read[id]
	s.mu.Unlock()
	if ok {
		return known, nil
	}
	var m melodyud.Manifest
	if err := objectstore.ReadJSON(ctx, s.c.Store, "releases/"+string(id)+"/manifest.json", maxManifest, &m); err != nil {
		return sounds{}, err
	}
	found := sounds{m.Loudness.Integrated, m.Gain}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.read) > 2*maxAds {
		clear(s.read)
	}
	s.read[id] = found
	return found, nil
}

var (
	errNoAd = melodyud.Refuse(melodyud.ErrNotFound, "ad.not-found",
		"There is no house ad of this track. List them with GET /v1/ads.")
	errTooMany = melodyud.Refuse(melodyud.ErrConflict, "ad.too-many",
		"There are 200 house ads already. Remove one first.")
	errTooLong = melodyud.Refuse(melodyud.ErrInvalid, "ad.too-long",
		"An ad lasts at most 90 seconds. Upload a shorter one.")
	errWeight = melodyud.Refuse(melodyud.ErrInvalid, "ad.weight", "The weight of an ad goes from 1 to 10.")
)

// Add names a track a house ad, or changes what is said of one. Empty texts are those
// of the track. From then on the track is in no listener's list. Errors: ErrNotFound,
// ErrInvalid for a track that is too long, ErrConflict for one that was refused or
// withdrawn.
func (s *Service) Add(ctx context.Context, a Ad) (Ad, error) {
	if a.Weight < 1 || a.Weight > maxWeight {
		return Ad{}, errWeight
	}
	t, err := s.c.Tracks.Track(ctx, self, a.Track)
	if err == nil && t.Release != nil && t.Release.Duration > Longest {
		err = errTooLong
	}
	if err == nil {
		_, err = s.c.Tracks.SetAside(ctx, a.Track)
	}
	if err != nil {
		return Ad{}, err
	}
	a.Title, a.Advertiser = plain.Line(a.Title), plain.Line(a.Advertiser)
	if err := s.c.DB.InTx(ctx, func(tx database.Tx) error { return s.put(ctx, tx, &a) }); err != nil {
		return Ad{}, err
	}
	s.poke()
	err = s.judge(ctx, &a)
	return a, err
}

func (s *Service) put(ctx context.Context, tx database.Tx, a *Ad) error {
	var n int64
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM house_ads WHERE track <> ?`, []any{string(a.Track)}, &n)
	if err == nil && n >= maxAds {
		err = errTooMany
	}
	if err != nil {
		return err
	}
	var added int64
	err = tx.QueryRow(ctx, `INSERT INTO house_ads (track, title, advertiser, active, weight, added) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (track) DO UPDATE SET title = excluded.title, advertiser = excluded.advertiser, active = excluded.active,
		weight = excluded.weight RETURNING added, impressions, completions, errors`,
		[]any{string(a.Track), a.Title, a.Advertiser, truth(a.Active), a.Weight, database.Millis(s.c.Now())}, &added, &a.Impressions, &a.Completions, &a.Errors)
	a.Added = database.Time(added)
	return err
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Remove lets nobody hear an ad any more. Its track stays out of listeners' lists.
// Errors: ErrNotFound.
func (s *Service) Remove(ctx context.Context, id melodyud.TrackID) error {
	n, err := s.c.DB.Exec(ctx, `DELETE FROM house_ads WHERE track = ?`, string(id))
	if err == nil && n == 0 {
		err = errNoAd
	}
	if err == nil {
		s.poke()
	}
	return err
}
