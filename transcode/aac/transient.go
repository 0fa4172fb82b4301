package aac

// Transient detection: the energy of the high-passed signal over sub-blocks of
// 128 samples against its own past (3GPP TS 26.403 §5.2).
const (
	attackGain = 16 // a sub-block this many times louder than the past is an attack
	subBlock   = FrameSize / 8

	// attackFrom is the first sample of a frame's windows that a start window
	// before it does not reach: what begins there needs short windows here.
	attackFrom = (FrameSize + subBlock) / 2
	attackHold = 0.3  // weight of the older past
	attackLeft = 1e-3 // energies below this are silence
)

// transients finds attacks in one channel.
type transients struct {
	x1, y1 float64 // of the high-pass filter
	past   float64
	last   float64
}

// attack returns the first of the 8 sub-blocks of x (1,024 samples in units of
// full scale 1, continuing the last call's) that starts an attack, or -1.
func (t *transients) attack(x []float64) int {
	found := -1
	for i := range 8 {
		e := t.energy(x[i*subBlock : (i+1)*subBlock])
		t.past = float64(attackHold*t.past) + float64((1-attackHold)*t.last)
		if found < 0 && e > attackLeft && e > attackGain*t.past {
			found = i
		}
		t.last = e
	}
	return found
}

func (t *transients) energy(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		y := float64(0.7548*(v-t.x1)) + float64(0.5095*t.y1)
		t.x1, t.y1 = v, y
		sum += float64(y * y)
	}
	return sum
}

// groupings are the window groups by the sub-block of the attack: the windows at
// the attack stand alone (3GPP TS 26.403 table 1).
var groupings = [8][]uint8{
	{1, 3, 3, 1}, {1, 1, 3, 3}, {2, 1, 3, 2}, {3, 1, 3, 1}, {3, 1, 1, 3}, {3, 2, 1, 2}, {3, 3, 1, 1}, {3, 3, 1, 1},
}
