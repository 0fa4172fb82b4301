package main

import (
	"io"
	"math"
	"testing"
	"time"
)

func TestChanceIsThatOfACoin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		least, n int
		want     float64
	}{{0, 5, 1}, {5, 5, 1. / 32}, {3, 5, .5}, {12, 15, .017578125}, {11, 15, .059234619140625}} {
		if got := chance(c.least, c.n); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("at least %d of %d: %v, want %v", c.least, c.n, got, c.want)
		}
	}
}

func TestALongerP99IsWorseOnlyBeyondChance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		longer int // in so many of 15 rounds, by a tenth
		worse  bool
	}{{0, false}, {8, false}, {11, false}, {12, true}, {15, true}} {
		var ours, nginx []turn
		for i := range 15 {
			nginx = append(nginx, turn{p99: time.Millisecond})
			ours = append(ours, turn{p99: 900 * time.Microsecond})
			if i < c.longer {
				ours[i].p99 = 1100 * time.Microsecond
			}
		}
		if got := slower(io.Discard, "p99", ours, nginx, p99); got != c.worse {
			t.Errorf("longer in %d of 15 rounds: worse is %v", c.longer, got)
		}
	}
}
