// Package load behaves like listeners: each of them picks a track by its popularity,
// asks for playlists and segments as a player does, chooses the quality that its line
// carries, plays in real time, skips, thinks and goes on. What they meet is what the
// edge would give as many people.
//
// A listener is one goroutine and one connection; bodies are thrown away as they come,
// so that tens of thousands fit into one process.
package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

// Config of a Run.
type Config struct {
	// Tracks is how many tracks there are to listen to, the most popular first.
	Tracks int
	// Start returns the address of the HLS playlist of a track for one play. It is
	// called for each play, by many listeners at a time.
	Start func(ctx context.Context, track int) (string, error)

	Listeners int           // how many there are in the end; default 100
	For       time.Duration // from the first listener's coming; default 1 minute
	// Ramp is the time over which listeners come, one by one; default 0: all at once.
	Ramp time.Duration
	// Zipf is the exponent of popularity: a track of rank r is wanted as 1/r^Zipf;
	// 0: all alike.
	Zipf  float64
	Skips float64       // the part of plays, 0 to 1, that ends before the track does
	Think time.Duration // mean pause between two tracks
	// Line is the bit rate of each listener's line; 0: whatever the network gives.
	Line int64
	// Ahead is how much sound a player keeps; default 30 s, as hls.js does.
	Ahead time.Duration
	// Timeout is how long a player waits for an answer; default 10 s.
	Timeout time.Duration
	Seed    uint64 // of all dice: the same listeners do the same
	// Dial connects to an edge; default over the network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	Progress func(Second)     // called once a second; nil: nobody looks
	Now      func() time.Time // default time.Now
}

func (c Config) withDefaults() (Config, error) {
	if c.Tracks < 1 || c.Start == nil {
		return c, fmt.Errorf("%w: there is nothing to listen to", melodyud.ErrInvalid)
	}
	if c.Listeners < 0 || c.For < 0 || c.Ramp < 0 || c.Zipf < 0 || c.Skips < 0 || c.Skips > 1 || c.Think < 0 || c.Line < 0 {
		return c, fmt.Errorf("%w: numbers of listeners, times and rates cannot be negative, and the part of skips not above 1", melodyud.ErrInvalid)
	}
	if c.Listeners == 0 {
		c.Listeners = 100
	}
	if c.For == 0 {
		c.For = time.Minute
	}
	if c.Ahead == 0 {
		c.Ahead = 30 * time.Second
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{Timeout: c.Timeout, KeepAlive: -1}).DialContext
	}
	return c, enoughFiles(c.Listeners)
}

// Run lets the listeners listen and reports what they met. It ends after Config.For
// or, with what there is by then, with ctx.
func Run(ctx context.Context, c Config) (Report, error) {
	c, err := c.withDefaults()
	if err != nil {
		return Report{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.For)
	defer cancel()
	crowd := &crowd{config: c, seen: newSeen(), charts: newCharts(c.Tracks, c.Zipf), lists: &lists{}}
	began := c.Now()
	var all sync.WaitGroup
	all.Go(func() { crowd.arrive(ctx, &all) })
	crowd.watch(ctx, began)
	all.Wait()
	return crowd.seen.report(c, c.Now().Sub(began)), nil
}

// crowd is what all listeners share.
type crowd struct {
	config Config
	seen   *seen
	charts charts
	lists  *lists

	scratch sync.Pool
}

func (c *crowd) line() *line {
	return &line{dial: c.config.Dial, timeout: c.config.Timeout, rate: c.config.Line, now: c.config.Now, scratch: &c.scratch}
}

// arrive starts the listeners one by one over the ramp.
func (c *crowd) arrive(ctx context.Context, all *sync.WaitGroup) {
	began := c.config.Now()
	for i := range c.config.Listeners {
		due := c.config.Ramp * time.Duration(i) / time.Duration(c.config.Listeners)
		if !pause(ctx, due-c.config.Now().Sub(began)) {
			return
		}
		all.Go(func() { c.listen(ctx, i) })
	}
}

// listen is one listener's evening.
func (c *crowd) listen(ctx context.Context, number int) {
	c.seen.active.Add(1)
	defer c.seen.active.Add(-1)
	l := &listener{crowd: c, dice: rand.New(rand.NewPCG(c.config.Seed, uint64(number))), line: c.line(), speed: firstGuess}
	stop := context.AfterFunc(ctx, l.line.cut)
	defer stop()
	defer l.line.cut()
	for ctx.Err() == nil {
		l.play(ctx, c.charts.pick(l.dice.Float64()))
		pause(ctx, time.Duration(l.dice.ExpFloat64()*float64(c.config.Think)))
	}
}

// pause sleeps and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// watch looks once a second until ctx ends.
func (c *crowd) watch(ctx context.Context, began time.Time) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s := c.seen.second(c.config.Now().Sub(began))
			if c.config.Progress != nil {
				c.config.Progress(s)
			}
		case <-ctx.Done():
			return
		}
	}
}

// cutOrigin cuts an address into scheme and host, and what is asked for there.
func cutOrigin(address string) (origin, target string) {
	scheme, rest, _ := strings.Cut(address, "://")
	host := strings.IndexAny(rest, "/?#")
	if host < 0 {
		return address, "/"
	}
	target, _, _ = strings.Cut(rest[host:], "#")
	if !strings.HasPrefix(target, "/") {
		target = "/" + target
	}
	return address[:len(scheme)+len("://")+host], target
}

// resolve is the address of a reference found at base. Most are the names of something
// beside it, for which taking addresses apart would be most of a listener's work.
func resolve(base, reference string) (string, error) {
	if reference != "" && reference[0] != '.' && !strings.ContainsAny(reference, ":?#") && reference[0] != '/' && !strings.Contains(reference, "/.") {
		path, _, _ := strings.Cut(base, "?")
		return path[:strings.LastIndexByte(path, '/')+1] + reference, nil
	}
	b, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	u, err := b.Parse(reference)
	if err != nil {
		return "", err
	}
	return u.String(), nil
}
