package main

import (
	"strings"
	"testing"
)

func TestBenchEdgeTellsHowManyListenersAServerHolds(t *testing.T) {
	t.Parallel()
	p := serving(t)
	if r := p.run("bench", "edge"); r.code != exitFailed || !strings.Contains(r.err, "upload one first") {
		t.Errorf("without tracks: %d, %s", r.code, r.err)
	}
	p.must("upload", tone(t, 8), "--wait")
	r := p.run("bench", "edge", "--listeners", "2", "--ramp", "0", "--for", "3s", "--think", "10ms", "--skips", "0.5", "--json")
	type report struct {
		Held        int              `json:"held"`
		Requests    int              `json:"requests"`
		FailedPlays int              `json:"failed_plays"`
		HitRatio    float64          `json:"hit_ratio"`
		Errors      map[string]int64 `json:"errors"`
	}
	got := decode[report](t, r.out)
	if r.code != 0 || got.Requests < 8 || got.FailedPlays != 0 || got.HitRatio <= 0 || len(got.Errors) != 0 {
		t.Errorf("exit %d, %s%s", r.code, r.out, r.err)
	}
	if lines := strings.Count(r.err, " listeners "); lines < 2 {
		t.Errorf("%d lines of progress:\n%s", lines, r.err)
	}
	herd := p.must("bench", "edge", "--herd", "--listeners", "3")
	if !strings.Contains(herd, "3 listeners started together") || strings.Contains(herd, "error") {
		t.Error(herd)
	}
}
