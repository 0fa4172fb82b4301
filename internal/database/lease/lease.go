// Package lease lets one of several processes alone do a thing.
//
// A lease is a row with a holder and a beat, which the holder raises. Whoever
// has seen the same beat for a whole term takes over. Only durations are
// measured, each by one process, so that clocks of machines may differ.
package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/pause"
)

// DefaultTerm is how long after a holder died another one takes over.
const DefaultTerm = 10 * time.Second

// ErrLost means that another holder has taken over.
var ErrLost = errors.New("lease lost")

// Lease is one contender for a name. It is not safe for concurrent use, but
// Check is.
type Lease struct {
	db   database.DB
	name string
	me   string
	term time.Duration
	now  func() time.Time

	seen  beat      // the row as last read while another one held it
	since time.Time // when it was first read so
}

type beat struct {
	holder string
	count  int64
}

// Config is a contender. DB and Name are required.
type Config struct {
	DB   database.DB
	Name string           // what is held
	Term time.Duration    // after how long without a beat a holder is dead. Default DefaultTerm
	Now  func() time.Time // must be monotonic. Default time.Now
}

// New returns a contender that holds nothing yet.
func New(c Config) *Lease {
	if c.Term == 0 {
		c.Term = DefaultTerm
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Lease{db: c.DB, name: c.Name, me: rand.Text(), term: c.Term, now: c.Now}
}

// Term is after how long without a beat a holder is dead.
func (l *Lease) Term() time.Duration { return l.term }

// Acquire takes the lease if it is free or its holder is dead, and otherwise
// says false: try again soon.
func (l *Lease) Acquire(ctx context.Context) (bool, error) {
	held, err := l.acquire(ctx)
	if err != nil {
		return false, fmt.Errorf("acquire lease %s: %w", l.name, err)
	}
	return held, nil
}

func (l *Lease) acquire(ctx context.Context) (bool, error) {
	found, err := l.read(ctx, l.db)
	var n int64
	switch {
	case errors.Is(err, melodyud.ErrNotFound):
		n, err = l.db.Exec(ctx, "INSERT INTO leases (name, holder, beat) VALUES (?, ?, 1) ON CONFLICT (name) DO NOTHING", l.name, l.me)
	case err == nil && l.free(found):
		n, err = l.db.Exec(ctx, "UPDATE leases SET holder = ?, beat = beat + 1 WHERE name = ? AND holder = ? AND beat = ?",
			l.me, l.name, found.holder, found.count)
	}
	return n == 1, err
}

// free judges the row and remembers since when it has not changed.
func (l *Lease) free(found beat) bool {
	if found.holder == "" || found.holder == l.me {
		return true
	}
	if found != l.seen {
		l.seen, l.since = found, l.now()
	}
	return l.now().Sub(l.since) >= l.term
}

func (l *Lease) read(ctx context.Context, q database.Querier) (found beat, err error) {
	err = q.QueryRow(ctx, "SELECT holder, beat FROM leases WHERE name = ?", []any{l.name}, &found.holder, &found.count)
	return found, err
}

// Check fails with ErrLost if another one holds the lease. In a transaction, it
// keeps a holder that was thought dead from finishing what another one redoes.
func (l *Lease) Check(ctx context.Context, q database.Querier) error {
	found, err := l.read(ctx, q)
	if err != nil && !errors.Is(err, melodyud.ErrNotFound) {
		return fmt.Errorf("check lease %s: %w", l.name, err)
	}
	if found.holder != l.me {
		return fmt.Errorf("%w: %s", ErrLost, l.name)
	}
	return nil
}

// Run holds the lease whenever it can and runs f then, until ctx ends. Report is
// told why the lease could not be had or was lost; looks at another's lease are
// the interval apart.
func (l *Lease) Run(ctx context.Context, interval time.Duration, report func(error), f func(ctx context.Context) error) {
	failing := pause.Growing{First: interval, Longest: l.term}
	for ctx.Err() == nil {
		held, err := l.Acquire(ctx)
		if held {
			err = l.Hold(ctx, f)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			report(err)
			failing.Wait(ctx)
		default:
			failing.Reset()
			pause.For(ctx, interval, nil)
		}
	}
}

// Hold runs f while it raises the beat beside it. The context of f ends with
// ErrLost as its cause when another one took over or no beat has been possible
// for two thirds of the term. The lease is given back when f returns.
func (l *Lease) Hold(ctx context.Context, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	beating := make(chan struct{})
	stop := make(chan struct{})
	go func() {
		defer close(beating)
		if err := l.beat(ctx, stop); err != nil {
			cancel(err)
		}
	}()
	defer func() {
		close(stop)
		cancel(nil)
		<-beating
		l.release(ctx)
	}()
	return f(ctx)
}

func (l *Lease) beat(ctx context.Context, stop <-chan struct{}) error {
	last := l.now()
	rest := l.term / 3
	for pause.For(ctx, rest, stop) {
		select {
		case <-stop:
			return nil
		default:
		}
		began := l.now()
		err := l.raise(ctx)
		switch {
		case err == nil:
			last, rest = began, l.term/3
		case errors.Is(err, ErrLost):
			return err
		case l.now().Sub(last) >= l.term*2/3:
			return fmt.Errorf("%w: no beat for %s: %w", ErrLost, l.now().Sub(last), err)
		default:
			rest = l.term / 12
		}
	}
	return nil
}

func (l *Lease) raise(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.term/3)
	defer cancel()
	n, err := l.db.Exec(ctx, "UPDATE leases SET beat = beat + 1 WHERE name = ? AND holder = ?", l.name, l.me)
	if err != nil {
		return fmt.Errorf("raise lease %s: %w", l.name, err)
	}
	if n == 0 {
		return fmt.Errorf("%w: %s", ErrLost, l.name)
	}
	return nil
}

// release lets another one go on at once. If it fails the term does the same later.
func (l *Lease) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.term/3)
	defer cancel()
	_, _ = l.db.Exec(ctx, "UPDATE leases SET holder = '' WHERE name = ? AND holder = ?", l.name, l.me)
}
