package aac

import "math"

// bandTable is what is known about the scale-factor bands of one window length
// before any sound: boundaries, places on the Bark scale and hearing.
type bandTable struct {
	edges []int16   // first line of every band, and one past the last
	width []float32 // of every band (Bark)
	up    []float32 // gain of spreading from the band below to this one (energy)
	down  []float32 // gain of spreading from the band above to this one (energy)
	mask  []float32 // masking threshold over spread energy (energy)
	quiet []float32 // threshold in quiet (energy of the band in one window)
}

// bands counts the scale-factor bands.
func (t *bandTable) bands() int { return len(t.width) }

// bark returns the critical-band rate of f Hz (Zwicker and Terhardt, 1980).
func bark(f float64) float64 {
	return 13*math.Atan(0.00076*f) + 3.5*math.Atan((f/7500)*(f/7500))
}

// quietLevel returns the threshold in quiet at f Hz (dB SPL; Terhardt, 1979),
// held flat above 16 kHz, where its steep end would deny what young ears hear.
func quietLevel(f float64) float64 {
	k := min(max(f, 20), 16000) / 1000
	return 3.64*math.Pow(k, -0.8) - 6.5*math.Exp(-0.6*(k-3.3)*(k-3.3)) + 0.001*k*k*k*k
}

// newBandTable returns the table of windows of size lines at a sampling frequency
// of rate Hz. A full-scale sine stands for 96 dB SPL.
func newBandTable(edges []int16, size, rate int) *bandTable {
	t := &bandTable{edges: edges}
	hz := func(line int16) float64 { return float64(line) * float64(rate) / 2 / float64(size) }
	power := func(db float64) float32 { return float32(exact(math.Pow(10, db/10))) }
	full := 10 * math.Log10(float64(size)*float64(size)*fullScale*fullScale)
	last := 0.0
	for b := range len(edges) - 1 {
		low, high := hz(edges[b]), hz(edges[b+1])
		width, middle := bark(high)-bark(low), bark((low+high)/2)
		t.width = append(t.width, float32(exact(width)))
		t.up = append(t.up, power(-spreadUp*(middle-last)))
		if b > 0 {
			t.down = append(t.down, power(-spreadDown*(middle-last)))
		}
		t.mask = append(t.mask, power(-maskOffset))
		t.quiet = append(t.quiet, float32(math.Pow(10, (full-96+quietLevel((low+high)/2))/10)*width))
		last = middle
	}
	t.down = append(t.down, 0)
	return t
}

// The masking model, chosen by listening model over varied music. Tonality moves
// the offset further: see Analyzer.weigh.
const (
	spreadUp   = 12 // dB per Bark towards higher bands
	spreadDown = 20 // dB per Bark towards lower bands
	maskOffset = 6  // dB from spread energy down to the threshold
)

// fullScale is the amplitude, in the encoder's units, of a sample of 1.
const fullScale = 32768

// threshold writes the masking thresholds of the bands whose energies are given,
// all of one window.
func (t *bandTable) threshold(dst, energy []float32) {
	dst = dst[:t.bands()]
	held := float32(0)
	for b := range dst {
		held = max(held*t.up[b], energy[b]/t.width[b])
		dst[b] = held
	}
	held = 0
	for b := len(dst) - 1; b >= 0; b-- {
		held = max(held*t.down[b], dst[b])
		dst[b] = max(held*t.width[b]*t.mask[b], t.quiet[b])
	}
}
