package main

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"testing"
)

func TestBeatsAreScoredAsMirEvalScoresThem(t *testing.T) {
	t.Parallel()
	b := &bench{corpus: environment("MELODYUD_CORPUS", "../../../../shared/corpus")}
	if _, err := os.Stat(filepath.Join(b.corpus, "mir-eval", "beat")); err != nil {
		t.Skipf("corpus file is not here: %v", err)
	}
	rows, err := scorerTable(context.Background(), b)
	if err != nil || len(rows) != 1 || rows[0].verdict() != passesGate {
		t.Errorf("%v %v", rows, err)
	}
}

func TestPairsAreAsManyAsCanBe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		got, truth []float64
		f          float64
	}{
		{[]float64{6, 7, 8}, []float64{6.05, 7.05, 8.05}, 1},
		{[]float64{6, 6.06}, []float64{6.05, 6.12}, 1},
		{[]float64{6, 6.01}, []float64{6}, 2. / 3},
		{[]float64{1, 2, 6}, []float64{1.5, 6}, 1}, // before 5 s nothing counts
		{nil, []float64{6}, 0},
	} {
		if f := beatF(c.got, c.truth); math.Abs(f-c.f) > 1e-9 {
			t.Errorf("F of %v against %v: %g, want %g", c.got, c.truth, f, c.f)
		}
	}
}

func TestTempiAreRightOnceOrTwice(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		got      float64
		one, two bool
	}{{100, true, true}, {103.9, true, true}, {104.1, false, false}, {50, false, true}, {200, false, true}, {300, false, true}, {33.4, false, true}, {150, false, false}, {0, false, false}} {
		if one, two := tempoRight(c.got, 100); one != c.one || two != c.two {
			t.Errorf("%g for 100: %t %t", c.got, one, two)
		}
	}
	if e := octaveError(60.1, 120); math.Abs(e-0.2) > 1e-9 {
		t.Errorf("60.1 for 120 is off by %g but for the octave, want 0.2", e)
	}
}

func TestAGateThatIsMissedFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value   float64
		verdict string
	}{{0.5, failsGate}, {0.6, passesGate}, {0.8, onTarget}, {math.NaN(), failsGate}} {
		r := row{value: c.value}.must(atLeast(0.58), atLeast(0.75))
		if got := r.verdict(); got != c.verdict {
			t.Errorf("%g: %q, want %q", c.value, got, c.verdict)
		}
	}
	if r := share("", "", 24, 25); math.Abs(r.low-0.805) > 0.001 || math.Abs(r.high-0.993) > 0.001 {
		t.Errorf("24 of 25: interval [%.3f %.3f]", r.low, r.high) // Wilson's, from his formula by hand
	}
}
