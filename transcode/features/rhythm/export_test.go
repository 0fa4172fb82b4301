package rhythm

// What finding the weights again needs to see.
const (
	ClueCount = clueCount
	PerOctave = perOctave
	BareClue  = bareClue
)

// Weights are those in use.
var Weights = weights

// GridTempo is the tempo of a place on the grid.
func GridTempo(k int) float64 { return gridTempo(float64(k)) }

// Clues returns those of every tempo of the grid.
func (t *Tracker) Clues() [][ClueCount]float64 {
	strength := t.strength()
	rate := float64(len(pick(strength))) / (float64(len(strength)) / FrameRate)
	var all [][ClueCount]float64
	for _, c := range t.clues(t.periodicities(strength), rate) {
		all = append(all, c)
	}
	return all
}

// Softmax turns scores into chances.
func Softmax(scores []float64) []float64 { return softmax(scores) }
