package hls

import (
	"fmt"

	melodyud "github.com/melodyud/melodyud"
)

// Clip returns the manifest of segments from to to-1 of m: the same bytes, with
// lengths and bit rates of the clip alone (HLS-41). Print it with Options.First
// from and virtual URLs: its byte ranges mean nothing. Segments that m does not
// have are ErrNotFound.
func Clip(m *melodyud.Manifest, from, to int) (*melodyud.Manifest, error) {
	if from < 0 || to > len(m.Segments) || from >= to {
		return nil, fmt.Errorf("%w: segments %d to %d of %d", melodyud.ErrNotFound, from, to-1, len(m.Segments))
	}
	c := *m
	c.Segments = m.Segments[from:to]
	c.Samples = sum(c.Segments)
	c.Renditions = make([]melodyud.Rendition, len(m.Renditions))
	for i, r := range m.Renditions {
		if len(r.Sizes) != len(m.Segments) || len(r.Durations) != len(m.Segments) {
			return nil, fmt.Errorf("%w: manifest of %d segments, rendition %s of %d", melodyud.ErrInvalid, len(m.Segments), r.Name, len(r.Sizes))
		}
		r.Sizes, r.Durations = r.Sizes[from:to], r.Durations[from:to]
		r.Samples = sum(r.Durations)
		r.Bandwidth, r.AverageBandwidth = Bandwidth(r.Sizes, c.Segments, c.SampleRate, c.TargetDuration)
		c.Renditions[i] = r
	}
	return &c, nil
}

func sum(n []int64) (total int64) {
	for _, v := range n {
		total += v
	}
	return total
}
