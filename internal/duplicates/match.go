package duplicates

import (
	"cmp"
	"math"
	"math/bits"
	"slices"

	"github.com/melodyud/melodyud/transcode/features/fingerprint"
)

// Kind says what a pair of tracks seems to be.
type Kind string

// The kinds.
const (
	Recording Kind = "recording" // the same recording
	Review    Kind = "review"    // much alike: people have to listen
	Speed     Kind = "speed"     // the same, played faster or slower: people have to listen
)

// Bit errors of two prints below which they are the same, or alike. Those of
// different songs are about 0.47.
const (
	sameBelow   = 0.15
	reviewBelow = 0.35
)

const (
	candidates = 20 // that are verified: those with the most keys in line
	alignments = 4  // of each that are tried: music repeats itself
	slack      = 2  // items that an alignment may be off
	minOverlap = 40 // items that have to be compared, 5 s, unless a track is shorter
	leastItems = 8  // in any case: 3.6 s of sound
	enough     = 16 // different items that make a stretch something of its own
)

// match is a pair that a look-up has found.
type match struct {
	other  *print
	kind   Kind
	offset float64 // seconds: where in the other one ours begins
	score  float64 // bit error; of Speed the likeness of the embeddings
	speed  float64 // of ours against the other's
}

// hit is one key that a print has in common with ours.
type hit struct {
	print  int64
	offset int // its position less ours
}

// aligned is where a print may lie, best first.
type aligned struct {
	print   int64
	offsets []int
	hits    int // in line with the first
}

// ranked returns the prints with the most hits in line, best first.
func ranked(all []hit) []aligned {
	slices.SortFunc(all, func(a, b hit) int { return cmp.Or(cmp.Compare(a.print, b.print), cmp.Compare(a.offset, b.offset)) })
	var best []aligned
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].print == all[0].print {
			n++
		}
		best = append(best, align(all[:n]))
		all = all[n:]
	}
	slices.SortFunc(best, func(a, b aligned) int { return cmp.Or(cmp.Compare(b.hits, a.hits), cmp.Compare(a.print, b.print)) })
	return best[:min(len(best), candidates)]
}

// align finds the offsets at which one print has the most hits.
func align(hits []hit) aligned {
	a := aligned{print: hits[0].print}
	for len(a.offsets) < alignments && len(hits) > 0 {
		offset, n := densest(hits)
		a.offsets, a.hits = append(a.offsets, offset), max(a.hits, n)
		hits = slices.DeleteFunc(hits, func(h hit) bool { return h.offset >= offset-slack && h.offset <= offset+slack })
	}
	return a
}

// densest returns the offset with the most hits beside it, and their number.
func densest(hits []hit) (offset, most int) {
	from, to := 0, 0
	for _, h := range hits {
		for hits[from].offset < h.offset-1 {
			from++
		}
		for to < len(hits) && hits[to].offset <= h.offset+1 {
			to++
		}
		if to-from > most {
			offset, most = h.offset, to-from
		}
	}
	return offset, most
}

// compare holds ours against other around offsets in items.
func compare(ours, other *print, offsets []int) (match, bool) {
	best, at := 1.0, 0
	for _, offset := range offsets {
		for o := offset - slack; o <= offset+slack; o++ {
			if e, ok := bitError(other.items, ours.items, o); ok && e < best {
				best, at = e, o
			}
		}
	}
	m := match{other: other, kind: Recording, offset: float64(at) * fingerprint.ItemSeconds, score: best, speed: 1}
	if best >= sameBelow {
		m.kind = Review
	}
	return m, best < reviewBelow
}

// bitError returns the share of bits in which b differs from a, where b begins at
// a's item offset. It is false if too little lies beside each other to tell.
func bitError(a, b []uint32, offset int) (float64, bool) {
	shorter := min(len(a), len(b))
	a, b = a[min(max(0, offset), len(a)):], b[min(max(0, -offset), len(b)):]
	n := min(len(a), len(b))
	if n < leastItems || n < min(minOverlap, shorter*3/4) || !telling(a[:n]) || !telling(b[:n]) {
		return 1, false
	}
	wrong := 0
	for i, x := range a[:n] {
		wrong += bits.OnesCount32(x ^ b[i])
	}
	return float64(wrong) / float64(32*n), true
}

// telling reports whether items change enough to recognise anything by them: a
// test tone or silence has the same ones all along.
func telling(items []uint32) bool {
	want := min(enough, len(items)/4)
	seen := make(map[uint32]bool, want)
	for _, x := range items {
		if seen[x] = true; len(seen) > want {
			return true
		}
	}
	return false
}

// How copies at another speed are told: they have as many beats, last shorter by as
// much as they are faster, and sound alike.
const (
	beatsTolerance = 0.01
	speedTolerance = 0.01
	leastSpeed     = 0.005 // a smaller change leaves the fingerprint as it is
	mostSpeed      = 0.5
	soundsAlike    = 0.95 // cosine of the embeddings
)

// octaves are what one tempo may be of another when they are of the same music.
var octaves = []float64{1, 0.5, 2}

// spedUp tells whether ours is other at another speed.
func spedUp(ours, other *print) (match, bool) {
	for _, octave := range octaves {
		if ours.tempo == 0 || other.tempo == 0 || ours.duration == 0 {
			break
		}
		speed := ours.tempo * octave / other.tempo
		shorter := other.duration / ours.duration
		if math.Abs(speed-1) < leastSpeed || speed < 1-mostSpeed || speed > 1/(1-mostSpeed) || math.Abs(speed/shorter-1) > speedTolerance {
			continue
		}
		if c := cosine(ours.embedding, other.embedding); c >= soundsAlike {
			return match{other: other, kind: Speed, score: c, speed: speed}, true
		}
	}
	return match{}, false
}

func cosine(a, b []float32) float64 {
	if len(a) == 0 || len(a) != len(b) {
		return 0
	}
	var ab, aa, bb float64
	for i, x := range a {
		y := b[i]
		ab += float64(x) * float64(y)
		aa += float64(x) * float64(x)
		bb += float64(y) * float64(y)
	}
	return ab / math.Sqrt(max(aa*bb, 1e-30))
}
