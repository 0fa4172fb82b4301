package aac

import (
	"math"
	"testing"
)

func TestATonesContinuationIsTheTone(t *testing.T) {
	t.Parallel()
	tone := func(i int) float64 { return 0.4*math.Sin(float64(i)*0.06) + 0.2*math.Sin(float64(i)*0.31+1) }
	x := make([]float64, 2048)
	for i := range x {
		x[i] = tone(i)
	}
	got := continueSound(x, len(x))
	for i := 2048; i < 2048+FrameSize; i++ {
		if d := math.Abs(got[i] - tone(i)); d > 0.02 {
			t.Fatalf("%d samples after the end the tone is %.3f off", i-2047, d)
		}
	}
	if got := math.Abs(got[len(got)-1]); got > 0.01 {
		t.Errorf("the continuation ends at %.3f, not in silence", got)
	}
}

func TestATonePrecedesItself(t *testing.T) {
	t.Parallel()
	x := make([]float64, Priming+2048)
	for i := range 2048 {
		x[Priming+i] = 0.5 * math.Sin(float64(i)*0.06+1)
	}
	precedeSound(x, 2048)
	for i := Priming - 100; i < Priming; i++ {
		want := 0.5 * math.Sin(float64(i-Priming)*0.06+1) * float64(i) / Priming
		if d := math.Abs(x[i] - want); d > 0.02 {
			t.Fatalf("%d samples before the start the tone is %.3f off", Priming-i, d)
		}
	}
}

func TestEveryContinuationIsFiniteAndBounded(t *testing.T) {
	t.Parallel()
	loud := func(i int) float64 { return float64(1 - i/7%2*2) }
	for name, sample := range map[string]func(int) float64{
		"silence": func(int) float64 { return 0 }, "square": loud, "constant": func(int) float64 { return 1 },
		"click": func(i int) float64 { return float64(i % 1999 / 1998) }, "growing": func(i int) float64 { return math.Exp(float64(i-3000) / 100) },
	} {
		for _, n := range []int{0, 1, 2, 5, 63, 64, 1000, 3000} {
			x := make([]float64, FrameSize+n)
			for i := range n {
				x[FrameSize+i] = sample(i)
			}
			got := continueSound(x, n)
			precedeSound(got, n)
			if len(got) != FrameSize+n+foretold {
				t.Fatalf("%s: %d samples after %d", name, len(got), n)
			}
			for i, v := range got {
				if !(v >= -1 && v <= 1) {
					t.Fatalf("%s of %d: sample %d is %v", name, n, i, v)
				}
			}
		}
	}
}
