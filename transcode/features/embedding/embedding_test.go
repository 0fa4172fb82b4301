package embedding_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/melodyud/melodyud/transcode/features/embedding"
	"github.com/melodyud/melodyud/transcode/features/spectrum"
	"github.com/melodyud/melodyud/transcode/features/timbre"
)

func hear(x []float32) timbre.Result {
	m, s := timbre.New(), spectrum.NewSTFT(spectrum.SizeR, spectrum.HopR)
	m.Samples(x)
	s.Write(x, m.Frame)
	s.Close(m.Frame)
	return m.Result()
}

// piece is some seconds of plucked notes over noise: seed chooses the notes,
// noise how much of it there is.
func piece(seconds float64, seed uint64, noise float64) []float32 {
	random := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, int(seconds*spectrum.RateR))
	const note = spectrum.RateR / 4
	hz := 0.0
	for i := range x {
		if i%note == 0 {
			hz = 220 * math.Pow(2, float64(random.IntN(24))/12)
		}
		t := float64(i%note) / spectrum.RateR
		v := 0.0
		for h := 1.0; h < 9; h++ {
			v += math.Exp(-t*4*h) / h * math.Sin(2*math.Pi*hz*h*t)
		}
		x[i] = float32(0.2*v + noise*random.NormFloat64())
	}
	return x
}

func TestVectorsHaveTheLengthOne(t *testing.T) {
	t.Parallel()
	e := embedding.Of(hear(piece(4, 1, 0.01)))
	if e.Model != "hand-v1" || e.Licence == "" || e.Reason != "" || len(e.Vector) != embedding.Dimensions {
		t.Fatalf("%+v", e)
	}
	if c := embedding.Cosine(e.Vector, e.Vector); math.Abs(c-1) > 1e-6 {
		t.Errorf("the length is %v", math.Sqrt(c))
	}
}

func TestWhatCannotBePlacedSaysWhy(t *testing.T) {
	t.Parallel()
	for reason, x := range map[string][]float32{
		"silent":    make([]float32, 3*spectrum.RateR),
		"too_short": piece(0.5, 1, 0),
	} {
		if e := embedding.Of(hear(x)); e.Vector != nil || e.Reason != reason {
			t.Errorf("%v for the reason %q, want none for %q", e.Vector, e.Reason, reason)
		}
	}
	for _, x := range [][]float32{piece(2, 1, 3), constant(0.5)} {
		for _, v := range embedding.Of(hear(x)).Vector {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				t.Fatal("a vector is not of numbers")
			}
		}
	}
}

func constant(v float32) []float32 {
	x := make([]float32, 2*spectrum.RateR)
	for i := range x {
		x[i] = v
	}
	return x
}

func TestTheSameMusicLouderIsInTheSamePlace(t *testing.T) {
	t.Parallel()
	x := piece(6, 1, 0.01)
	loud := embedding.Of(hear(x)).Vector
	for i := range x {
		x[i] /= 4
	}
	if c := embedding.Cosine(loud, embedding.Of(hear(x)).Vector); c < 0.999 {
		t.Errorf("12 dB less has the cosine %.5f", c)
	}
}

func TestMusicAlikeIsNearerThanOther(t *testing.T) {
	t.Parallel()
	a, b, c := embedding.Of(hear(piece(6, 1, 0.01))), embedding.Of(hear(piece(6, 2, 0.01))), embedding.Of(hear(piece(6, 2, 0.3)))
	if alike, other := embedding.Cosine(a.Vector, b.Vector), embedding.Cosine(a.Vector, c.Vector); alike < other+0.2 {
		t.Errorf("other notes of the same instrument: %.3f; under noise: %.3f", alike, other)
	}
}

// TestTheSpaceStaysWhereItIs fails when vectors change: stored ones would then be
// compared with others of the same name. Another name is needed for another space.
func TestTheSpaceStaysWhereItIs(t *testing.T) {
	t.Parallel()
	got := embedding.Of(hear(piece(6, 1, 0.01))).Vector
	want := []float32{0.31424, 0.42464, 0.21118, -0.03026, -0.25732, 0.40488, -0.36182, 0.17251}
	for i, v := range want {
		if math.Abs(float64(got[i]-v)) > 1e-4 {
			t.Errorf("element %d is %.5f and was %.5f", i, got[i], v)
		}
	}
	if t.Failed() {
		t.Logf("%.5f", got[:len(want)])
	}
}

func TestMutualProximityTakesHubsOffTheLists(t *testing.T) {
	t.Parallel()
	const tracks, k = 200, 5
	random := rand.New(rand.NewPCG(5, 6))
	vectors := make([][]float32, tracks)
	for i := range vectors {
		v, length := make([]float32, embedding.Dimensions), 0.0
		for d := range v {
			v[d] = float32(random.NormFloat64() + 0.3) // all lean one way: the nearest to that are hubs
			length += float64(v[d]) * float64(v[d])
		}
		for d := range v {
			v[d] /= float32(math.Sqrt(length))
		}
		vectors[i] = v
	}
	mutual, plain := make([]int, tracks), make([]int, tracks)
	for i, list := range embedding.Neighbours(vectors, k) {
		if len(list) != k {
			t.Fatalf("%d neighbours", len(list))
		}
		for n, neighbour := range list {
			mutual[neighbour.Index]++
			if neighbour.Index == i || n > 0 && neighbour.Proximity > list[n-1].Proximity {
				t.Fatalf("track %d: %+v", i, list)
			}
		}
		for _, j := range nearest(vectors, i, k) {
			plain[j]++
		}
	}
	if m, p := slices.Max(mutual), slices.Max(plain); 3*m > 2*p {
		t.Errorf("the largest hub is on %d lists, on %d by the cosine alone", m, p)
	}
}

func nearest(vectors [][]float32, i, k int) []int {
	var order []int
	for j := range vectors {
		if j != i {
			order = append(order, j)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return int(math.Copysign(1, embedding.Cosine(vectors[i], vectors[b])-embedding.Cosine(vectors[i], vectors[a])))
	})
	return order[:k]
}

func TestVectorsOfOtherModelsAreNotCompared(t *testing.T) {
	t.Parallel()
	if c := embedding.Cosine(make([]float32, 64), make([]float32, 200)); c != 0 {
		t.Errorf("cosine %v", c)
	}
	if got := embedding.Neighbours([][]float32{{1, 0}}, 5); len(got) != 1 || len(got[0]) != 0 {
		t.Errorf("a track alone has the neighbours %v", got)
	}
	same := [][]float32{{1, 0}, {1, 0}, {1, 0}}
	if p := embedding.Neighbours(same, 1)[0][0].Proximity; math.IsNaN(p) {
		t.Error("equal tracks have no proximity")
	}
}
