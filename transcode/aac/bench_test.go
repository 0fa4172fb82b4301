package aac_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/melodyud/melodyud/transcode/aac"
)

// band is stereo material that keeps every part of the encoder busy.
func band(rate, seconds int) [][]float32 {
	r := rand.New(rand.NewPCG(1, 1))
	x := [][]float32{make([]float32, rate*seconds), make([]float32, rate*seconds)}
	low := 0.0
	for i := range x[0] {
		at := float64(i) / float64(rate)
		low += 0.2 * (r.Float64() - 0.5 - low)
		v := 0.3*low + 0.05*(r.Float64()-0.5)*math.Exp(-6*math.Mod(at, 0.4))
		for h := 1.0; h < 12; h++ {
			v += 0.1 / h * math.Sin(2*math.Pi*h*(110+20*math.Floor(math.Mod(at*2, 8)))*at)
		}
		x[0][i], x[1][i] = float32(v), float32(v*0.8+0.1*low)
	}
	return x
}

func BenchmarkAnalyzer(b *testing.B) {
	x := band(44100, 10)
	for b.Loop() {
		a, err := aac.NewAnalyzer(aac.Config{SampleRate: 44100, Channels: 2})
		if err != nil {
			b.Fatal(err)
		}
		a.Write(x)
		a.Close()
		var f aac.Frame
		for a.Next(&f) {
		}
	}
	realtime(b, 10)
}

func BenchmarkCoder(b *testing.B) {
	cfg := aac.Config{SampleRate: 44100, Channels: 2}
	var analysed []aac.Frame
	a, err := aac.NewAnalyzer(cfg)
	if err != nil {
		b.Fatal(err)
	}
	a.Write(band(44100, 10))
	a.Close()
	for f := (aac.Frame{}); a.Next(&f); f = (aac.Frame{}) {
		analysed = append(analysed, f)
	}
	for _, rate := range []int{64_000, 96_000, 160_000, 256_000} {
		b.Run(fmt.Sprint(rate), func(b *testing.B) {
			var unit []byte
			for b.Loop() {
				c, err := aac.NewCoder(cfg, rate)
				if err != nil {
					b.Fatal(err)
				}
				for i := range analysed {
					unit = c.Code(unit[:0], &analysed[i])
				}
			}
			realtime(b, 10)
		})
	}
}

func realtime(b *testing.B, seconds float64) {
	b.ReportMetric(seconds*float64(b.N)/b.Elapsed().Seconds(), "x-realtime")
}
