package main

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"syscall"
	"time"

	"github.com/melodyud/melodyud/transcode/features/rhythm"
	"github.com/melodyud/melodyud/transcode/features/spectrum"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// nothingTable is about sound that has no pulse: it must get no tempo.
func nothingTable(context.Context, *bench) ([]row, error) {
	rng := rand.New(rand.NewPCG(7, 7))
	second := float64(spectrum.RateR)
	var wrong []string
	sounds := map[string]func(i int) float64{
		"silence": func(int) float64 { return 0 },
		"DC":      func(int) float64 { return 0.3 },
		"noise":   func(int) float64 { return rng.Float64()*0.6 - 0.3 },
		"drone": func(i int) float64 {
			t := float64(i) / second
			return 0.1 * (math.Sin(2*math.Pi*130.8*t) + math.Sin(2*math.Pi*164.8*t) + math.Sin(2*math.Pi*196*t))
		},
	}
	for _, name := range []string{"silence", "DC", "noise", "drone"} {
		x := make([]float32, 30*spectrum.RateR)
		for i := range x {
			x[i] = float32(sounds[name](i))
		}
		if r := pulseOf(x); r.Tempo != nil || r.Reason == "" {
			wrong = append(wrong, name)
		}
	}
	r := row{metric: "tempo where none is", data: "silence DC noise drone", n: len(sounds), value: float64(len(wrong)), note: strings.Join(wrong, " ")}
	return []row{r.must(atMost(0), bound{})}, nil
}

func pulseOf(x []float32) rhythm.Result {
	p := pulse{rhythm.New(), spectrum.NewSTFT(spectrum.SizeR, spectrum.HopR)}
	p.write(x)
	return p.result()
}

// speedTable takes the processor time of front end, spectra and rhythm of ten minutes
// of noise bursts, most of which other features share.
func speedTable(context.Context, *bench) ([]row, error) {
	front, err := spectrum.NewFront(stereo)
	if err != nil {
		return nil, err
	}
	const minutes = 10
	rng := rand.New(rand.NewPCG(3, 3))
	x := make([]float32, 44100)
	for i := range x {
		x[i] = float32(math.Exp(-float64(i%22050)/2000) * (rng.Float64() - 0.5))
	}
	p := pulse{rhythm.New(), spectrum.NewSTFT(spectrum.SizeR, spectrum.HopR)}
	start := processorTime()
	for range minutes * 60 {
		front.Write(pcm.Block{Samples: [][]float32{x, x}}, p.write, ignore)
	}
	p.frames.Close(func([]float32) {})
	fronted := processorTime() - start
	p.tracker.Result()
	taken := processorTime() - start
	return []row{
		{metric: "xRT, until onsets", data: "noise bursts", n: 1, value: minutes * 60 / fronted.Seconds()},
		row{metric: "xRT, all of it", data: "noise bursts", n: 1, value: minutes * 60 / taken.Seconds()}.must(bound{}, atLeast(1000)),
	}, nil
}

// processorTime is what this process has used of processors.
func processorTime() time.Duration {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
