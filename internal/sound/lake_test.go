package sound_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/eventlog/tables"
	"github.com/melodyud/melodyud/internal/sound"
	"github.com/melodyud/melodyud/internal/sound/table"
)

// lake returns a running lake over w and the log it reads.
func (w *world) lake(every time.Duration, most int) (*sound.Lake, *tables.Log) {
	w.t.Helper()
	log, err := tables.Open(tables.Config{DB: w.db, Poll: 5 * time.Millisecond})
	w.must(err)
	l, err := sound.NewLake(sound.LakeConfig{Database: w.db, Store: w.store, Events: log, Every: every, Most: most})
	w.must(err)
	return l, log
}

// files returns the rows of each object that is Parquet.
func (w *world) files() map[string][]table.Row {
	w.t.Helper()
	all := map[string][]table.Row{}
	for info, err := range w.store.List(w.t.Context(), "features/date=") {
		w.must(err)
		r, _, err := w.store.Open(w.t.Context(), info.Key, 0, -1)
		w.must(err)
		raw, err := io.ReadAll(r)
		w.must(err)
		w.must(r.Close())
		rows, err := table.Read(bytes.NewReader(raw), int64(len(raw)))
		w.must(err)
		all[info.Key] = rows
	}
	return all
}

func told(at time.Time, typ string, id melodyud.TrackID, hash string) melodyud.Event {
	return melodyud.NewEvent(at, typ, string(id), melodyud.TrackFact{Track: id, Owner: "usr_nora", Title: "Song", Release: "rel_1", FeaturesHash: hash})
}

func TestFactsOfFeaturesBecomeParquetByDay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l, log := w.lake(50*time.Millisecond, 1000)
	defer log.Close()
	a := w.heard("a", melodyud.Features{Version: "6", Duration: 1, Rhythm: melodyud.Rhythm{Tempo: new(90.0)}}, melodyud.Analysis{})
	b := w.heard("b", melodyud.Features{Version: "7", Duration: 2}, melodyud.Analysis{})
	w.must(log.Append(t.Context(), melodyud.TopicTracks,
		told(published, melodyud.TrackPublished, a, "a"),
		told(published.Add(time.Hour), melodyud.TrackRenamed, a, "a"),
		told(published.Add(2*time.Hour), melodyud.TrackAnalyzed, b, "b"),
		told(published.Add(3*time.Hour), melodyud.TrackPublished, a, "gone"),
		told(published.Add(4*time.Hour), melodyud.TrackPublished, a, ""),
		told(published.Add(24*time.Hour), melodyud.TrackAnalyzed, a, "b"),
	))
	stop := w.running(l.Run)
	for len(w.files()) < 2 {
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	rows := map[string]int{}
	for key, found := range w.files() {
		for _, r := range found {
			rows[strings.Split(key, "/")[1]+" "+r.FeaturesHash]++
			if r.Owner != "usr_nora" || r.Title != "Song" || r.FeaturesHash == "a" && (r.Tempo == nil || *r.Tempo != 90 || r.AnalyzerVersion != 6) {
				t.Errorf("row %+v", r)
			}
		}
	}
	if len(rows) != 3 || rows["date=2026-05-01 a"] != 1 || rows["date=2026-05-01 b"] != 1 || rows["date=2026-05-02 b"] != 1 {
		t.Errorf("rows %v", rows)
	}
	w.must(l.Flush(t.Context(), true))
	if n := len(w.files()); n != 2 {
		t.Errorf("%d files after nothing happened", n)
	}
}

// running runs something until stop is called.
func (w *world) running(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("run: %v", err)
		}
	}
}

func TestRowsWaitForEachOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l, log := w.lake(time.Hour, 3)
	defer log.Close()
	id := w.heard("a", melodyud.Features{}, melodyud.Analysis{})
	now := time.Now()
	for i := range 7 {
		w.must(log.Append(t.Context(), melodyud.TopicTracks, told(now.Add(time.Duration(i)*time.Millisecond), melodyud.TrackPublished, id, "a")))
	}
	stop := w.running(l.Run)
	for {
		var n int
		w.must(w.db.QueryRow(t.Context(), `SELECT COUNT(*) FROM feature_rows`, nil, &n))
		if n == 7 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	w.must(l.Flush(t.Context(), false))
	if n := len(w.files()); n != 2 { // at midnight it may be one more
		t.Errorf("%d files of three rows", n)
	}
	w.must(l.Flush(t.Context(), true))
	total := 0
	for _, rows := range w.files() {
		total += len(rows)
	}
	if total != 7 {
		t.Errorf("%d rows", total)
	}
}

func TestAllFeaturesAreExportedAsOneFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 120 { // more than a page
		w.track("none")
	}
	w.heard("a", melodyud.Features{Duration: 7}, melodyud.Analysis{})
	w.track("")
	status, body, header := w.get("/v1/ops/features.parquet", "Authorization", "Bearer Olga")
	rows, err := table.Read(strings.NewReader(body), int64(len(body)))
	if status != 200 || err != nil || len(rows) != 1 || rows[0].Duration != 7 || header.Get("Content-Type") != "application/vnd.apache.parquet" {
		t.Errorf("%d, %d rows, %v, %v", status, len(rows), err, header)
	}
	if status, _, _ := w.get("/v1/ops/features.parquet"); status != 403 {
		t.Errorf("listeners get it: %d", status)
	}
}
