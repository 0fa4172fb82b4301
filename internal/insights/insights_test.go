package insights_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/api/apitest"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/databasetest"
	"github.com/melodyud/melodyud/internal/database/relay"
	"github.com/melodyud/melodyud/internal/eventlog"
	"github.com/melodyud/melodyud/internal/eventlog/tables"
	"github.com/melodyud/melodyud/internal/insights"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const (
	nora, emil = melodyud.UserID("usr_01NORA"), melodyud.UserID("usr_01EMIL")
	song       = melodyud.TrackID("trk_song")
	first      = melodyud.ReleaseID("rel_first")
	second     = melodyud.ReleaseID("rel_second")
)

type fixture struct {
	*insights.Service
	t    *testing.T
	db   database.DB
	log  *tables.Log
	stop func()
	told map[string]int // plays of each session, for sequences
}

// Track implements the catalog: the song is Nora's, operators see all.
func (f *fixture) Track(_ context.Context, who api.Principal, id melodyud.TrackID) (melodyud.Track, error) {
	if id != song || who.User != nora && !who.Has(api.RoleOps) {
		return melodyud.Track{}, melodyud.ErrNotFound
	}
	return melodyud.Track{ID: id, Owner: nora}, nil
}

// newFixture runs the service on a log that has the song's two releases, through
// around unless that is nil.
func newFixture(t *testing.T, around func(eventlog.Log) eventlog.Log) *fixture {
	t.Helper()
	f := &fixture{t: t, db: databasetest.OpenReal(t), told: map[string]int{}}
	f.log = tables.New(f.db)
	t.Cleanup(func() { _ = f.log.Close() })
	var log eventlog.Log = f.log
	if around != nil {
		log = around(log)
	}
	var err error
	f.Service, err = insights.New(insights.Config{DB: f.db, Events: log, Catalog: f, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	for _, release := range []melodyud.ReleaseID{first, second} {
		f.append(melodyud.TopicTracks, melodyud.NewEvent(noon, melodyud.TrackPublished, string(song),
			melodyud.TrackFact{Track: song, Owner: nora, Release: release}))
	}
	f.run()
	return f
}

// run starts the service and the relay of what it tells.
func (f *fixture) run() {
	facts, err := relay.New(relay.Config{DB: f.db, Log: f.log})
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(f.t.Context())
	var both sync.WaitGroup
	for _, run := range []func(context.Context) error{f.Run, facts.Run} {
		both.Go(func() {
			if err := run(ctx); err != nil {
				f.t.Error(err)
			}
		})
	}
	f.stop = sync.OnceFunc(func() {
		cancel()
		both.Wait()
	})
	f.t.Cleanup(func() { f.stop() })
}

func (f *fixture) append(topic string, events ...melodyud.Event) {
	f.t.Helper()
	if err := f.log.Append(f.t.Context(), topic, events...); err != nil {
		f.t.Fatal(err)
	}
}

// fact is a fact of the song's first release, of 200 seconds, at noon.
func (f *fixture) fact(typ, session string, change func(*melodyud.PlaybackFact)) melodyud.Event {
	f.told[session]++
	p := melodyud.PlaybackFact{
		Play: "p", Session: session, Listener: "lst_" + session, Tier: "free", Track: song, Release: first, Length: 200_000,
		Issued: noon.Add(-time.Hour), Sequence: int64(f.told[session]),
	}
	if change != nil {
		change(&p)
	}
	return melodyud.NewEvent(noon, typ, p.Listener, p)
}

func heard(from, to int64) func(*melodyud.PlaybackFact) {
	return func(p *melodyud.PlaybackFact) { p.Heard = []melodyud.Interval{{From: from, To: to}} }
}

// settle waits until all that was appended before is folded: until a play that
// counts for a track of its own does.
func (f *fixture) settle() {
	f.t.Helper()
	f.told["settle"]++
	mark := melodyud.TrackID(fmt.Sprintf("trk_mark%d", f.told["settle"]))
	release := melodyud.ReleaseID("rel_" + mark)
	f.append(melodyud.TopicTracks, melodyud.NewEvent(noon, melodyud.TrackPublished, string(mark),
		melodyud.TrackFact{Track: mark, Owner: emil, Release: release}))
	f.append(melodyud.TopicPlayback, f.fact(melodyud.PlaybackHeard, "mark", func(p *melodyud.PlaybackFact) {
		p.Release, p.Play, p.Heard = release, string(mark), []melodyud.Interval{{From: 0, To: 30_000}}
	}))
	for {
		counts, err := f.Counts(f.t.Context(), "", []melodyud.TrackID{mark}, noon, 1)
		if err != nil {
			f.t.Fatal(err)
		}
		if len(counts) == 1 && counts[0].Plays == 1 {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// numbers are those of the song.
func (f *fixture) numbers() insights.Day {
	f.t.Helper()
	_, all, err := f.Days(f.t.Context(), song, noon, 1)
	if err != nil {
		f.t.Fatal(err)
	}
	return all
}

func (f *fixture) want(want insights.Day) {
	f.t.Helper()
	f.settle()
	if got := f.numbers(); got != want {
		f.t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestAPlayCountsOnceAfter30Seconds(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.append(melodyud.TopicPlayback,
		f.fact(melodyud.PlaybackRequested, "a", nil), f.fact(melodyud.PlaybackStarted, "a", nil),
		f.fact(melodyud.PlaybackHeard, "a", heard(0, 10_000)),
		f.fact(melodyud.PlaybackSeeked, "a", heard(10_000, 20_000)),
		f.fact(melodyud.PlaybackHeard, "a", heard(0, 15_000)), // again
	)
	f.want(insights.Day{Heard: 20 * time.Second})
	f.append(melodyud.TopicPlayback,
		f.fact(melodyud.PlaybackPaused, "a", heard(100_000, 110_000)), f.fact(melodyud.PlaybackHeard, "a", heard(110_000, 190_000)))
	f.want(insights.Day{Plays: 1, Listeners: 1, Heard: 110 * time.Second})
	f.append(melodyud.TopicPlayback, f.fact(melodyud.PlaybackHeard, "a", heard(20_000, 100_000)))
	f.want(insights.Day{Plays: 1, Listeners: 1, Completions: 1, Heard: 190 * time.Second})
	f.append(melodyud.TopicPlayback, f.fact(melodyud.PlaybackEnded, "a", nil), f.fact(melodyud.PlaybackSkipped, "a", nil))
	f.want(insights.Day{Plays: 1, Listeners: 1, Completions: 1, Skips: 1, Heard: 190 * time.Second})
}

func TestWhatIsNoListeningDoesNotCount(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	fast := func(p *melodyud.PlaybackFact) { p.Heard = []melodyud.Interval{{From: 0, To: 60_000, Rate: 2}} }
	hasty := func(p *melodyud.PlaybackFact) {
		p.Issued, p.Heard = noon.Add(-5*time.Second), []melodyud.Interval{{From: 0, To: 31_000}}
	}
	other := func(p *melodyud.PlaybackFact) { heard(0, 40_000)(p); p.Release = second }
	short := func(p *melodyud.PlaybackFact) { p.Length = 20_000 }
	f.append(melodyud.TopicPlayback,
		f.fact(melodyud.PlaybackHeard, "fast", fast),
		f.fact(melodyud.PlaybackHeard, "hasty", hasty), // 31 s heard within 5 s
		f.fact(melodyud.PlaybackHeard, "mixed", heard(0, 20_000)), f.fact(melodyud.PlaybackHeard, "mixed", other),
		f.fact(melodyud.PlaybackEnded, "jumped", nil), f.fact(melodyud.PlaybackEnded, "short", short),
		f.fact(melodyud.PlaybackSkipped, "early", heard(0, 5000)),
		melodyud.NewEvent(noon, melodyud.AdImpression, "l", melodyud.AdFact{Session: "ad", Track: song, Position: 40_000}),
		melodyud.NewEvent(noon, melodyud.SegmentsServed, "l", melodyud.DeliveryFact{Session: "s", Track: song, Release: first, Bytes: 1 << 30}),
		melodyud.Event{ID: "evt_odd", Type: melodyud.PlaybackHeard, Subject: "l", Time: noon, Data: json.RawMessage(`{"play":7}`)},
		melodyud.Event{ID: "evt_none", Type: melodyud.PlaybackHeard, Subject: "l", Time: noon},
	)
	f.want(insights.Day{Completions: 2, Skips: 1, EarlySkips: 1, Heard: (31 + 20 + 5) * time.Second})
	f.append(melodyud.TopicPlayback, f.fact(melodyud.PlaybackEnded, "short", func(p *melodyud.PlaybackFact) {
		p.Length, p.Heard = 20_000, []melodyud.Interval{{From: 0, To: 20_000}}
	}))
	f.want(insights.Day{Plays: 1, Listeners: 1, Completions: 2, Skips: 1, EarlySkips: 1, Heard: (31 + 20 + 5 + 20) * time.Second})
}

// story is facts of some plays in the order in which they happened, and what they
// add up to.
func (f *fixture) story(random *rand.Rand) (facts []melodyud.Event, want insights.Day) {
	for n := range 12 {
		name := fmt.Sprintf("s%d", n)
		listener := fmt.Sprintf("l%d", n%5)
		length, position := int64(20_000+random.IntN(100_000)), int64(0)
		ticks, ended, counted := map[int64]bool{}, false, false
		for range random.IntN(8) {
			if random.IntN(3) == 0 {
				position = random.Int64N(length/100) * 100
			}
			to := min(length, position+random.Int64N(20)*1000)
			typ := melodyud.PlaybackHeard
			if to == length {
				typ, ended = melodyud.PlaybackEnded, true
			}
			for at := position; at < to; at += 100 {
				ticks[at] = true
			}
			facts = append(facts, f.fact(typ, name, func(p *melodyud.PlaybackFact) {
				p.Length, p.Listener = length, listener
				if to > position {
					p.Heard = []melodyud.Interval{{From: position, To: to}}
				}
			}))
			position = to
		}
		sum := int64(0)
		for at := range ticks {
			sum += min(100, length-at)
		}
		want.Heard += time.Duration(sum) * time.Millisecond
		if length < 30_000 {
			counted = ended && sum*10 >= length*9
		} else {
			counted = sum >= 30_000
		}
		if counted {
			want.Plays++
		}
		if ended || sum*10 >= length*9 {
			want.Completions++
		}
	}
	return facts, want
}

// stutter delivers batches again, as if the process had been killed before it was
// noted that they are done.
type stutter struct {
	eventlog.Log
	random *rand.Rand
}

func (s stutter) Consume(ctx context.Context, topic, group string, handle func(context.Context, []melodyud.Event) error) error {
	return s.Log.Consume(ctx, topic, group, func(ctx context.Context, events []melodyud.Event) error {
		for len(events) > 0 {
			n := 1 + s.random.IntN(len(events))
			for range 1 + s.random.IntN(2) {
				if err := handle(ctx, events[:n]); err != nil {
					return err
				}
			}
			events = events[max(1, n-s.random.IntN(3)):]
		}
		return nil
	})
}

func TestFactsInAnyOrderAndTwiceAddUpToTheSame(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 3))
			f := newFixture(t, func(log eventlog.Log) eventlog.Log { return stutter{log, rand.New(rand.NewPCG(seed, 4))} })
			facts, want := f.story(random)
			facts = append(facts, facts[:len(facts)/2]...)
			random.Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
			for batch := range slices.Chunk(facts, 7) {
				f.append(melodyud.TopicPlayback, batch...)
			}
			f.settle()
			got := f.numbers()
			want.Listeners = got.Listeners
			if got != want || got.Listeners > 5 || (got.Listeners == 0) != (got.Plays == 0) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			if n := f.counted(); n != int(want.Plays) {
				t.Errorf("%d plays are told to count, want %d", n, want.Plays)
			}
			before := got
			if err := f.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
			f.settle()
			if got := f.numbers(); got != before {
				t.Errorf("made anew: %+v\nbefore:    %+v", got, before)
			}
		})
	}
}

// counted is how many different plays of the song the log says to count, once the
// outbox is empty.
func (f *fixture) counted() int {
	f.t.Helper()
	ctx, stop := context.WithCancel(f.t.Context())
	defer stop()
	plays := map[string]bool{}
	last := fmt.Sprintf("trk_mark%d", f.told["settle"])
	err := f.log.Consume(ctx, melodyud.TopicPlayback, "test", func(_ context.Context, events []melodyud.Event) error {
		for _, e := range events {
			var s melodyud.StreamFact
			if e.Type != melodyud.StreamCounted || json.Unmarshal(e.Data, &s) != nil {
				continue
			}
			if plays[s.Session+s.Play] {
				f.t.Errorf("%s counts twice", s.Session)
			}
			plays[s.Session+s.Play] = true
			if s.Play == last {
				stop()
			}
		}
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	maps.DeleteFunc(plays, func(name string, _ bool) bool { return strings.HasPrefix(name, "mark") })
	return len(plays)
}

func TestOldPlaysAreForgottenButStayCounted(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.append(melodyud.TopicPlayback, f.fact(melodyud.PlaybackHeard, "a", heard(0, 40_000)))
	late := f.fact(melodyud.PlaybackHeard, "b", heard(0, 40_000))
	late.Time = noon.AddDate(0, 0, 4)
	f.append(melodyud.TopicPlayback, late)
	f.want(insights.Day{Plays: 2, Listeners: 2, Heard: 80 * time.Second})
	var n int
	if err := f.db.QueryRow(t.Context(), `SELECT COUNT(*) FROM plays WHERE session = 'a'`, nil, &n); err != nil || n != 0 {
		t.Errorf("%d rows, %v", n, err)
	}
}

func TestOneTicketMakesSoManyPlaysAndNoMore(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	var facts []melodyud.Event
	for n := range 1100 {
		facts = append(facts, f.fact(melodyud.PlaybackHeard, "a", func(p *melodyud.PlaybackFact) {
			heard(0, 100)(p)
			p.Play = fmt.Sprint("p", n)
		}))
	}
	f.append(melodyud.TopicPlayback, facts...)
	f.want(insights.Day{Heard: 100 * time.Second})
}

func TestOwnersSeeTheirPlaysAndNobodyElses(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	yesterday := f.fact(melodyud.PlaybackHeard, "a", func(p *melodyud.PlaybackFact) {
		heard(0, 36_000)(p)
		p.Issued = noon.AddDate(0, 0, -2)
	})
	yesterday.Time = noon.AddDate(0, 0, -1)
	f.append(melodyud.TopicPlayback, yesterday, f.fact(melodyud.PlaybackHeard, "b", func(p *melodyud.PlaybackFact) {
		heard(0, 36_000)(p)
		p.Release = second // of the same track
		p.Track = ""       // as part of an album
	}), f.fact(melodyud.PlaybackHeard, "c", heard(0, 36_000)))
	f.settle()
	path := fmt.Sprintf("/v1/tracks/%s/plays?days=3", song)
	server := apitest.Serve(t, api.Config{Auth: apitest.Claims{}}, f)
	status, body := server.JSON("usr_01NORA:creator", "GET", path)
	if got := fmt.Sprint(body["days"].([]any)[2], body["total"]); status != http.StatusOK ||
		got != "map[completions:0 date:2026-11-22 early_skips:0 hours:0.02 listeners:2 plays:2 skips:0] map[completions:0 early_skips:0 hours:0.03 listeners:3 plays:3 skips:0]" {
		t.Errorf("%d %s", status, got)
	}
	list := fmt.Sprintf("/v1/plays?days=2&tracks=trk_mark1,%s,trk_x,%s", song, song)
	for key, want := range map[string]string{
		"usr_01NORA:creator": "[map[days:[1 2] plays:3 track:trk_song]]",
		"usr_01EMIL:creator": "[map[days:[0 1] plays:1 track:trk_mark1]]",
		"usr_01OLGA:ops":     "[map[days:[0 1] plays:1 track:trk_mark1] map[days:[1 2] plays:3 track:trk_song]]",
	} {
		if status, body := server.JSON(key, "GET", list); status != http.StatusOK || fmt.Sprint(body["plays"]) != want {
			t.Errorf("%s: %d %v", key, status, body)
		}
	}
	for _, c := range []struct {
		key, method, path string
		want              int
	}{
		{"usr_01EMIL:creator", "GET", path, 404}, {"usr_01NORA:listener", "GET", path, 403}, {"usr_01OLGA:ops", "GET", path, 200},
		{"usr_01NORA:listener", "GET", list, 403}, {"usr_01NORA:creator", "GET", "/v1/plays", 422},
		{"usr_01NORA:creator", "POST", "/v1/plays/rebuild", 403}, {"usr_01OLGA:ops", "POST", "/v1/plays/rebuild", 202},
	} {
		if got, body := server.JSON(c.key, c.method, c.path); got != c.want {
			t.Errorf("%s %s: %d %v, want %d", c.key, c.path, got, body, c.want)
		}
	}
}

func TestAServiceNeedsADatabase(t *testing.T) {
	t.Parallel()
	if _, err := insights.New(insights.Config{}); !errors.Is(err, melodyud.ErrInvalid) {
		t.Error(err)
	}
}
