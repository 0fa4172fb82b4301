package aac

import (
	"math"
	"math/rand/v2"
	"testing"
)

// music is stereo sound that keeps changing: tones, noise and hits.
func music(rate, seconds int) [][]float32 {
	r := rand.New(rand.NewPCG(7, 8))
	x := [][]float32{make([]float32, rate*seconds), make([]float32, rate*seconds)}
	for i := range x[0] {
		at := float64(i) / float64(rate)
		beat := math.Exp(-8 * math.Mod(at, 0.5))
		tone := math.Sin(2*math.Pi*220*at)*0.2 + math.Sin(2*math.Pi*(330+40*math.Sin(at))*at)*0.1
		loud := 0.05 + 0.1*math.Abs(math.Sin(at/3))
		x[0][i] = float32(tone + beat*0.4*(r.Float64()-0.5) + loud*(r.Float64()-0.5))
		x[1][i] = float32(tone*0.7 + beat*0.3*(r.Float64()-0.5) + loud*(r.Float64()-0.5))
	}
	return x
}

func TestTheRateIsKeptOverTheTrackAndOverFourSeconds(t *testing.T) {
	t.Parallel()
	for _, rate := range []int{44100, 48000} {
		cfg, seconds := Config{SampleRate: rate, Channels: 2}, 12
		targets := []int{64_000, 96_000, 160_000, 256_000}
		l, err := NewLadder(cfg, targets...)
		if err != nil {
			t.Fatal(err)
		}
		sizes := make([][]int, len(targets))
		note := func(i int, unit []byte) error {
			sizes[i] = append(sizes[i], 8*len(unit))
			if 8*len(unit) > 6144*cfg.Channels {
				t.Errorf("an access unit of %d bits", 8*len(unit))
			}
			return nil
		}
		if err := l.Encode(music(rate, seconds), note); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(note); err != nil {
			t.Fatal(err)
		}
		for i, target := range targets {
			checkRate(t, sizes[i], float64(target)*FrameSize/float64(rate), 4*rate/FrameSize)
		}
	}
}

// checkRate checks units of mean bits over all and over window units.
func checkRate(t *testing.T, sizes []int, mean float64, window int) {
	t.Helper()
	sum := 0
	for i, n := range sizes {
		sum += n
		if i < window {
			continue
		}
		part := 0
		for _, n := range sizes[i-window : i] {
			part += n
		}
		if off := float64(part)/float64(window)/mean - 1; math.Abs(off) > 0.15 {
			t.Fatalf("four seconds are %.1f %% off", 100*off)
		}
	}
	if off := float64(sum)/float64(len(sizes))/mean - 1; math.Abs(off) > 0.02 {
		t.Errorf("the track is %.1f %% off its rate", 100*off)
	}
}
