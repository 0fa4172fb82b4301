package main

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/melodyud/melodyud/internal/node"
)

type benchCmd struct {
	Edge benchEdgeCmd `cmd:"" help:"How many listeners a server holds, and what they meet."`
}

type benchEdgeCmd struct {
	remote
	Listeners  int           `default:"100" help:"How many listen in the end."`
	For        time.Duration `default:"60s" help:"How long the run takes."`
	Ramp       time.Duration `default:"10s" help:"Listeners come one by one over this time."`
	Zipf       float64       `default:"1" help:"Popularity: a track of rank r is wanted as 1/r^s. 0: all alike."`
	Skips      float64       `default:"0.2" help:"Part of plays, 0 to 1, that ends before the track does."`
	Think      time.Duration `default:"2s" help:"Mean pause between two tracks."`
	Line       int64         `default:"0" help:"Bit rate of each listener's line; 0: whatever the network gives."`
	Ahead      time.Duration `default:"30s" help:"How much sound a player keeps."`
	Track      []string      `placeholder:"ID,…" help:"Tracks to listen to, the most popular first. Default: your published ones."`
	Hifi       bool          `help:"Lossless qualities, too."`
	TicketKeys string        `env:"MELODYUD_TICKET_KEYS" placeholder:"ID:BASE64,…" help:"The server's keys: each play is that of another account."`
	Herd       bool          `help:"All listeners start the first track in the same moment, and that is all."`
	Seed       uint64        `default:"1" help:"The same listeners do the same again."`
	JSON       bool          `help:"Print one JSON object; progress goes to standard error all the same."`
}

// collectAt trades memory, which ten thousand listeners take little of, for processor
// time, in which the server is measured.
const collectAt = 400

// herdMemory is what a herd takes before anything is collected: it is over in a second.
const herdMemory = 1 << 30

// Help is printed under the flags.
func (benchEdgeCmd) Help() string {
	return `Listeners behave like players: they ask for the right to play, read the playlists, take the best quality their
line carries, fetch segments as they are needed, play in real time, skip, and go on with another track.

  melodyud bench edge --listeners 2000 --ramp 60s --for 5m --line 5000000
  melodyud bench edge --listeners 10000 --herd --track trk_…     a premiere: everybody at once

Each second there is a line of progress. In the end:

  held        most listeners served well for five seconds running: at most one request in a thousand failed, at most
              a thousandth of the time that should have sounded was stalled, and at most a tenth of them waited for
              a track to begin. Raise --listeners until it breaks, and watch the processor of this machine, too.
  start-up    from the first question to the edge to the whole first segment
  hit ratio   of segments, as Cache-Status tells
  stalls      waiting for sound that should have played, without start-up

One key is one account, and accounts play a few streams at once. For more give the server's --ticket-keys, or start it
with --streams-premium 0. Every listener takes a connection: ulimit -n has to allow for them, here and there.`
}

func (cmd benchEdgeCmd) Run(ctx context.Context, s std) error {
	debug.SetGCPercent(collectAt) // this process is the listeners: what they cost is not the server's
	c, err := cmd.client()
	if err != nil {
		return err
	}
	ids, err := cmd.tracks(ctx, c)
	if err != nil {
		return err
	}
	start, err := cmd.starter(c, ids)
	if err != nil {
		return err
	}
	config := node.LoadConfig{
		Tracks: len(ids), Start: start, Listeners: cmd.Listeners, For: cmd.For, Ramp: cmd.Ramp, Zipf: cmd.Zipf,
		Skips: cmd.Skips, Think: cmd.Think, Line: cmd.Line, Ahead: cmd.Ahead, Seed: cmd.Seed,
		Progress: func(second node.LoadSecond) { fmt.Fprintln(s.err, second) },
	}
	if cmd.Herd {
		return cmd.herd(ctx, config, s)
	}
	r, err := node.Load(ctx, config)
	switch {
	case err != nil:
		return err
	case cmd.JSON:
		return printJSON(s.out, r)
	}
	return printLoad(s.out, r)
}

