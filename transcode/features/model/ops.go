package model

import (
	"fmt"
	"math"
)

// problem is what is wrong with one layer.
func problem(format string, args ...any) error { return fmt.Errorf(format, args...) }

func tooMuch() error {
	return problem("a patch takes more than %.0f million multiplications", maxWork/1e6)
}

// op is a kind of layer.
type op struct {
	least, most int // inputs
	make        func(*builder, *Layer, []shape) (shape, apply, error)
}

// ops are all kinds of layers. Weights are taken in the order given here.
var ops = map[string]op{
	"conv2d":     {1, 1, makeConv},  // kernel [rows][columns][channels][filters], bias [filters]
	"dense":      {1, 1, makeDense}, // matrix [inputs][units], bias [units]
	"batchnorm":  {1, 1, makeNorm},  // gamma, beta, mean, variance: [channels] each
	"maxpool":    {1, 1, makeMaxPool},
	"avgpool":    {1, 1, makeAveragePool},
	"globalmax":  {1, 1, makeGlobalMax}, // over rows and columns
	"globalmean": {1, 1, makeGlobalMean},
	"relu":       {1, 1, makeActivation},
	"sigmoid":    {1, 1, makeActivation},
	"reshape":    {1, 1, makeReshape}, // the same numbers in the same order
	"concat":     {2, maxLayers, makeConcat},
	"add":        {2, 2, makeAdd},
}

func makeConv(b *builder, l *Layer, in []shape) (shape, apply, error) {
	c := conv{in: in[0], kernel: l.Kernel, stride: l.Stride, padding: l.Padding}
	if c.stride == [2]int{} {
		c.stride = [2]int{1, 1}
	}
	for _, p := range c.padding {
		if p < 0 || p > 1<<10 {
			return shape{}, nil, problem("padding is %v; 0 to 1024 is possible", c.padding)
		}
	}
	padded := shape{c.in[0] + c.padding[0] + c.padding[1], c.in[1] + c.padding[2] + c.padding[3], c.in[2]}
	rows, columns, err := slide(padded, c.kernel, c.stride)
	if err != nil {
		return shape{}, nil, err
	}
	c.padded, c.out = padded, shape{rows, columns, l.Filters}
	if !c.out.valid() || !padded.valid() {
		return shape{}, nil, problem("%d filters make a tensor of %v: too large", l.Filters, c.out)
	}
	c.matrix, c.activate, err = b.weigh(c.kernel[0]*c.kernel[1]*c.in[2], l, l.Filters, rows*columns)
	return c.out, c.apply, err
}

func makeDense(b *builder, l *Layer, in []shape) (shape, apply, error) {
	out := shape{1, 1, l.Units}
	if !out.valid() {
		return shape{}, nil, problem("it has %d units", l.Units)
	}
	m, activate, err := b.weigh(in[0].size(), l, l.Units, 1)
	return out, func(dst []float32, in [][]float32) {
		q, unit := quantise(in[0], m.most)
		m.times(dst, q, m.scaled(unit))
		activate(dst)
	}, err
}

// weigh takes a layer's matrix, of taps inputs, and its bias, for so many uses a
// patch.
func (b *builder) weigh(taps int, l *Layer, outputs, uses int) (*matrix, func([]float32), error) {
	activate, ok := activations[l.Activation]
	if !ok {
		return nil, nil, problem("activation %q is not known", l.Activation)
	}
	if taps > maxWeights/outputs {
		return nil, nil, problem("%d weights for each of %d outputs are too many", taps, outputs)
	}
	if b.work += float64(taps) * float64(outputs) * float64(uses); b.work > maxWork {
		return nil, nil, tooMuch()
	}
	w, err := b.take(taps * outputs)
	if err != nil {
		return nil, nil, err
	}
	bias, err := b.take(outputs)
	if err != nil {
		return nil, nil, err
	}
	return newMatrix(w, bias, taps), activate, nil
}

// slide returns how many places a kernel has in a tensor.
func slide(in shape, kernel, stride [2]int) (rows, columns int, err error) {
	for i := range kernel {
		if kernel[i] < 1 || kernel[i] > in[i] || stride[i] < 1 {
			return 0, 0, problem("a kernel of %v by steps of %v does not fit %v", kernel, stride, in)
		}
	}
	return (in[0]-kernel[0])/stride[0] + 1, (in[1]-kernel[1])/stride[1] + 1, nil
}

// makeNorm folds the four numbers of each channel to a factor and a shift.
func makeNorm(b *builder, l *Layer, in []shape) (shape, apply, error) {
	epsilon, channels := l.Epsilon, in[0][2]
	if epsilon == 0 {
		epsilon = 1e-3
	}
	w, err := b.take(4 * channels)
	if err != nil {
		return shape{}, nil, err
	}
	factors, shifts := make([]float32, channels), make([]float32, channels)
	for c := range factors {
		gamma, beta, mean, variance := w[c], w[channels+c], w[2*channels+c], w[3*channels+c]
		deviation := math.Sqrt(float64(variance) + epsilon)
		if !(deviation > 0) {
			return shape{}, nil, problem("the variance of channel %d is %v", c, variance)
		}
		f := float64(gamma) / deviation
		factors[c], shifts[c] = float32(f), float32(float64(beta)-float64(float64(mean)*f))
	}
	return in[0], func(dst []float32, in [][]float32) {
		for x := in[0]; len(x) > 0; x, dst = x[channels:], dst[channels:] {
			y, shifts := dst[:channels], shifts[:channels]
			for c, f := range factors {
				y[c] = float32(x[c]*f) + shifts[c]
			}
		}
	}, nil
}

