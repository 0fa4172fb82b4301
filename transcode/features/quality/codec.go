package quality

import (
	"math"
	"slices"

	"github.com/tphakala/simd/f32"

	"github.com/melodyud/melodyud/transcode/features/spectrum"
)

// A lossy coder cuts sound into frames, transforms each and sets what nobody hears to
// zero. Decoded again, the zeros are gone from every picture of the spectrum but one:
// the same transform, of frames that begin at the very same samples. There they come
// back, at one offset of all, and no other sound shows such a dip (the inverse decoder
// of Herre and Schug, AES 109).

// grid adds up, for every offset that the frames of a coder may have, how little of the
// sound its transform finds there.
type grid struct {
	sums  []float64 // by offset
	found []float64 // in one look
	count int
}

func newGrid(period int) grid {
	return grid{sums: make([]float64, period), found: make([]float64, period)}
}

// silent is the energy below which a coefficient tells nothing: what rounding to 16
// bits leaves in it.
const silent = 4e-10

// add notes a coefficient at an offset within the look.
func (g *grid) add(offset int, v float32) {
	g.found[offset] += float64(spectrum.Log(float32(v*v) + silent))
}

// end takes up a look that began at the position at of the track.
func (g *grid) end(at int64) {
	mean := 0.0
	for _, v := range g.found {
		mean += v
	}
	mean /= float64(len(g.found))
	for o, v := range g.found {
		g.sums[(at+int64(o))%int64(len(g.sums))] += v - mean
	}
	clear(g.found)
	g.count++
}

// dip says how far the deepest offset lies below the others, in their standard
// deviations as their middle two thirds have them.
func dip(sums []float64) float64 {
	sorted := slices.Sorted(slices.Values(sums))
	n := len(sorted)
	if spread := deviation(sorted); spread > 0 {
		return (sorted[n/2] - sorted[0]) / spread
	}
	return 0
}

func deviation(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[n*84/100] - sorted[n*16/100]) / 2
}

// deepest returns the deepest dip of all grids, or of all together: what lies at the
// same offset in several of them is no accident.
func deepest(grids ...*grid) float64 {
	most, together := 0.0, make([]float64, len(grids[0].sums))
	for _, g := range grids {
		if g.count == 0 {
			continue
		}
		most = max(most, dip(g.sums))
		if spread := deviation(slices.Sorted(slices.Values(g.sums))); spread > 0 {
			for o, v := range g.sums {
				together[o] += v / spread
			}
		}
	}
	return max(most, dip(together))
}

// The hybrid filter bank of MPEG-1 Layer III (ISO 11172-3 §2.4.3.4 and annex C).
const (
	subbands   = 32
	filterLen  = 512
	granule    = 576
	blockSteps = 36 // of a sub-band's samples in one transform
	lines      = 18 // of a sub-band's spectrum
	hybridSpan = filterLen + subbands*(blockSteps-1)
	hybridLook = granule + hybridSpan // samples that one look takes
)

// hybrid looks for the long blocks of MP3 in some adjacent sub-bands.
type hybrid struct {
	grid
	first   int                               // sub-band
	filters [][]float32                       // of each sub-band, backwards
	cosines [2][lines][]float32               // of even and odd sub-bands, windowed
	phases  [subbands][]float32               // a sub-band's samples, those 32 apart side by side
	coded   [][granule][lines]float32         // by sub-band and offset
	butter  [aliased]struct{ cs, ca float32 } // the alias reduction
}

const aliased = 8

