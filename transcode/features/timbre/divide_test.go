package timbre

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestTheLeastAreDividedFromTheRest(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		x := make([]float32, 1+random.IntN(40))
		for i := range x {
			x[i] = float32(random.IntN(12)) // many are equal
		}
		n := random.IntN(len(x) + 1)
		sorted := slices.Sorted(slices.Values(x))
		divide(x, n)
		least, rest := slices.Sorted(slices.Values(x[:n])), slices.Sorted(slices.Values(x[n:]))
		if !slices.Equal(least, sorted[:n]) || !slices.Equal(rest, sorted[n:]) {
			t.Fatalf("%v divided after %d: %v", sorted, n, x)
		}
	}
}
