package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// turn is what one server did in one turn.
type turn struct {
	requests int
	cpu      time.Duration // user and system
	p50, p99 time.Duration
	paced    time.Duration // p99 where all servers have the same to do
}

// even has each connection wait a millisecond before it asks again. Without that the
// faster server is asked more, until what is measured is wrk.
const even = "function delay() return 1 end\n"

// result is all turns of one server.
type result struct {
	server *server
	turns  []turn
	length time.Duration
}

// measure gives each server its turns, after a short one that does not count.
func measure(ctx context.Context, o options, dir string, w workload, servers []*server) ([]result, error) {
	script := filepath.Join(dir, "even.lua")
	if err := os.WriteFile(script, []byte(even), 0o600); err != nil {
		return nil, err
	}
	results := make([]result, len(servers))
	for round := range o.rounds + 1 {
		for turn := range servers {
			i := (round + turn) % len(servers) // nobody always comes after the same one
			one, length := servers[i], o.length
			if round == 0 {
				length = time.Second
			}
			t, err := load(ctx, one, w, o.connections, length)
			if err != nil {
				return nil, err
			}
			slow, err := load(ctx, one, w, o.connections, length, "-s", script)
			if err != nil {
				return nil, err
			}
			t.paced = slow.p99
			if round > 0 {
				results[i].server, results[i].length = one, length
				results[i].turns = append(results[i].turns, t)
			}
		}
	}
	return results, nil
}

func load(ctx context.Context, s *server, w workload, connections int, length time.Duration, more ...string) (t turn, err error) {
	before := s.used()
	args := []string{"-c", strconv.Itoa(theCore + 1), "wrk", "-t1", "-c" + strconv.Itoa(connections), fmt.Sprintf("-d%.0fs", length.Seconds()), "--latency"}
	out, err := exec.CommandContext(ctx, "taskset", append(append(args, more...), s.url(w))...).CombinedOutput()
	if err != nil {
		return t, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	for pid, used := range s.used() {
		t.cpu += used - before[pid]
	}
	return t, t.read(string(out))
}

var (
	wrkRequests = regexp.MustCompile(`(\d+) requests in `)
	wrkP50      = regexp.MustCompile(`50%\s+([\d.]+\w+)`)
	wrkP99      = regexp.MustCompile(`99%\s+([\d.]+\w+)`)
)

// read reads what wrk printed.
func (t *turn) read(out string) (err error) {
	if strings.Contains(out, "Non-2xx") || strings.Contains(out, "Socket errors") {
		return fmt.Errorf("requests failed:\n%s", out)
	}
	n, p50, p99 := wrkRequests.FindStringSubmatch(out), wrkP50.FindStringSubmatch(out), wrkP99.FindStringSubmatch(out)
	if n == nil || p50 == nil || p99 == nil {
		return fmt.Errorf("wrk says:\n%s", out)
	}
	if t.requests, err = strconv.Atoi(n[1]); err != nil {
		return err
	}
	if t.p50, err = time.ParseDuration(p50[1]); err != nil {
		return err
	}
	t.p99, err = time.ParseDuration(p99[1])
	return err
}

// used is the processor time each of a server's processes has used, to the nanosecond.
// Some end while it runs, such as the one with which nginx looks through its cache.
func (o *server) used() map[int]time.Duration {
	all := map[int]time.Duration{}
	for _, pid := range o.pids {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid)) // the pattern is good
		for _, task := range tasks {
			raw, err := os.ReadFile(task)
			if err != nil {
				continue // it has ended
			}
			var ns int64
			if _, err := fmt.Sscan(string(raw), &ns); err == nil {
				all[pid] += time.Duration(ns)
			}
		}
	}
	return all
}

// perSecond is requests per second of processor time, over all turns.
func (r result) perSecond() float64 {
	var n int
	var cpu time.Duration
	for _, t := range r.turns {
		n, cpu = n+t.requests, cpu+t.cpu
	}
	return float64(n) / cpu.Seconds()
}

// rate is requests per second of the clock's time.
func (r result) rate() float64 {
	var n int
	for _, t := range r.turns {
		n += t.requests
	}
	return float64(n) / (r.length.Seconds() * float64(len(r.turns)))
}

// median of a figure of the turns: single turns suffer from whatever else runs.
func (r result) median(of func(turn) time.Duration) time.Duration {
	all := slices.Clone(r.turns)
	slices.SortFunc(all, func(a, b turn) int { return cmp.Compare(of(a), of(b)) })
	return of(all[len(all)/2])
}

func p50(t turn) time.Duration   { return t.p50 }
func p99(t turn) time.Duration   { return t.p99 }
func paced(t turn) time.Duration { return t.paced }

// report prints a table as docs/benchmarks.md has it.
func report(out io.Writer, w workload, results []result) {
	fmt.Fprintf(out, "\n| %s, %d KB | requests/s | requests per CPU second | melodyud is | p50 | p99 | p99 at an even pace |\n|---|---|---|---|---|---|---|\n", w.name, w.size>>10)
	ours := results[0].perSecond()
	for _, r := range results {
		fmt.Fprintf(out, "| %s | %.0f | %.0f | %.2f × | %s | %s | %s |\n", r.server.name, r.rate(), r.perSecond(), ours/r.perSecond(),
			r.median(p50).Round(10*time.Microsecond), r.median(p99).Round(10*time.Microsecond), r.median(paced).Round(10*time.Microsecond))
	}
}

// judge prints which bars were missed.
func judge(out io.Writer, w workload, results []result) (missed bool) {
	least := map[string]float64{"nginx": 1.0, "varnish": 1.3}
	if w == playlists {
		least = map[string]float64{"varnish": 1.0}
	}
	ours := results[0]
	for _, r := range results[1:] {
		if ratio, bar := ours.perSecond()/r.perSecond(), least[r.server.name]; ratio < bar {
			fmt.Fprintf(out, "MISSED: %s: %.2f x %s per CPU second, want %.2f\n", w.name, ratio, r.server.name, bar)
			missed = true
		}
		if r.server.name == "nginx" {
			missed = slower(out, w.name+": p99", ours, r, p99) || missed
			missed = slower(out, w.name+": p99 at an even pace", ours, r, paced) || missed
		}
	}
	return missed
}

// slower reports whether ours took longer, by the medians, and prints in how many rounds
// it did: of equals it is about half of them.
func slower(out io.Writer, what string, ours, nginx result, of func(turn) time.Duration) bool {
	longer := 0
	for i := range ours.turns {
		if of(ours.turns[i]) > of(nginx.turns[i]) {
			longer++
		}
	}
	fmt.Fprintf(out, "%s is longer than nginx's in %d of %d rounds\n", what, longer, len(ours.turns))
	a, b := ours.median(of), nginx.median(of)
	if a > b {
		fmt.Fprintf(out, "MISSED: %s is %s, nginx's %s\n", what, a, b)
	}
	return a > b
}