// pool is a window that goes over each channel.
type pool struct {
	in, out        shape
	kernel, stride [2]int
}

func newPool(l *Layer, in shape) (*pool, error) {
	p := &pool{in: in, kernel: l.Kernel, stride: l.Stride}
	if p.stride == [2]int{} {
		p.stride = p.kernel
	}
	rows, columns, err := slide(in, p.kernel, p.stride)
	p.out = shape{rows, columns, in[2]}
	return p, err
}

// each calls take with every place of every window: the channels in dst and those
// in x.
func (p *pool) each(dst, x []float32, take func(dst, x []float32)) {
	n := p.in[2]
	for at := range p.out[0] * p.out[1] {
		row, column := at/p.out[1]*p.stride[0], at%p.out[1]*p.stride[1]
		for r := range p.kernel[0] {
			for k := range p.kernel[1] {
				take(dst[at*n:][:n], x[((row+r)*p.in[1]+column+k)*n:][:n])
			}
		}
	}
}

func makeMaxPool(b *builder, l *Layer, in []shape) (shape, apply, error) {
	p, err := newPool(l, in[0])
	if err != nil {
		return shape{}, nil, err
	}
	b.work += float64(p.out.size()) * float64(p.kernel[0]*p.kernel[1])
	return p.out, func(dst []float32, in [][]float32) {
		for i := range dst {
			dst[i] = -math.MaxFloat32
		}
		p.each(dst, in[0], largest)
	}, nil
}

func largest(dst, x []float32) {
	dst = dst[:len(x)]
	for c, v := range x {
		if v > dst[c] {
			dst[c] = v
		}
	}
}

func makeAveragePool(b *builder, l *Layer, in []shape) (shape, apply, error) {
	p, err := newPool(l, in[0])
	if err != nil {
		return shape{}, nil, err
	}
	size := p.kernel[0] * p.kernel[1]
	b.work += float64(p.out.size()) * float64(size)
	return p.out, func(dst []float32, in [][]float32) {
		p.each(dst, in[0], sum)
		for i := range dst {
			dst[i] /= float32(size)
		}
	}, nil
}

func sum(dst, x []float32) {
	for c, v := range x {
		dst[c] += v
	}
}

func makeGlobalMax(b *builder, _ *Layer, in []shape) (shape, apply, error) {
	return makeMaxPool(b, &Layer{Kernel: [2]int{in[0][0], in[0][1]}}, in)
}

func makeGlobalMean(b *builder, _ *Layer, in []shape) (shape, apply, error) {
	return makeAveragePool(b, &Layer{Kernel: [2]int{in[0][0], in[0][1]}}, in)
}

func makeReshape(_ *builder, l *Layer, in []shape) (shape, apply, error) {
	to := shape(l.Shape)
	if !to.valid() || to.size() != in[0].size() {
		return shape{}, nil, problem("%v cannot become %v", in[0], to)
	}
	return to, func(dst []float32, in [][]float32) { copy(dst, in[0]) }, nil
}

// makeConcat puts the channels of its inputs behind each other.
func makeConcat(_ *builder, _ *Layer, in []shape) (shape, apply, error) {
	out := in[0]
	out[2] = 0
	for _, s := range in {
		if s[0] != out[0] || s[1] != out[1] {
			return shape{}, nil, problem("%v and %v differ in rows or columns", in[0], s)
		}
		out[2] += s[2]
	}
	if !out.valid() {
		return shape{}, nil, problem("a tensor of %v is too large", out)
	}
	return out, func(dst []float32, tensors [][]float32) {
		at := 0
		for place := range out[0] * out[1] {
			for i, x := range tensors {
				n := in[i][2]
				at += copy(dst[at:], x[place*n:][:n])
			}
		}
	}, nil
}

func makeAdd(_ *builder, _ *Layer, in []shape) (shape, apply, error) {
	if in[0] != in[1] {
		return shape{}, nil, problem("%v and %v differ", in[0], in[1])
	}
	return in[0], func(dst []float32, in [][]float32) {
		for i, v := range in[0] {
			dst[i] = v + in[1][i]
		}
	}, nil
}

func makeActivation(_ *builder, l *Layer, in []shape) (shape, apply, error) {
	activate := activations[l.Op]
	return in[0], func(dst []float32, in [][]float32) {
		copy(dst, in[0])
		activate(dst)
	}, nil
}

// activations work in place.
var activations = map[string]func([]float32){
	"": func([]float32) {},
	"relu": func(x []float32) {
		for i, v := range x {
			if v < 0 {
				x[i] = 0
			}
		}
	},
	"sigmoid": func(x []float32) {
		const parts = 1 << 20 // coarse enough to hide what math.Exp's last bit may be
		for i, v := range x {
			x[i] = float32(math.Round(parts/(1+math.Exp(-float64(v)))) / parts)
		}
	},
}
