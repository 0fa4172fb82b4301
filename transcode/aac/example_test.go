package aac_test

import (
	"fmt"
	"math"

	"github.com/melodyud/melodyud/transcode/aac"
)

func ExampleLadder() {
	tone := make([]float32, 44100)
	for i := range tone {
		tone[i] = float32(0.5 * math.Sin(2*math.Pi*440*float64(i)/44100))
	}
	cfg := aac.Config{SampleRate: 44100, Channels: 1}
	ladder, err := aac.NewLadder(cfg, 64_000, 128_000)
	if err != nil {
		panic(err)
	}
	units := make([]int, 2)
	count := func(rendition int, _ []byte) error {
		units[rendition]++
		return nil
	}
	if err := ladder.Encode([][]float32{tone}, count); err != nil {
		panic(err)
	}
	if err := ladder.Close(count); err != nil {
		panic(err)
	}
	fmt.Printf("%x %d\n", cfg.AudioSpecificConfig(), units)
	// Output: 1208 [45 45]
}
