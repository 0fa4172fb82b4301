package media

// Timeline says where the segments of a stream end, in presented samples at the
// stream's own rate. All streams of a track have timelines that name the same
// instants (ALIGN-1..4).
type Timeline struct {
	Rate    int   // Hz
	Segment int64 // nominal samples of a segment, a multiple of every frame size at this rate
}

// End returns the presented sample at which segment i (from 0) nominally ends.
func (t Timeline) End(i int) int64 { return int64(i+1) * t.Segment }

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
	// rates allow, else the largest divisor of the segment up to 4608.
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
		if n, block, ok := fit(rate, aac); ok {
			own := Timeline{rate, n * int64(rate) / int64(aac)}
			return Grid{Lossless: own, AAC: Timeline{aac, n}, FLACBlock: block}
		}
	}
	n, block, _ := fit(aac, aac)
	return Grid{Lossless: Timeline{aac, n}, AAC: Timeline{aac, n}, FLACBlock: block, Resampled: true}
}

// fit finds the segment length (samples at the AAC rate) nearest to 4 s which is
// whole in AAC frames and in FLAC blocks at rate, preferring blocks of 4096.
func fit(rate, aac int) (segment int64, block int, ok bool) {
	best := int64(-1)
	for n := int64(AACFrame); float64(n) <= longestSegment*float64(aac); n += AACFrame {
		if float64(n) < shortestSegment*float64(aac) || n*int64(rate)%int64(aac) != 0 {
			continue
		}
		b := blockFor(n * int64(rate) / int64(aac))
		if b == 0 {
			continue
		}
		if best < 0 || better(n, b, best, block, aac) {
			best, block = n, b
		}
	}
	return best, block, best > 0
}

func better(n int64, b int, best int64, block, aac int) bool {
	if r, old := roundness(n, b), roundness(best, block); r != old {
		return r > old
	}
	return abs(n-4*int64(aac)) < abs(best-4*int64(aac))
}

// roundness prefers blocks of 4096, and among them segments that are multiples
// of 4096 at both rates (HLS-72).
func roundness(n int64, block int) int {
	switch {
	case block == FLACBlock && n%FLACBlock == 0:
		return 2
	case block == FLACBlock:
		return 1
	}
	return 0
}

func blockFor(samples int64) int {
	if samples%FLACBlock == 0 {
		return FLACBlock
	}
	for b := int64(largestBlock); b >= smallestBlock; b-- {
		if samples%b == 0 {
			return int(b)
		}
	}
	return 0
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}
