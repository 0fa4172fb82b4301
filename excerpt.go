package melodyud

import "time"

// Excerpt returns the segments [from, to) that are heard from the segment boundary
// nearest to start, for as many whole segments as last longest or less, but one at
// least. A start outside the track counts as the nearer end of it.
func (m *Manifest) Excerpt(start, longest time.Duration) (from, to int) {
	wanted, limit := m.samplesIn(start), m.samplesIn(longest)
	var at int64 // where segment i begins
	best := int64(-1)
	for i, n := range m.Segments {
		if off := max(at-wanted, wanted-at); best < 0 || off < best {
			best, from = off, i
		}
		at += n
	}
	var length int64
	for to = from; to < len(m.Segments); to++ {
		if length += m.Segments[to]; length > limit && to > from {
			break
		}
	}
	return from, to
}

// samplesIn returns how many samples of the track's rate d lasts.
func (m *Manifest) samplesIn(d time.Duration) int64 {
	rate := int64(m.SampleRate)
	return int64(d/time.Second)*rate + int64(d%time.Second)*rate/int64(time.Second)
}

// Span returns where segments [from, to) begin and how long they last.
func (m *Manifest) Span(from, to int) (start, length time.Duration) {
	before, within := Manifest{SampleRate: m.SampleRate}, Manifest{SampleRate: m.SampleRate}
	for i, n := range m.Segments[:to] {
		if i < from {
			before.Samples += n
		} else {
			within.Samples += n
		}
	}
	return before.Duration(), within.Duration()
}