func newHybrid(first, last int) *hybrid {
	h := &hybrid{grid: newGrid(granule), first: first, coded: make([][granule][lines]float32, last-first+1)}
	for band := first; band <= last; band++ {
		f := make([]float32, filterLen)
		for i := range f {
			phase := float64((2*band+1)*(i-16)) * math.Pi / (2 * subbands)
			f[filterLen-1-i] = float32(float64(prototype(i)) / (1 << 16) * math.Cos(phase))
		}
		unit(f)
		h.filters = append(h.filters, f)
	}
	for odd := range 2 {
		for m := range lines {
			h.cosines[odd][m] = blockCosine(m, odd == 1)
		}
	}
	for i, c := range [aliased]float64{-0.6, -0.535, -0.33, -0.185, -0.095, -0.041, -0.0142, -0.0037} {
		norm := math.Sqrt(1 + c*c)
		h.butter[i].cs, h.butter[i].ca = float32(1/norm), float32(c/norm)
	}
	for p := range h.phases {
		h.phases[p] = make([]float32, granule/subbands+blockSteps-1)
	}
	return h
}

// blockCosine is one function of the transform under its window. Odd sub-bands lie
// upside down.
func blockCosine(m int, odd bool) []float32 {
	b := make([]float32, blockSteps)
	for t := range b {
		w := math.Sin(math.Pi/blockSteps*(float64(t)+0.5)) * math.Cos(math.Pi/72*float64((2*t+19)*(2*m+1)))
		if odd && t%2 == 1 {
			w = -w
		}
		b[t] = float32(w / 3) // of energy 1, or nearly
	}
	return b
}

// look takes hybridLook samples that begin at the position at of the track.
func (h *hybrid) look(x []float32, at int64) {
	for b, f := range h.filters {
		for p := range h.phases {
			for t := range h.phases[p] {
				n := p + subbands*t
				h.phases[p][t] = f32.DotProduct(x[n:n+filterLen], f)
			}
		}
		cosines := &h.cosines[(h.first+b)%2]
		for o := range granule {
			steps := h.phases[o%subbands][o/subbands : o/subbands+blockSteps]
			for m := range lines {
				h.coded[b][o][m] = f32.DotProduct(steps, cosines[m])
			}
		}
	}
	for o := range granule {
		h.judge(o)
	}
	h.end(at)
}

// judge notes the lines at one offset, after the coder's alias reduction. The outer
// sub-bands lack a neighbour for theirs.
func (h *hybrid) judge(o int) {
	last := len(h.coded) - 1
	for b := range h.coded {
		lower := &h.coded[b][o]
		if b < last {
			upper := &h.coded[b+1][o]
			for i, w := range h.butter {
				l, u := lower[lines-1-i], upper[i]
				lower[lines-1-i] = float32(l*w.cs) + float32(u*w.ca)
				upper[i] = float32(u*w.cs) - float32(l*w.ca)
			}
		}
		from, to := 0, lines
		if b == 0 {
			from = aliased
		}
		if b == last {
			to = lines - aliased
		}
		for _, v := range lower[from:to] {
			h.add(o, v)
		}
	}
}

// prototype is sample i of the sub-band filter's window (ISO 11172-3 table C.1), whose
// signs alternate there, times 65536 and 32.
func prototype(i int) int32 { return halfPrototype[min(i, 512-i)] }

