package rhythm

import "math"

// Which of the tempi that fit is meant is decided by a multinomial logistic model:
// each tempo of the grid gets the weighted sum of its clues, and chances are the
// softmax of the sums. How the weights were found is said in fit_test.go.

// The multiples of a beat at which the autocorrelations are read.
var (
	multiples     = [...]float64{1. / 4, 1. / 3, 1. / 2, 2. / 3, 1, 3. / 2, 2, 3, 4} // of all onsets
	bandMultiples = [...]float64{1. / 4, 1. / 2, 1, 2, 4}                            // of each band's
)

// shortestLag is where the autocorrelation of a single onset has ended: 93 ms.
const shortestLag = 8

const clueCount = len(multiples) + bandCount*len(bandMultiples) + 9

// bareClue is the place of the clue that a bare pulse gives: a high autocorrelation
// with none before it. Its weight is set by hand, since music hardly ever has it.
const bareClue = len(multiples) + bandCount*len(bandMultiples) + 1

// clues is what speaks for one tempo.
type clues [clueCount]float64

// clues returns those of every tempo of the grid.
func (t *Tracker) clues(p *periodicities, onsetRate float64) []clues {
	all := make([]clues, tempi)
	style := t.style(onsetRate)
	below := highestBelow(p.all)
	for k := range all {
		bpm := gridTempo(float64(k))
		lag := 60 * FrameRate / bpm
		c := all[k][:0]
		for _, m := range multiples {
			c = append(c, between(p.all, lag*m))
		}
		for b := range p.bands {
			for _, m := range bandMultiples {
				c = append(c, between(p.bands[b], lag*m))
			}
		}
		first := between(p.all, lag) - below[int(0.7*lag)]
		c = append(c, first, 10*max(0, first-0.75))
		x := math.Log2(bpm / 100)
		density := math.Log2(max(0.3, onsetRate) * 60 / bpm) // of onsets in a beat
		c = append(c, x, x*x, density*density)
		for _, s := range style {
			c = append(c, x*s)
		}
	}
	return all
}

// highestBelow returns for each lag the highest autocorrelation of those from the
// shortest that can be told from the smoothing up to it.
func highestBelow(acf []float32) []float64 {
	out, top := make([]float64, len(acf)), 0.0
	for lag := range acf {
		if lag >= shortestLag {
			top = max(top, float64(acf[lag]))
		}
		out[lag] = top
	}
	return out
}

// style is what a track has of bass, of treble, of onsets and of contrast: what
// makes fast tempi likelier in one kind of music than in another.
func (t *Tracker) style(onsetRate float64) [4]float64 {
	var sums [bandCount]float64
	all := 1e-9
	for b, flux := range t.fluxes {
		for _, v := range flux {
			sums[b] += float64(v)
		}
		all += sums[b]
	}
	perFrame := all / float64(len(t.fluxes[0])+1)
	return [4]float64{
		sums[bandLow]/all - 0.1,
		sums[bandHigh]/all - 0.3,
		math.Log2(onsetRate+0.3) - 2,
		math.Log2(perFrame+0.01) - 1,
	}
}

// weigh returns the weighted sums of clues.
func weigh(all []clues) []float64 {
	sums := make([]float64, len(all))
	for k := range all {
		for i, w := range weights {
			sums[k] += float64(w * all[k][i])
		}
	}
	return sums
}

// softmax turns scores into chances that add up to 1.
func softmax(scores []float64) []float64 {
	top, sum := math.Inf(-1), 0.0
	for _, v := range scores {
		top = max(top, v)
	}
	chances := make([]float64, len(scores))
	for k, v := range scores {
		chances[k] = math.Exp(v - top)
		sum += chances[k]
	}
	for k := range chances {
		chances[k] /= sum
	}
	return chances
}
