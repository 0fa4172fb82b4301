package model_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/features/model"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// small is a net with every kind of layer.
func small() model.Manifest {
	return model.Manifest{
		Format: model.Format, Name: "small", Version: "1", Licence: "CC0-1.0", Weights: "weights.f32",
		Input: model.Input{SampleRate: 8000, FFT: 256, Hop: 128, Mel: "slaney", Bands: 12, Low: 0, High: 4000, Gain: 10000, Frames: 20, Patches: 3},
		Layers: []model.Layer{
			{Name: "norm", Op: "batchnorm"},
			{Name: "a", Op: "conv2d", Filters: 5, Kernel: [2]int{3, 4}, Padding: [4]int{1, 1, 0, 2}, Activation: "relu"},
			{Name: "a-norm", Op: "batchnorm", Epsilon: 1e-5},
			{Name: "a-max", Op: "maxpool", Kernel: [2]int{1, 3}, Stride: [2]int{1, 2}},
			{Name: "b", Op: "conv2d", Inputs: []string{"norm"}, Filters: 5, Kernel: [2]int{1, 5}, Stride: [2]int{1, 2}},
			{Name: "b-average", Op: "avgpool", Kernel: [2]int{1, 4}},
			{Name: "b-plane", Op: "reshape", Shape: [3]int{1, 20, 5}},
			{Name: "b-again", Op: "reshape", Shape: [3]int{20, 1, 5}},
			{Name: "a-mean", Op: "globalmean", Inputs: []string{"a-max"}},
			{Name: "b-max", Op: "globalmax", Inputs: []string{"b-again"}},
			{Name: "sum", Op: "add", Inputs: []string{"a-mean", "b-max"}},
			{Name: "both", Op: "concat", Inputs: []string{"sum", "a-mean", "b-max"}},
			{Name: "positive", Op: "relu"},
			{Name: "dense", Op: "dense", Units: 7, Activation: "sigmoid"},
			{Name: "out", Op: "dense", Units: 6},
			{Name: "bounded", Op: "sigmoid"},
		},
	}
}

// smallWeights is how many weights it takes.
const smallWeights = 4 + (3*4*5 + 5) + 4*5 + (5*5 + 5) + (15*7 + 7) + (7*6 + 6)

func randomWeights(n int, seed uint64) []float32 {
	random := rand.New(rand.NewPCG(seed, 9))
	w := make([]float32, n)
	for i := range w {
		w[i] = float32(random.NormFloat64() * 0.5)
		if i < 4 || i >= 4+65 && i < 4+65+20 { // the norms': variances must be positive
			w[i] = float32(0.5 + random.Float64())
		}
	}
	return w
}

func encode(w []float32) []byte {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, w); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// packed is the directory of a pack.
func packed(m model.Manifest, weights []byte) fstest.MapFS {
	m.SHA256 = fmt.Sprintf("%x", sha256.Sum256(weights))
	file, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return fstest.MapFS{"model.json": {Data: file}, m.Weights: {Data: weights}}
}

