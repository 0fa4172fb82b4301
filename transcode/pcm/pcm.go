// Package pcm moves decoded sound as blocks of samples: the Source contract,
// resampling, down-mixing, and the meters (loudness, true peak). Memory is
// bounded by the block, never by the track.
package pcm

// Format describes decoded sound.
type Format struct {
	Rate     int // Hz
	Channels int // 1..8
	// BitDepth is the number of significant bits of the source's integers, 8..24:
	// such samples are exact in float32. 0 means the source has none (lossy, float).
	BitDepth int
}

// Block is a stretch of planar samples: Samples[channel][i], nominally in [-1, 1).
// An integer v of depth d is v / 2^(d-1), exactly.
type Block struct {
	Samples [][]float32
}

// Len returns the number of samples per channel.
func (b Block) Len() int {
	if len(b.Samples) == 0 {
		return 0
	}
	return len(b.Samples[0])
}

// Source yields a track's sound from first sample to last.
//
// Read returns the next block of 1 to MaxBlock samples per channel, which stays
// valid until the next call, and a nil error; or an empty block and io.EOF after
// the last sample; or an empty block and what went wrong. After an error Read
// returns it again.
type Source interface {
	Format() Format
	Read() (Block, error)
}

// MaxBlock is the most samples per channel a Source may return at once.
const MaxBlock = 1 << 16

// Cut splits b after n samples per channel, or at its end if it is shorter.
// Both parts share b's memory.
func (b Block) Cut(n int) (head, rest Block) {
	if n >= b.Len() {
		return b, Block{}
	}
	head.Samples = make([][]float32, len(b.Samples))
	rest.Samples = make([][]float32, len(b.Samples))
	for c, s := range b.Samples {
		head.Samples[c], rest.Samples[c] = s[:n:n], s[n:]
	}
	return head, rest
}
