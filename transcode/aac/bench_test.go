package aac_test

import (
	"fmt"
	"testing"

	"github.com/melodyud/melodyud/transcode/aac"
)

var benched = aac.Config{SampleRate: 44100, Channels: 2}

func BenchmarkAnalyzer(b *testing.B) {
	x := sound(benched, 10*benched.SampleRate, music)
	for b.Loop() {
		a, err := aac.NewAnalyzer(benched)
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
	var analysed []aac.Frame
	a, err := aac.NewAnalyzer(benched)
	if err != nil {
		b.Fatal(err)
	}
	a.Write(sound(benched, 10*benched.SampleRate, music))
	a.Close()
	for f := (aac.Frame{}); a.Next(&f); f = (aac.Frame{}) {
		analysed = append(analysed, f)
	}
	for _, rate := range []int{64_000, 96_000, 160_000, 256_000} {
		b.Run(fmt.Sprint(rate), func(b *testing.B) {
			var unit []byte
			for b.Loop() {
				c, err := aac.NewCoder(benched, rate)
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
