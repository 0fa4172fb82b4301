package aac

// blocks is the window sequence of a frame (ISO/IEC 14496-3 table 4.127).
type blocks uint8

const (
	onlyLong blocks = iota
	longStart
	eightShort
	longStop
)

// Frame is the analysis of one access unit: everything about it that does not
// depend on the bit rate. The zero Frame is ready to be filled by Analyzer.Next;
// Coders only read it, so several may at once.
type Frame struct {
	sequence blocks
	kbd      bool // window shape of the right half
	layout   *bandTable
	groups   []uint8 // windows of every group; one group of one in long blocks
	edges    []int16 // first coded line of every band of every group, and one past the last
	side     []bool  // bands coded as mid and side
	sides    bool    // any band is
	channels int
	channel  [2]spectrum
}

// bandCount returns the bands of all groups.
func (f *Frame) bandCount() int { return len(f.edges) - 1 }

// spectrum is one channel of a frame in coding order: group by group, band by
// band, window by window.
type spectrum struct {
	lines  [FrameSize]float32
	sizes  [FrameSize]size
	energy [bandsMost]float32 // Σ lines²
	form   [bandsMost]float32 // Σ √|lines|
	peak   [bandsMost]float32 // the largest power
	total  float32            // Σ |lines|
	weight [bandsMost]float32 // cost of one unit of noise energy
}

// size is the absolute value of a line.
type size struct {
	value float32
	power float32 // value^¾, what is quantised
}
