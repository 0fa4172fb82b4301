package tonal

import (
	"math"

	melodyud "github.com/melodyud/melodyud"
)

// What it takes to say something.
const (
	quiet    = 1e-5  // of the loudest frame's power: -50 dB; quieter ones have no say
	shortest = 3.0   // seconds of sound that a key needs
	nothing  = 1.0   // seconds: less sound than that in a longer track is none
	tonality = 0.025 // see hearing.tonal
	luck     = 0.1   // second: how much more of it chance may give a short sound
	clearly  = 0.15  // the evidence of notes that leaves no doubt of a key
	moving   = 0.1   // the change of chroma from which on it is music and not one sound
	steadied = 0.3   // a frame's share of steady peaks from which on it counts in full
)

// Result is what was heard.
type Result struct {
	// Tonal names key and tuning. If there is no key, Reason is "silent",
	// "too_short" or "atonal": noise, drums, speech, a single tone.
	Tonal melodyud.Tonal

	// Chroma holds the 12 pitch classes from C of successive stretches of Step
	// seconds, the first of them centred on the track's beginning. In each the
	// largest is 1, or all are 0 where nothing sounds.
	Chroma [][12]float32
	Step   float64
}

// Result returns what was heard so far. No Frame may follow.
func (l *Listener) Result() Result {
	l.flush()
	cents, focus := tuning(&l.cents)
	w := tuned(cents)
	h := l.hearing(&w)
	h.focus = focus
	return Result{Tonal: h.tonal(cents), Chroma: l.chroma(&w), Step: step * float64(l.joined)}
}

// hearing sums up all frames.
type hearing struct {
	length  float64     // seconds
	seconds float64     // that are not quiet
	share   float64     // of steady peaks in all power, 0..1
	focus   float64     // of the peaks' cents around one tuning, 0..1
	chroma  [12]float64 // mean of the frames, struck ones counting less; largest 1
	change  float64     // of the chroma: 0 for one standing sound, 0.2 and more in songs
}

func (l *Listener) hearing(w *weights) (h hearing) {
	var loudest float32
	for i := range l.frames {
		loudest = max(loudest, l.frames[i].energy)
	}
	floor := max(quiet*loudest, silence)
	h.length = step * float64(l.taken)
	var energy float64
	for i := range l.frames {
		f := &l.frames[i]
		if f.energy <= floor {
			continue
		}
		share := f.share()
		weight := float64(min(1, share/steadied))
		for k, c := range w.classes(&f.chroma) {
			h.chroma[k] += float64(weight * float64(c))
		}
		h.seconds += step * float64(l.joined)
		h.share += float64(float64(share) * float64(f.energy))
		energy += float64(f.energy)
	}
	if energy > 0 {
		h.share /= energy
	}
	normalise(&h.chroma)
	h.change = l.change(w, &h.chroma, floor)
	return h
}

// change is 1 less the mean cosine between the mean chroma and that of each frame
// whose energy is above the floor.
func (l *Listener) change(w *weights, mean *[12]float64, floor float32) float64 {
	var alike, frames float64
	for i := range l.frames {
		if l.frames[i].energy <= floor {
			continue
		}
		frames++
		var product, square, whole float64
		for k, c := range w.classes(&l.frames[i].chroma) {
			product += float64(float64(c) * mean[k])
			square += float64(c * c)
			whole += float64(mean[k] * mean[k])
		}
		if square > 0 && whole > 0 {
			alike += product / math.Sqrt(square*whole)
		}
	}
	if frames == 0 {
		return 0
	}
	return max(0, 1-alike/frames)
}

// tonal fills in what can be said. What is tonal has steady peaks, at semitones
// from each other, in the proportions of a key: in stretches of 15 s the product
// of the three is over 0.08 in songs and 0.03 to 0.1 in metal with drums, under
// 0.025 in noise, drums and speech.
func (h *hearing) tonal(cents float64) (t melodyud.Tonal) {
	g, ok := KeyOf(h.chroma)
	evidence := float64(h.focus * h.share)
	switch {
	case h.seconds == 0, h.seconds < nothing && h.length >= shortest:
		t.Reason = "silent"
		return t
	case h.seconds < shortest:
		t.Reason = "too_short"
		return t
	case evidence*max(g.Fit, 0) < tonality+luck/h.seconds && (ok || evidence < 0.1):
		t.Reason = "atonal"
		return t
	}
	t.TuningCents = rounded(cents, 10)
	for _, c := range h.chroma {
		t.Chroma = append(t.Chroma, *rounded(c, 1000))
	}
	if !ok {
		t.Reason = "atonal"
		return t
	}
	t.Key, t.Mode, t.KeyAlt = &g.Key.Key, &g.Key.Mode, &g.Alt
	t.KeyConfidence = rounded(g.Confidence*min(1, evidence/clearly)*min(1, h.change/moving), 1000)
	t.Camelot = Camelot(g.Key)
	return t
}

// rounded keeps what is meant of x: parts of 1/unit.
func rounded(x, unit float64) *float64 {
	x = math.Round(x*unit)/unit + 0 // and not -0
	return &x
}

func normalise(c *[12]float64) {
	var most float64
	for _, v := range c {
		most = max(most, v)
	}
	for i := range c {
		if most > 0 {
			c[i] /= most
		}
	}
}

// chroma returns every frame's pitch classes.
func (l *Listener) chroma(w *weights) [][12]float32 {
	all := make([][12]float32, len(l.frames))
	for i := range l.frames {
		c := w.classes(&l.frames[i].chroma)
		var most float32
		for _, v := range c {
			most = max(most, v)
		}
		for k := range c {
			if most > 0 {
				all[i][k] = c[k] / most
			}
		}
	}
	return all
}
