package melodyud

import "math"

// The blocks that LoudnessBlocks counts: from the absolute gate of BS.1770-4 up.
const (
	quietestBlock = -70.0 // LUFS
	loudestBlock  = 10.0
	blocksPerLU   = 10
	relativeGate  = -10.0 // LU
)

// LoudnessBlocks counts the 400 ms blocks of a track by their loudness, in steps of
// 0.1 LU from -70 LUFS up; blocks below are not counted, and the last counts of zero
// are left out. Those of several tracks add up to those of an album (LOUD-5).
type LoudnessBlocks []int

// Add counts a block of so many LUFS.
func (b *LoudnessBlocks) Add(lufs float64) {
	if !(lufs >= quietestBlock) {
		return
	}
	i := int((min(lufs, loudestBlock) - quietestBlock) * blocksPerLU)
	b.grow(i + 1)
	(*b)[i]++
}

// Join adds the blocks of another track.
func (b *LoudnessBlocks) Join(other LoudnessBlocks) {
	b.grow(len(other))
	for i, n := range other {
		(*b)[i] += n
	}
}

func (b *LoudnessBlocks) grow(n int) {
	if n > len(*b) {
		*b = append(*b, make(LoudnessBlocks, n-len(*b))...)
	}
}

// Integrated returns the loudness of all blocks together in LUFS, gated as BS.1770-4
// §4 says and within 0.05 LU of what the sound itself would measure; nil if no block
// was counted.
func (b LoudnessBlocks) Integrated() *float64 {
	mean, ok := b.mean(0)
	if !ok {
		return nil
	}
	gate := int(math.Ceil((loudnessOf(mean) + relativeGate - quietestBlock) * blocksPerLU))
	mean, _ = b.mean(max(0, gate))
	v := math.Round(loudnessOf(mean)*100) / 100
	return &v
}

// mean returns the mean power of the blocks from step i up.
func (b LoudnessBlocks) mean(from int) (power float64, ok bool) {
	sum, count := 0.0, 0
	for i := from; i < len(b); i++ {
		level := quietestBlock + (float64(i)+0.5)/blocksPerLU
		sum += float64(b[i]) * math.Pow(10, level/10)
		count += b[i]
	}
	return sum / float64(max(1, count)), count > 0
}

func loudnessOf(power float64) float64 { return 10 * math.Log10(power) }
