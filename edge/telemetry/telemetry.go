// Package telemetry takes in what there is to tell of listening: which segments an
// edge sends, and what players tell of their plays. Both become facts in the event
// log, on melodyud.TopicPlayback.
//
// Segments are summed up: one fact for each session and track in half a minute, as
// a fact for each segment would be more facts than music. The sums live in memory,
// so a crash loses at most that half minute of them; no play is counted by them.
//
// Beacons of players are what plays are counted by: they are acknowledged once the
// event log has them durably, many in one append. Their ids are made of what they
// say who told what when, so that telling again changes nothing.
//
// Neither can slow down a segment: sums are bounded and so is what waits, and what
// is too much is refused or dropped, and counted in a metric.
package telemetry

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/pace"
)

// log is where facts go.
type log interface {
	Append(ctx context.Context, topic string, events ...melodyud.Event) error
}

// Config configures an Intake.
type Config struct {
	Events log // required
	// Secret makes the pseudonyms of listeners (CE-4): whoever does not have it
	// cannot tell whose they are, and without it nobody can. At least 32 bytes;
	// required, the same on every edge.
	Secret []byte

	Every    time.Duration // how long segments are summed up; default 30 s
	Sessions int           // most sums at a time; further sessions are dropped; default 200,000
	Unsent   int           // most facts that wait for a log that is away; default 100,000
	Waiting  int           // most beacons that wait for the log; default 1,000
	AtOnce   int           // most beacons that are read at a time; default 200
	Patience time.Duration // a beacon waits so long for the log; default 5 s
	Pace     pace.Rate     // of the beacons of one session; default one a second, and 20 at once

	Logger  *slog.Logger          // default: discards
	Metrics prometheus.Registerer // default: a private registry
	Now     func() time.Time      // default time.Now
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		value *int
		usual int
	}{{&c.Sessions, 200_000}, {&c.Unsent, 100_000}, {&c.Waiting, 1000}, {&c.AtOnce, 200}} {
		if *d.value <= 0 {
			*d.value = d.usual
		}
	}
	if c.Every <= 0 {
		c.Every = 30 * time.Second
	}
	if c.Patience <= 0 {
		c.Patience = 5 * time.Second
	}
	if c.Pace == (pace.Rate{}) {
		c.Pace = pace.Rate{PerSecond: 1, Burst: 20}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Intake takes in what is told. It is safe for concurrent use.
type Intake struct {
	c       Config
	metrics *metrics
	shards  [shards]shard
	offered chan *offer
	reading chan struct{} // holds a token for each beacon that is read
	paces   *pace.Buckets // by session
	strange atomic.Bool   // a newer CMCD has been seen, and logged
}

// New returns an Intake, which takes in nothing durably before Run runs. A missing
// log or secret is ErrInvalid.
func New(c Config) (*Intake, error) {
	if c.Events == nil || len(c.Secret) < 32 {
		return nil, fmt.Errorf("%w: telemetry needs an event log and a secret of 32 bytes", melodyud.ErrInvalid)
	}
	c = c.withDefaults()
	paces, err := pace.New(c.Pace, c.Sessions)
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(c.Metrics)
	if err != nil {
		return nil, fmt.Errorf("register telemetry metrics: %w", err)
	}
	t := &Intake{c: c, metrics: m, offered: make(chan *offer, c.Waiting), reading: make(chan struct{}, c.AtOnce), paces: paces}
	for i := range t.shards {
		t.shards[i].sums = map[what]*sum{}
	}
	return t, nil
}

// Run appends what is taken in until ctx ends, and then what is left. It returns
// nil.
func (t *Intake) Run(ctx context.Context) error {
	var both sync.WaitGroup
	both.Go(func() { t.answer(ctx) })
	both.Go(func() { t.flush(ctx) })
	both.Wait()
	return nil
}

// pseudonym names an account for the month of now, without telling whose it is
// (CE-4). It is "" for no account.
func (t *Intake) pseudonym(account string, now time.Time) string {
	if account == "" {
		return ""
	}
	mac := hmac.New(sha256.New, t.c.Secret)
	_, _ = fmt.Fprintf(mac, "listener\n%s\n%s\n", now.UTC().Format("2006-01"), account)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:15])
}

// subject is what keeps the facts of one listener in order.
func subject(listener, session string) string {
	if listener == "" {
		return session
	}
	return listener
}