var halfPrototype = [257]int32{
	0, -1, -1, -1, -1, -1, -1, -2, -2, -2, -2, -3, -3, -4, -4, -5,
	-5, -6, -7, -7, -8, -9, -10, -11, -13, -14, -16, -17, -19, -21, -24, -26,
	-29, -31, -35, -38, -41, -45, -49, -53, -58, -63, -68, -73, -79, -85, -91, -97,
	-104, -111, -117, -125, -132, -139, -147, -154, -161, -169, -176, -183, -190, -196, -202, -208,
	-213, -218, -222, -225, -227, -228, -228, -227, -224, -221, -215, -208, -200, -189, -177, -163,
	-146, -127, -106, -83, -57, -29, 2, 36, 72, 111, 153, 197, 244, 294, 347, 401,
	459, 519, 581, 645, 711, 779, 848, 919, 991, 1064, 1137, 1210, 1283, 1356, 1428, 1498,
	1567, 1634, 1698, 1759, 1817, 1870, 1919, 1962, 2001, 2032, 2057, 2075, 2085, 2087, 2080, 2063,
	2037, 2000, 1952, 1893, 1822, 1739, 1644, 1535, 1414, 1280, 1131, 970, 794, 605, 402, 185,
	-45, -288, -545, -814, -1095, -1388, -1692, -2006, -2330, -2663, -3004, -3351, -3705, -4063, -4425, -4788,
	-5153, -5517, -5879, -6237, -6589, -6935, -7271, -7597, -7910, -8209, -8491, -8755, -8998, -9219, -9416, -9585,
	-9727, -9838, -9916, -9959, -9966, -9935, -9863, -9750, -9592, -9389, -9139, -8840, -8492, -8092, -7640, -7134,
	-6574, -5959, -5288, -4561, -3776, -2935, -2037, -1082, -70, 998, 2122, 3300, 4533, 5818, 7154, 8540,
	9975, 11455, 12980, 14548, 16155, 17799, 19478, 21189, 22929, 24694, 26482, 28289, 30112, 31947, 33791, 35640,
	37489, 39336, 41176, 43006, 44821, 46617, 48390, 50137, 51853, 53534, 55178, 56778, 58333, 59838, 61289, 62684,
	64019, 65290, 66494, 67629, 68692, 69679, 70590, 71420, 72169, 72835, 73415, 73908, 74313, 74630, 74856, 74992,
	75038,
}

// transform looks for the long blocks of coders that transform 2,048 samples at once:
// AAC and Vorbis.
type transform struct {
	grid
	basis [][]float32 // some of the transform's functions, of energy 1
}

const (
	longBlock     = 2048
	transformLook = longBlock/2 + longBlock // samples that one look takes
)

func newTransform(window func(t float64) float64, first, step, count int) *transform {
	c := &transform{grid: newGrid(longBlock / 2)}
	for k := first; k < first+step*count; k += step {
		b := make([]float32, longBlock)
		for i := range b {
			phase := 2 * math.Pi / longBlock * (float64(i) + 0.5 + longBlock/4) * (float64(k) + 0.5)
			b[i] = float32(window((float64(i)+0.5)/longBlock) * math.Cos(phase))
		}
		unit(b)
		c.basis = append(c.basis, b)
	}
	return c
}

// unit gives b the energy 1, so that noise is found as loud as it is.
func unit(b []float32) { f32.Scale(b, b, 1/float32(math.Sqrt(float64(f32.DotProduct(b, b))))) }

// look takes transformLook samples that begin at the position at of the track.
func (c *transform) look(x []float32, at int64) {
	for o := range c.found {
		for _, b := range c.basis {
			c.add(o, f32.DotProduct(x[o:o+longBlock], b))
		}
	}
	c.end(at)
}

// vorbisWindow is that of Vorbis I §4.3.1.
func vorbisWindow(t float64) float64 {
	s := math.Sin(math.Pi * t)
	return math.Sin(math.Pi / 2 * s * s)
}

// newKBDWindow returns AAC's other window (ISO 14496-3 §4.6.11.3.2), alpha 4.
func newKBDWindow() func(t float64) float64 {
	const n, alpha = longBlock / 2, 4
	sums := make([]float64, n+2)
	for i := range n + 1 {
		z := 2*float64(i)/n - 1
		sums[i+1] = sums[i] + bessel0(math.Pi*alpha*math.Sqrt(1-z*z))
	}
	return func(t float64) float64 {
		i := min(int(t*longBlock), longBlock-1-int(t*longBlock))
		return math.Sqrt(sums[i+1] / sums[n+1])
	}
}

// bessel0 is the modified Bessel function of the first kind and order zero.
func bessel0(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-15; k++ {
		term *= (x / (2 * k)) * (x / (2 * k))
		sum += term
	}
	return sum
}
