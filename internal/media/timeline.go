package media

// Timeline says where the segments of a stream end, in presented samples at the
// stream's own rate. All streams of a track have timelines that name the same
// instants (ALIGN-1..4).
//
// The first nominal segment is cut in three, of about 1, 1 and 2 s, so that a
// player has its first segment soon even of a rendition that needs 5 Mbit/s; all
// later ones have the nominal length.
type Timeline struct {
	Rate    int   // Hz
	Segment int64 // nominal samples of a segment, a multiple of Step
	// Step divides every boundary and is a multiple of every frame size at this
	// rate. 0 means Segment: no ramp.
	Step int64
}

// End returns the presented sample at which segment i (from 0) nominally ends.
func (t Timeline) End(i int) int64 {
	first, ok := t.first()
	switch {
	case !ok:
		return int64(i+1) * t.Segment
	case i < 2:
		return int64(i+1) * first
	}
	return int64(i-1) * t.Segment
}

// Length returns the nominal samples of segment i (from 0).
func (t Timeline) Length(i int) int64 {
	if i == 0 {
		return t.End(0)
	}
	return t.End(i) - t.End(i-1)
}

// first is the length of the first two segments: the multiple of Step nearest to
// a second. A nominal segment of fewer than three steps has no ramp.
func (t Timeline) first() (samples int64, ok bool) {
	if t.Step <= 0 {
		return 0, false
	}
	steps := max(1, (2*int64(t.Rate)+t.Step)/(2*t.Step))
	return steps * t.Step, 2*steps*t.Step < t.Segment
}

// RuntSamples is the shortest tail worth a segment of its own: half a second
// (HLS-73).
func (t Timeline) RuntSamples() int64 { return int64(t.Rate) / 2 }

// Frame sizes of the codecs, in samples.
const (
	AACFrame  = 1024
	FLACBlock = 4096 // FLAC-1
)

// Grid is the common timeline of a track's renditions.
type Grid struct {
	Lossless Timeline // of the FLAC rendition; playlists print its boundaries
	AAC      Timeline // at 44.1 or 48 kHz

	// FLACBlock is the fixed block size of the FLAC rendition: 4096 wherever the
	// rates allow, else a divisor of the segment up to 4608.
	FLACBlock int
	// Resampled says that the source's rate shares no usable grid with 44.1 or
	// 48 kHz, so that the lossless rendition is made at the AAC rate.
	Resampled bool
}

// TargetDuration is the EXT-X-TARGETDURATION of every playlist, in seconds:
// nominal segments of about 4 s (HLS-71).
const TargetDuration = 4

const (
	longestSegment  = 4.25 // seconds; with a runt tail merged it may reach 4.5 (HLS-51)
	shortestSegment = 3.5
	smallestBlock   = 2048
	largestBlock    = 4608 // the streamable subset's limit up to 48 kHz (RFC 9639 §7)
	highestRate     = 192_000
)

// NewGrid returns the grid for a source of the given rate (Hz). AAC is coded at
// 44.1 kHz when the rate belongs to that family, else at 48 kHz.
func NewGrid(rate int) Grid {
	aac := 48_000
	if rate%11_025 == 0 {
		aac = 44_100
	}
	if rate <= highestRate {
		if f, ok := fit(rate, aac); ok {
			return f.grid(rate)
		}
	}
	f, _ := fit(aac, aac)
	g := f.grid(aac)
	g.Resampled = true
	return g
}

// layout is one way to divide time for AAC and FLAC together.
type layout struct {
	rate    int   // of AAC, Hz
	segment int64 // samples at that rate
	steps   int64 // in a segment
	block   int   // samples of a FLAC block
	even    bool  // steps are multiples of 4096 at the AAC rate (HLS-72)
}

func (l layout) timeline() Timeline { return Timeline{l.rate, l.segment, l.segment / l.steps} }

func (l layout) grid(rate int) Grid {
	own := l.segment * int64(rate) / int64(l.rate)
	return Grid{Lossless: Timeline{rate, own, own / l.steps}, AAC: l.timeline(), FLACBlock: l.block}
}

// fit finds the best layout for segments of about 4 s that are whole in AAC
// frames and in FLAC blocks at rate.
func fit(rate, aac int) (best layout, ok bool) {
	for n := int64(AACFrame); float64(n) <= longestSegment*float64(aac); n += AACFrame {
		if float64(n) < shortestSegment*float64(aac) || n*int64(rate)%int64(aac) != 0 {
			continue
		}
		own := n * int64(rate) / int64(aac)
		for _, block := range blocksOf(own) {
			for _, base := range []int64{FLACBlock, AACFrame} {
				l := layout{aac, n, gcd(n/base, own/int64(block)), block, base == FLACBlock}
				if n%base == 0 && (!ok || l.better(best)) {
					best, ok = l, true
				}
			}
		}
	}
	return best, ok
}

// better prefers layouts fine enough for a ramp, then blocks of 4096, then steps
// of 4096 at the AAC rate, then segments nearest to 4 s, then fine steps.
func (l layout) better(than layout) bool {
	if l.rank() != than.rank() {
		return l.rank() > than.rank()
	}
	if d, old := abs(l.segment-4*int64(l.rate)), abs(than.segment-4*int64(l.rate)); d != old {
		return d < old
	}
	return l.steps > than.steps
}

func (l layout) rank() (rank int) {
	first, ramp := l.timeline().first()
	near := abs(first-int64(l.rate)) < int64(l.rate)*3/10
	for i, good := range []bool{l.even, l.block == FLACBlock, ramp, ramp && near} {
		if good {
			rank |= 1 << i
		}
	}
	return rank
}

// blocksOf lists the block sizes that divide a segment: 4096 if it does, else all
// others, largest first.
func blocksOf(samples int64) (blocks []int) {
	if samples%FLACBlock == 0 {
		return []int{FLACBlock}
	}
	for b := int64(largestBlock); b >= smallestBlock; b-- {
		if samples%b == 0 {
			blocks = append(blocks, int(b))
		}
	}
	return blocks
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}
