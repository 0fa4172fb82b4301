package model

import (
	"math"

	"github.com/tphakala/simd/i16"
)

// matrix is the weights of a layer in fixed point, one row an output, scaled so
// that no sum of products can leave 32 bits.
type matrix struct {
	taps int
	row  int // taps and the zeros that fill up whole vectors of a processor
	q    []int16
	unit []float64 // of each row: what 1 in it means
	bias []float32
	most int // largest input that is allowed
}

// newMatrix takes weights [taps][outputs].
func newMatrix(w, bias []float32, taps int) *matrix {
	outputs := len(bias)
	row := (taps + 15) / 16 * 16
	m := &matrix{taps: taps, row: row, q: make([]int16, row*outputs), unit: make([]float64, outputs), bias: bias}
	// Coarser inputs leave room for finer weights: with this both add the same error.
	m.most = int(min(math.MaxInt16, (1<<17)/math.Sqrt(float64(taps))))
	for o := range outputs {
		m.quantise(o, w)
	}
	return m
}

// quantise rounds the weights of one output, scaled so that the sum of their sizes,
// half of each rounding included, times the largest input stays below 2^31.
func (m *matrix) quantise(o int, w []float32) {
	sum, largest := 0.0, 0.0
	for t := range m.taps {
		v := math.Abs(float64(w[t*len(m.bias)+o]))
		sum += v
		largest = max(largest, v)
	}
	if largest == 0 {
		return
	}
	room := math.MaxInt32/float64(m.most) - float64(m.taps)/2
	m.unit[o] = max(sum/room, largest/math.MaxInt16)
	for t := range m.taps {
		m.q[o*m.row+t] = int16(math.Round(float64(w[t*len(m.bias)+o]) / m.unit[o]))
	}
}

// scaled returns what 1 in each row's sum means when inputs are units.
func (m *matrix) scaled(unit float64) []float64 {
	scales := make([]float64, len(m.unit))
	for o, u := range m.unit {
		scales[o] = u * unit
	}
	return scales
}

// times sets dst to the matrix times x. A row of x may be filled up with zeros.
func (m *matrix) times(dst []float32, x []int16, scales []float64) {
	q, bias, scales := m.q, m.bias[:len(dst)], scales[:len(dst)]
	for o := range dst {
		sum := i16.DotProductUnsafe(q[o*m.row:][:m.row], x)
		dst[o] = float32(float64(sum)*scales[o]) + bias[o]
	}
}

// quantise rounds x to integers of at most most, and returns what 1 means. What is
// no number is 0.
func quantise(x []float32, most int) (q []int16, unit float64) {
	largest := float32(0)
	for _, v := range x {
		if v > largest {
			largest = v
		} else if -v > largest {
			largest = -v
		}
	}
	q = make([]int16, len(x))
	largest = min(largest, math.MaxFloat32)
	if largest == 0 {
		return q, 0
	}
	scale := float64(most) / float64(largest)
	for i, v := range x {
		if v == v { // not NaN
			q[i] = int16(math.Round(min(max(float64(v)*scale, -float64(most)), float64(most))))
		}
	}
	return q, float64(largest) / float64(most)
}

// conv slides a matrix over a tensor.
type conv struct {
	in, padded, out shape
	kernel, stride  [2]int
	padding         [4]int
	matrix          *matrix
	activate        func([]float32)
}

func (c *conv) apply(dst []float32, in [][]float32) {
	whole := dst
	x, unit := quantise(in[0], c.matrix.most)
	x = c.pad(x)
	scales := c.matrix.scaled(unit)
	width, step := c.padded[1]*c.padded[2], c.stride[1]*c.in[2]
	window := make([]int16, c.matrix.row)
	filters := c.out[2]
	for row := range c.out[0] {
		above := x[row*c.stride[0]*width:]
		for column := range c.out[1] {
			c.gather(window, above[column*step:], width)
			c.matrix.times(dst[:filters], window, scales)
			dst = dst[filters:]
		}
	}
	c.activate(whole)
}

// gather copies what the kernel covers, whose first number x begins with.
func (c *conv) gather(window, x []int16, width int) {
	segment := c.kernel[1] * c.in[2]
	if segment == 1 {
		for k := range c.kernel[0] {
			window[k] = x[k*width]
		}
		return
	}
	for k := range c.kernel[0] {
		copy(window[k*segment:][:segment], x[k*width:])
	}
}

func (c *conv) pad(x []int16) []int16 {
	if c.padding == [4]int{} {
		return x
	}
	y := make([]int16, c.padded.size())
	width, channels := c.in[1]*c.in[2], c.in[2]
	for row := range c.in[0] {
		at := (row+c.padding[0])*c.padded[1] + c.padding[2]
		copy(y[at*channels:], x[row*width:][:width])
	}
	return y
}