func load(t testing.TB, m model.Manifest, weights []float32) *model.Pack {
	t.Helper()
	p, err := model.Load(packed(m, encode(weights)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sound is seconds of a chord that glides under noise.
func sound(rate int, seconds float64) []float32 {
	random := rand.New(rand.NewPCG(4, 4))
	x := make([]float32, int(seconds*float64(rate)))
	for i := range x {
		t := float64(i) / float64(rate)
		x[i] = float32(0.2*math.Sin(2*math.Pi*(300+200*t)*t) + 0.1*math.Sin(2*math.Pi*1500*t)*math.Sin(7*t) + 0.02*random.NormFloat64())
	}
	return x
}

func hear(t testing.TB, p *model.Pack, x []float32, f pcm.Format, block int) melodyud.Embedding {
	t.Helper()
	l, err := p.Listen(f)
	if err != nil {
		t.Fatal(err)
	}
	for len(x) > 0 {
		n := min(block, len(x))
		b := pcm.Block{}
		for range f.Channels {
			b.Samples = append(b.Samples, x[:n])
		}
		l.Write(b)
		x = x[n:]
	}
	return l.Result()
}

func TestANetComputesWhatItsLayersSay(t *testing.T) {
	t.Parallel()
	w := randomWeights(smallWeights, 1)
	p := load(t, small(), w)
	for _, seconds := range []float64{1.2, 3.7} {
		x := sound(8000, seconds)
		got := hear(t, p, x, pcm.Format{Rate: 8000, Channels: 1}, 777)
		if got.Model != "small-1" || got.Licence != "CC0-1.0" || p.Dimensions() != 6 || len(got.Vector) != 6 {
			t.Fatalf("%+v", got)
		}
		for i, v := range naive(x, w) {
			if math.Abs(float64(got.Vector[i])-v) > 1e-3 {
				t.Errorf("%.1f s: vector[%d] is %.5f, want %.5f", seconds, i, got.Vector[i], v)
			}
		}
	}
}

func TestLayersAreExactToAThousandth(t *testing.T) {
	t.Parallel()
	const taps, units = 240, 8
	m := small()
	m.Layers = []model.Layer{{Name: "dense", Op: "dense", Units: units}}
	x := sound(8000, 1)
	shown := chosen(patches(x))
	for seed := range uint64(5) {
		w := randomWeights(taps*units+units, seed)
		got, want := hear(t, load(t, m, w), x, pcm.Format{Rate: 8000, Channels: 1}, 4096).Vector, make([]float64, units)
		for _, patch := range shown {
			for u := range want {
				want[u] += float64(w[taps*units+u])
				for k, v := range patch {
					want[u] += v * float64(w[k*units+u])
				}
			}
		}
		unit(want)
		for u, v := range want {
			if math.Abs(float64(got[u])-v) > 1e-3 {
				t.Errorf("seed %d: unit %d is %.5f, want %.5f", seed, u, got[u], v)
			}
		}
	}
}

func TestHowSoundIsCutChangesNothing(t *testing.T) {
	t.Parallel()
	p := load(t, small(), randomWeights(smallWeights, 1))
	x := sound(44100, 9)
	f := pcm.Format{Rate: 44100, Channels: 2}
	want := hear(t, p, x, f, len(x))
	for _, block := range []int{313, 5000} {
		if got := hear(t, p, x, f, block); !reflect.DeepEqual(got, want) {
			t.Errorf("blocks of %d: %v, want %v", block, got.Vector, want.Vector)
		}
	}
}

func TestWhatAPackCannotPlaceSaysWhy(t *testing.T) {
	t.Parallel()
	w := randomWeights(smallWeights, 1)
	p := load(t, small(), w)
	f := pcm.Format{Rate: 8000, Channels: 1}
	nan := make([]float32, 16000)
	for i := range nan {
		nan[i] = float32(math.NaN())
	}
	zero := small()
	zero.Layers = []model.Layer{{Name: "nothing", Op: "dense", Units: 3}}
	for name, c := range map[string]struct {
		pack   *model.Pack
		sound  []float32
		reason string
	}{
		"nothing":      {p, nil, "too_short"},
		"0.9 s":        {p, sound(8000, 0.9), "too_short"},
		"silence":      {p, make([]float32, 16000), "silent"},
		"not a number": {p, nan, "silent"},
		"no direction": {load(t, zero, make([]float32, 240*3+3)), sound(8000, 2), "undefined"},
		"a second":     {p, sound(8000, 1.05), ""},
	} {
		if e := hear(t, c.pack, c.sound, f, 1000); e.Reason != c.reason || (e.Vector == nil) != (c.reason != "") {
			t.Errorf("%s: %+v, want the reason %q", name, e, c.reason)
		}
	}
}

func TestABrokenPackSaysWhatToMend(t *testing.T) {
	t.Parallel()
	weights := encode(randomWeights(smallWeights, 1))
	change := func(f func(*model.Manifest)) fstest.MapFS {
		m := small()
		f(&m)
		return packed(m, weights)
	}
	layer := func(i int, f func(*model.Layer)) fstest.MapFS {
		return change(func(m *model.Manifest) { f(&m.Layers[i]) })
	}
	raw := func(file string) fstest.MapFS {
		return fstest.MapFS{"model.json": {Data: []byte(file)}, "weights.f32": {Data: weights}}
	}
	other := packed(small(), weights)
	other["weights.f32"] = &fstest.MapFile{Data: append([]byte{1}, weights[1:]...)}
	infinite := randomWeights(smallWeights, 1)
	infinite[40] = float32(math.Inf(1))
	for sentence, dir := range map[string]fstest.MapFS{
		`no file "model.json"`:         {},
		"unexpected EOF":               raw(`{"format":`),
		`unknown field "pathes"`:       raw(`{"pathes": 3}`),
		"format is":                    change(func(m *model.Manifest) { m.Format = "onnx" }),
		"name":                         change(func(m *model.Manifest) { m.Name = "../x" }),
		"licence":                      change(func(m *model.Manifest) { m.Licence = "" }),
		"SHA-256":                      other,
		"no number of float32":         packed(small(), weights[:7]),
		"weight 40 is +Inf":            packed(small(), encode(infinite)),
		"weights and 5 are left":       packed(small(), weights[:len(weights)-4]),
		"the file has":                 packed(small(), append(bytes.Clone(weights), 0, 0, 0, 0)),
		`no file "../../etc/passwd"`:   {"model.json": change(func(m *model.Manifest) { m.Weights = "../../etc/passwd" })["model.json"]},
		"power of two":                 change(func(m *model.Manifest) { m.Input.FFT = 300 }),
		"sample_rate":                  change(func(m *model.Manifest) { m.Input.SampleRate = 1 }),
		"bands":                        change(func(m *model.Manifest) { m.Input.Bands = 1e9 }),
		"mel is":                       change(func(m *model.Manifest) { m.Input.Mel = "bark" }),
		"patches":                      change(func(m *model.Manifest) { m.Input.Patches = -1 }),
		"layers":                       change(func(m *model.Manifest) { m.Layers = nil }),
		`output "nowhere"`:             change(func(m *model.Manifest) { m.Output = "nowhere" }),
		`layer 2, "norm"`:              layer(1, func(l *model.Layer) { l.Name = "norm" }),
		`op "lstm"`:                    layer(1, func(l *model.Layer) { l.Op = "lstm" }),
		`input "later"`:                layer(1, func(l *model.Layer) { l.Inputs = []string{"later"} }),
		"takes 2 to 2 inputs":          layer(10, func(l *model.Layer) { l.Inputs = nil }),
		"does not fit":                 layer(1, func(l *model.Layer) { l.Kernel = [2]int{99, 1} }),
		"padding":                      layer(1, func(l *model.Layer) { l.Padding[0] = -1 }),
		"filters make a tensor":        layer(1, func(l *model.Layer) { l.Filters = 1 << 40 }),
		"units":                        layer(13, func(l *model.Layer) { l.Units = 0 }),
		"cannot become":                layer(6, func(l *model.Layer) { l.Shape = [3]int{1 << 40, 1 << 40, 1} }),
		"differ in rows":               layer(11, func(l *model.Layer) { l.Inputs = []string{"sum", "a-max"} }),
		"differ":                       layer(10, func(l *model.Layer) { l.Inputs = []string{"a", "b"} }),
		`activation "gelu"`:            layer(1, func(l *model.Layer) { l.Activation = "gelu" }),
		"the variance of channel 0 is": layer(0, func(l *model.Layer) { l.Epsilon = -100 }),
	} {
		_, err := model.Load(dir)
		if err == nil || !errors.Is(err, melodyud.ErrInvalid) || !strings.Contains(err.Error(), sentence) {
			t.Errorf("want %q: %v", sentence, err)
		}
	}
}

func TestANetThatNeedsTooMuchIsNotLoaded(t *testing.T) {
	t.Parallel()
	wide := small()
	wide.Input.Frames, wide.Input.Bands = 4096, 512
	wide.Layers = []model.Layer{{Name: "a", Op: "conv2d", Filters: 4, Kernel: [2]int{64, 64}}}
	if _, err := model.Load(packed(wide, nil)); err == nil || !strings.Contains(err.Error(), "multiplications") {
		t.Errorf("64 times 64 taps at two million places: %v", err)
	}
	wide.Layers = nil
	for i := range 40 {
		wide.Layers = append(wide.Layers, model.Layer{Name: fmt.Sprint(i), Op: "relu", Inputs: []string{"input"}})
	}
	for i := 1; i < 40; i++ {
		wide.Layers = append(wide.Layers, model.Layer{Name: fmt.Sprint("sum", i), Op: "add", Inputs: []string{fmt.Sprint(i - 1), fmt.Sprint(i)}})
	}
	wide.Layers = append(wide.Layers, model.Layer{Name: "end", Op: "globalmax"})
	if _, err := model.Load(packed(wide, nil)); err == nil || !strings.Contains(err.Error(), "at a time") {
		t.Errorf("forty tensors of two million: %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	seed := packed(small(), encode(randomWeights(smallWeights, 1)))
	f.Add(seed["model.json"].Data, seed["weights.f32"].Data)
	f.Add([]byte(`{"format":"melodyud.model.v1","layers":[{"op":"dense","units":1}]}`), []byte{0, 0, 0, 0})
	x := sound(8000, 1.1)
	f.Fuzz(func(t *testing.T, file, weights []byte) {
		var m model.Manifest
		if json.Unmarshal(file, &m) != nil || m.Weights == "" || m.Weights == "model.json" {
			m = small()
		}
		m.Input.Frames, m.Input.Bands = min(m.Input.Frames, 40), min(m.Input.Bands, 40) // so that inputs are quick
		dir := packed(m, weights)
		p, err := model.Load(dir)
		if err != nil {
			if !errors.Is(err, melodyud.ErrInvalid) && !strings.Contains(err.Error(), "open model pack") {
				t.Errorf("an error of no kind: %v", err)
			}
			return
		}
		for _, v := range hear(t, p, x, pcm.Format{Rate: 8000, Channels: 1}, 4096).Vector {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				t.Fatalf("a vector with %v", v)
			}
		}
	})
}
