package main

import (
	"io"
	"testing"
	"time"
)

func TestALongerP99IsMissed(t *testing.T) {
	t.Parallel()
	turns := func(us ...int) (r result) {
		for _, n := range us {
			r.turns = append(r.turns, turn{p99: time.Duration(n) * time.Microsecond})
		}
		return r
	}
	nginx := turns(900, 1000, 5000)
	for _, c := range []struct {
		ours   result
		missed bool
	}{
		{turns(900, 1000, 1100), false},
		{turns(4000, 990, 900), false},
		{turns(900, 1010, 1100), true},
	} {
		if got := slower(io.Discard, "p99", c.ours, nginx, p99); got != c.missed {
			t.Errorf("%v beside %v: missed is %v", c.ours.turns, nginx.turns, got)
		}
	}
}
