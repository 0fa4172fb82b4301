package model

import "slices"

// shape is rows, columns and channels.
type shape [3]int

func (s shape) size() int { return s[0] * s[1] * s[2] }

// valid reports whether a tensor may have the shape.
func (s shape) valid() bool {
	size := 1
	for _, n := range s {
		if n < 1 || n > maxTensor {
			return false
		}
		if size *= n; size > maxTensor {
			return false
		}
	}
	return true
}

// net is a network with its weights.
type net struct {
	nodes  []node
	output int // the node that is the result
}

// node is one layer: a tensor made from those of earlier nodes. Node 0 is the
// patch itself.
type node struct {
	shape  shape
	inputs []int
	apply  apply
	last   int // the last node that needs this one's tensor
}

// apply computes a layer. dst is all zeros; in are its inputs' tensors.
type apply func(dst []float32, in [][]float32)

// builder makes a net of a manifest.
type builder struct {
	net     net
	names   map[string]int
	weights []float32 // that no layer has taken yet
	taken   int
	work    float64
}

func build(m Manifest, weights []float32) (*net, error) {
	b := &builder{names: map[string]int{"input": 0}, weights: weights}
	b.net.nodes = []node{{shape: shape{m.Input.Frames, m.Input.Bands, 1}}}
	for i := range m.Layers {
		if err := b.add(&m.Layers[i]); err != nil {
			return nil, invalid("layer %d, %q: %v", i+1, m.Layers[i].Name, err)
		}
	}
	if len(b.weights) > 0 {
		return nil, invalid("the layers take %d weights, the file has %d", b.taken, b.taken+len(b.weights))
	}
	b.net.output = len(b.net.nodes) - 1
	if m.Output != "" {
		at, ok := b.names[m.Output]
		if !ok {
			return nil, invalid("output %q is no layer", m.Output)
		}
		b.net.output = at
	}
	if n := b.net.dimensions(); n > 1<<12 {
		return nil, invalid("the output has %d numbers; at most %d are possible", n, 1<<12)
	}
	return &b.net, b.plan()
}

// add appends a layer.
func (b *builder) add(l *Layer) error {
	if _, taken := b.names[l.Name]; taken || l.Name == "" {
		return problem("its name is not its own")
	}
	n := node{}
	var err error
	if n.inputs, err = b.inputs(l); err != nil {
		return err
	}
	kind, ok := ops[l.Op]
	if !ok {
		return problem("op %q is not known", l.Op)
	}
	if len(n.inputs) < kind.least || len(n.inputs) > kind.most {
		return problem("%s takes %d to %d inputs, not %d", l.Op, kind.least, kind.most, len(n.inputs))
	}
	shapes := make([]shape, len(n.inputs))
	for i, at := range n.inputs {
		shapes[i] = b.net.nodes[at].shape
	}
	if n.shape, n.apply, err = kind.make(b, l, shapes); err != nil {
		return err
	}
	if b.work += float64(n.shape.size()); b.work > maxWork {
		return tooMuch()
	}
	b.names[l.Name] = len(b.net.nodes)
	b.net.nodes = append(b.net.nodes, n)
	return nil
}

func (b *builder) inputs(l *Layer) ([]int, error) {
	if len(l.Inputs) == 0 {
		return []int{len(b.net.nodes) - 1}, nil
	}
	var at []int
	for _, name := range l.Inputs {
		i, ok := b.names[name]
		if !ok {
			return nil, problem("its input %q is no layer before it", name)
		}
		at = append(at, i)
	}
	return at, nil
}

// take returns the next n weights.
func (b *builder) take(n int) ([]float32, error) {
	if n > len(b.weights) {
		return nil, problem("it takes %d weights and %d are left", n, len(b.weights))
	}
	w := b.weights[:n:n]
	b.weights = b.weights[n:]
	b.taken += n
	return w, nil
}

// plan finds out how long each tensor is needed, and that all fit in memory.
func (b *builder) plan() error {
	nodes := b.net.nodes
	for i := range nodes {
		nodes[i].last = i
		for _, at := range nodes[i].inputs {
			nodes[at].last = i
		}
	}
	nodes[b.net.output].last = len(nodes)
	live := 0
	for i := range nodes {
		if live += nodes[i].shape.size(); live > maxLive {
			return invalid("layer %d needs more than %d numbers at a time", i, maxLive)
		}
		for j := range i + 1 {
			if nodes[j].last == i {
				live -= nodes[j].shape.size()
			}
		}
	}
	return nil
}

func (n *net) dimensions() int { return n.nodes[n.output].shape.size() }

// run returns the output for one patch.
func (n *net) run(patch []float32) []float32 {
	tensors := make([][]float32, len(n.nodes))
	tensors[0] = slices.Clone(patch)
	for i := 1; i <= n.output; i++ {
		node := &n.nodes[i]
		in := make([][]float32, len(node.inputs))
		for k, at := range node.inputs {
			in[k] = tensors[at]
		}
		tensors[i] = make([]float32, node.shape.size())
		node.apply(tensors[i], in)
		for _, at := range node.inputs {
			if n.nodes[at].last == i {
				tensors[at] = nil
			}
		}
	}
	return tensors[n.output]
}
