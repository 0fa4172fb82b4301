// Command wirebench compares the edge with nginx and Varnish on this machine: the same
// cached segment and the same playlist, each server on one processor and the load on
// another, by turns and several times over, so that whatever else the machine does
// hits all alike. It prints a table and exits with 1 when the edge misses a bar:
//
//	segments    requests per second of processor time >= nginx's and >= 1.3 x Varnish's
//	playlists   the same >= Varnish's
//	both        p99 no worse than nginx's, at full speed and where both have the same to do
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	melodyud    string
	also        string
	rounds      int
	length      time.Duration
	connections int
	only        string
}

func main() {
	var o options
	flag.StringVar(&o.melodyud, "melodyud", "bin/melodyud", "the program to measure")
	flag.StringVar(&o.also, "also", "", "another build of it, to compare with")
	flag.IntVar(&o.rounds, "rounds", 15, "how often each server has its turn")
	flag.DurationVar(&o.length, "length", 2*time.Second, "of one turn")
	flag.IntVar(&o.connections, "connections", 32, "connections at once")
	flag.StringVar(&o.only, "only", "", "segment or playlist; default both")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	missed, err := run(ctx, o, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "wirebench:", err)
		os.Exit(2)
	}
	if missed {
		os.Exit(1)
	}
}

// run measures and reports whether a bar was missed.
func run(ctx context.Context, o options, out io.Writer) (missed bool, err error) {
	dir, err := os.MkdirTemp("", "wirebench")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	s, err := newStage(dir)
	if err != nil {
		return false, err
	}
	servers, err := s.start(ctx, o)
	defer func() {
		for _, one := range servers {
			one.stop()
		}
	}()
	if err != nil {
		return false, err
	}
	for _, what := range []workload{segments, playlists} {
		if o.only != "" && o.only != what.name {
			continue
		}
		results, err := measure(ctx, o, dir, what, servers)
		if err != nil {
			return false, err
		}
		report(out, what, results)
		missed = judge(out, what, results) || missed
	}
	return missed, nil
}
