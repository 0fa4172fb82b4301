package spectrum

import "math"

const (
	logBits = 7
	logUnit = 1.0 / (1 << logBits)
	tiniest = 0x1p-126 // the least normal number
)

// logs holds the logarithm of the middle of each stretch of mantissas, and one
// over that middle.
var logs = logTable()

func logTable() (table [1 << logBits]struct{ log, inverse float32 }) {
	for i := range table {
		middle := 1 + (float64(i)+0.5)*logUnit
		table[i].log, table[i].inverse = float32(math.Log(middle)), float32(1/float32(middle))
	}
	return table
}

// Log is the natural logarithm to about 1e-6, at a fifth of the cost of
// math.Log. Whatever is not above 2^-126 counts as that. The same x gives the
// same bits on every machine.
func Log(x float32) float32 {
	if !(x > tiniest) {
		x = tiniest
	}
	b := math.Float32bits(x)
	t := &logs[b>>(23-logBits)&(1<<logBits-1)]
	m := math.Float32frombits(b&(1<<23-1) | 127<<23)
	r := float32(m*t.inverse) - 1
	e := float32(int32(b>>23) - 127)
	poly := r - float32(float32(r*r)*(0.5-float32(r*(1.0/3))))
	return float32(e*math.Ln2) + t.log + poly
}