func (cmd benchEdgeCmd) herd(ctx context.Context, config node.LoadConfig, s std) error {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(herdMemory)
	r, err := node.LoadHerd(ctx, config)
	switch {
	case err != nil:
		return err
	case cmd.JSON:
		return printJSON(s.out, r)
	}
	fmt.Fprintf(s.out, "%d listeners started together; the last had its first segment after %.2f s\n", r.Listeners, r.Seconds)
	printSpread(s.out, "first byte", r.FirstByte)
	printSpread(s.out, "start-up", r.Startup)
	return printErrors(s.out, r.Errors)
}

// tracks are the ids to listen to.
func (cmd benchEdgeCmd) tracks(ctx context.Context, c *client) ([]string, error) {
	ids := cmd.Track
	if len(ids) == 0 {
		if err := c.eachTrack(ctx, "published", func(t track) error {
			ids = append(ids, t.ID)
			return nil
		}); err != nil {
			return nil, err
		}
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("you have no published track to listen to: upload one first, or name others with --track")
	}
	return ids, nil
}

// starter asks the server for the right to play, once for each play; with the server's
// keys once for each track, whose address then gets a new ticket for each play.
func (cmd benchEdgeCmd) starter(c *client, ids []string) (func(context.Context, int) (string, error), error) {
	ask := func(ctx context.Context, i int) (string, error) {
		p, err := c.play(ctx, ids[i], false)
		if cmd.Hifi && p.HifiURL != "" {
			return p.HifiURL, err
		}
		return p.URL, err
	}
	if cmd.TicketKeys == "" {
		return ask, nil
	}
	stamps, err := node.NewStamper(cmd.TicketKeys)
	if err != nil {
		return nil, err
	}
	type asked struct {
		sync.Mutex
		address string
	}
	known := make([]asked, len(ids))
	return func(ctx context.Context, i int) (string, error) {
		one := &known[i]
		one.Lock()
		defer one.Unlock()
		if one.address == "" {
			address, err := ask(ctx, i)
			if err != nil {
				return "", err
			}
			one.address = address
		}
		return stamps.Stamp(one.address, time.Now())
	}, nil
}

func printLoad(w io.Writer, r node.LoadReport) error {
	held := fmt.Sprintf("%d of %d listeners held", r.Held, r.Listeners)
	if r.Broke > 0 {
		held += fmt.Sprintf("; at %d it broke", r.Broke)
	}
	fmt.Fprintf(w, "%s, in %.0f s\n", held, r.Seconds)
	fmt.Fprintf(w, "  requests    %d, %.0f a second, %.1f Mbit/s, hit ratio %.2f %%\n", r.Requests, r.RequestsPerSecond, r.MegabitsPerSecond, 100*r.HitRatio)
	fmt.Fprintf(w, "  plays       %d: %d to the end, %d skipped, %d failed; %.2f hours heard at %.0f kbit/s, %.2f switches a minute\n",
		r.Plays, r.Completed, r.Skipped, r.FailedPlays, r.PlayHours, r.AverageBitRate/1000, r.SwitchesPerMinute)
	printSpread(w, "start-up", r.Startup)
	printSpread(w, "first byte", r.FirstByte)
	printSpread(w, "admission", r.Admission)
	fmt.Fprintf(w, "  stalls      %d, %.2f in an hour of play, %.3f %% of the time\n", r.Stalls, r.StallsPerHour, 100*r.StallRatio)
	return printErrors(w, r.Errors)
}

func printSpread(w io.Writer, name string, s node.LoadSpread) {
	fmt.Fprintf(w, "  %-11s p50 %.1f ms, p95 %.1f ms, p99 %.1f ms, longest %.1f ms (%d)\n", name, s.P50, s.P95, s.P99, s.Max, s.N)
}

// printErrors lists what failed, the most frequent first.
func printErrors(w io.Writer, errors map[string]int64) error {
	kinds := make([]string, 0, len(errors))
	for kind := range errors {
		kinds = append(kinds, kind)
	}
	slices.SortFunc(kinds, func(a, b string) int {
		if errors[a] != errors[b] {
			return int(errors[b] - errors[a])
		}
		return strings.Compare(a, b)
	})
	for _, kind := range kinds {
		if _, err := fmt.Fprintf(w, "  error       %d x %s\n", errors[kind], kind); err != nil {
			return err
		}
	}
	return nil
}
