package aac_test

import (
	"testing"

	"github.com/melodyud/melodyud/transcode/aac"
)

func TestCodingAllocatesNothingOnceItRuns(t *testing.T) {
	cfg := aac.Config{SampleRate: 48000, Channels: 2}
	a, err := aac.NewAnalyzer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c, err := aac.NewCoder(cfg, 128_000)
	if err != nil {
		t.Fatal(err)
	}
	x, at := sound(cfg, 3*cfg.SampleRate, music), 0
	var f aac.Frame
	var unit []byte
	next := func() {
		at = (at + aac.FrameSize) % (len(x[0]) - aac.FrameSize)
		a.Write([][]float32{x[0][at:][:aac.FrameSize], x[1][at:][:aac.FrameSize]})
		for a.Next(&f) {
			unit = c.Code(unit[:0], &f)
		}
	}
	for range 100 {
		next()
	}
	if got := testing.AllocsPerRun(100, next); got > 0 {
		t.Errorf("a frame allocates %v times", got)
	}
}
