package features_test

import (
	"math"
	"testing"

	"github.com/melodyud/melodyud/transcode/features"
)

// part is a stretch of even loudness.
type part struct{ seconds, lufs float64 }

// shortTerm returns what a meter measures of parts: windows of 3 s every 100 ms.
func shortTerm(parts ...part) []float64 {
	var tenths []float64
	for _, p := range parts {
		for range int(math.Round(p.seconds * 10)) {
			tenths = append(tenths, math.Pow(10, p.lufs/10))
		}
	}
	var out []float64
	for i := 0; i+30 <= len(tenths); i++ {
		sum := 0.0
		for _, v := range tenths[i : i+30] {
			sum += v
		}
		out = append(out, sum/30)
	}
	return out
}

func TestThePreviewBeginsWhereTheChorusEnters(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		parts []part
		want  float64
	}{
		"verse and chorus":        {[]part{{40, -18}, {35, -12}, {60, -18}}, 40},
		"the last chorus, louder": {[]part{{30, -18}, {30, -13}, {30, -18}, {32, -11}, {20, -30}}, 90},
		"a short chorus":          {[]part{{50, -17}, {20, -12}, {50, -17}}, 50},
		"all alike":               {[]part{{200, -14}}, 0},
		"out of silence":          {[]part{{5, -90}, {60, -16}, {30, -14.5}, {60, -16}}, 65},
		"just long enough":        {[]part{{30, -14}}, 0},
		"early plateau":           {[]part{{12, -28}, {15, -18}, {18.5, -17.9}}, 12},
		"a loud end":              {[]part{{100, -20}, {12, -10}}, 82},
	} {
		got, ok := features.Highlight(shortTerm(c.parts...))
		if !ok || math.Abs(got-c.want) > 1 {
			t.Errorf("%s: begins at %.1f s (%v), want %.1f", name, got, ok, c.want)
		}
	}
}

func TestSilenceAndShortTracksHaveNoHighlight(t *testing.T) {
	t.Parallel()
	for name, parts := range map[string][]part{
		"nothing": {}, "silence": {{120, -200}}, "29.9 seconds": {{29.9, -14}}, "2 seconds": {{2, -14}},
	} {
		if at, ok := features.Highlight(shortTerm(parts...)); ok {
			t.Errorf("%s: highlight at %.1f", name, at)
		}
	}
	if _, ok := features.Highlight(make([]float64, 1000)); ok {
		t.Error("digital silence has a highlight")
	}
}
