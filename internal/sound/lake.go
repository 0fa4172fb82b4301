package sound

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/eventlog"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/sound/table"
)

// LakeConfig configures a Lake.
type LakeConfig struct {
	Database database.DB       // required
	Store    objectstore.Store // required
	Events   eventlog.Log      // required: the facts of tracks

	Every time.Duration // a row waits at most so long for others; default 10 min
	Most  int           // rows of one file; default 1,000

	Logger *slog.Logger     // default: discards
	Now    func() time.Time // default time.Now
}

// Lake writes what is heard of tracks as Parquet, for batch engines: objects
// features/date=YYYY-MM-DD/<name>.parquet, a row for each time a track was published
// or listened to anew. Each row is written at least once; of several rows of a track
// the latest counts.
type Lake struct{ c LakeConfig }

// NewLake returns a Lake. A missing dependency is ErrInvalid.
func NewLake(c LakeConfig) (*Lake, error) {
	if c.Database == nil || c.Store == nil || c.Events == nil {
		return nil, fmt.Errorf("%w: a lake needs a database, a store and an event log", melodyud.ErrInvalid)
	}
	if c.Every <= 0 {
		c.Every = 10 * time.Minute
	}
	if c.Most <= 0 {
		c.Most = 1000
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Lake{c}, nil
}

const lakeGroup = "features-parquet"

// Run gathers facts and writes them until ctx ends. An outage only delays it.
func (l *Lake) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { l.write(ctx) })
	err := l.c.Events.Consume(ctx, melodyud.TopicTracks, lakeGroup, l.take)
	wg.Wait()
	return err
}

// take keeps the facts that tell of features until there is a file of them.
func (l *Lake) take(ctx context.Context, events []melodyud.Event) error {
	return l.c.Database.InTx(ctx, func(tx database.Tx) error {
		for _, e := range events {
			var fact melodyud.TrackFact
			if e.Type != melodyud.TrackPublished && e.Type != melodyud.TrackAnalyzed ||
				json.Unmarshal(e.Data, &fact) != nil || fact.FeaturesHash == "" {
				continue
			}
			_, err := tx.Exec(ctx, `INSERT INTO feature_rows (event, told, fact) VALUES (?, ?, ?) ON CONFLICT (event) DO NOTHING`,
				string(e.ID), database.Millis(e.Time), string(e.Data))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// write looks often whether there is enough for a file.
func (l *Lake) write(ctx context.Context) {
	tick := time.NewTicker(max(l.c.Every/10, 10*time.Millisecond))
	defer tick.Stop()
	for {
		if err := l.Flush(ctx, false); err != nil && ctx.Err() == nil {
			l.c.Logger.WarnContext(ctx, "features not written as Parquet", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// kept is a fact that waits.
type kept struct {
	event string
	told  time.Time
	fact  melodyud.TrackFact
}

// Flush writes what waits: all of it, or unless now only what is enough for a file
// or has waited for long.
func (l *Lake) Flush(ctx context.Context, now bool) error {
	for ctx.Err() == nil {
		all, err := l.waiting(ctx)
		switch {
		case err != nil:
			return err
		case len(all) == 0, !now && len(all) < l.c.Most && l.c.Now().Sub(all[0].told) < l.c.Every:
			return nil
		}
		n := 1 // the facts of one day
		for n < len(all) && day(all[n].told) == day(all[0].told) {
			n++
		}
		if err := l.file(ctx, all[:n]); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func (l *Lake) waiting(ctx context.Context) ([]kept, error) {
	rows, err := l.c.Database.Query(ctx, `SELECT event, told, fact FROM feature_rows ORDER BY told, event LIMIT ?`, l.c.Most)
	if err != nil {
		return nil, fmt.Errorf("read features to write: %w", err)
	}
	defer rows.Close()
	var all []kept
	for rows.Next() {
		var k kept
		var told int64
		var fact string
		if err := rows.Scan(&k.event, &told, &fact); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(fact), &k.fact); err != nil {
			return nil, fmt.Errorf("read fact %s: %w", k.event, err)
		}
		k.told = database.Time(told)
		all = append(all, k)
	}
	return all, rows.Err()
}

// file writes facts as one object, named by them, and then forgets them.
func (l *Lake) file(ctx context.Context, facts []kept) error {
	name := sha256.New()
	var out bytes.Buffer
	w := table.NewWriter(&out)
	written := 0
	for _, k := range facts {
		fmt.Fprintln(name, k.event)
		var f melodyud.Features
		err := objectstore.ReadJSON(ctx, l.c.Store, "features/"+k.fact.FeaturesHash+"/"+featuresFile, maxDocument, &f)
		if errors.Is(err, melodyud.ErrNotFound) {
			continue // withdrawn and collected
		}
		if err == nil {
			err = w.Write(table.Of(k.subject(), &f))
		}
		if err != nil {
			return err
		}
		written++
	}
	if err := w.Close(); err != nil {
		return err
	}
	if written > 0 {
		key := "features/date=" + day(facts[0].told) + "/" + hex.EncodeToString(name.Sum(nil)[:10]) + ".parquet"
		_, err := l.c.Store.Put(ctx, key, &out, int64(out.Len()), objectstore.PutOptions{ContentType: parquetType})
		if err != nil {
			return fmt.Errorf("store %s: %w", key, err)
		}
	}
	return l.forget(ctx, facts)
}

const parquetType = "application/vnd.apache.parquet"

func (k kept) subject() table.Subject {
	return table.Subject{
		Track: k.fact.Track, Release: k.fact.Release, Owner: k.fact.Owner, Title: k.fact.Title, FeaturesHash: k.fact.FeaturesHash, Told: k.told,
	}
}

func (l *Lake) forget(ctx context.Context, facts []kept) error {
	return l.c.Database.InTx(ctx, func(tx database.Tx) error {
		for _, k := range facts {
			if _, err := tx.Exec(ctx, `DELETE FROM feature_rows WHERE event = ?`, k.event); err != nil {
				return err
			}
		}
		return nil
	})
}
