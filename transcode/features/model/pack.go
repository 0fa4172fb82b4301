// Package model runs model packs: small neural networks that place tracks in a
// space of their own, beside the built-in "hand-v1".
//
// A pack is a directory with model.json, which docs/guide.md describes, and one
// file of weights: little-endian float32, layer after layer, nothing between.
//
// Networks are computed in fixed point: weights and what flows between layers are
// rounded to integers of 12 to 15 bits, whose products are summed exactly. So a
// pack gives the same bytes on every machine, within about a thousandth of what
// floating point would give.
package model

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"regexp"

	melodyud "github.com/melodyud/melodyud"
)

// Format is what "format" in model.json must say.
const Format = "melodyud.model.v1"

// Limits of a pack.
const (
	maxManifest = 1 << 20  // bytes of model.json
	maxWeights  = 64 << 20 // weights
	maxLayers   = 1000
	maxTensor   = 1 << 23 // numbers between two layers, for one patch
	maxLive     = 1 << 25 // numbers that are needed at the same time
	maxWork     = 5e9     // multiplications for one patch
	maxPatches  = 32
)

// Manifest is model.json.
type Manifest struct {
	Format  string  `json:"format"`
	Name    string  `json:"name"`    // small letters, digits and hyphens
	Version string  `json:"version"` // such as "1"
	Licence string  `json:"licence"` // an SPDX expression, shown with every result
	Source  string  `json:"source,omitempty"`
	Weights string  `json:"weights"` // the file's name
	SHA256  string  `json:"sha256"`  // of that file
	Input   Input   `json:"input"`
	Layers  []Layer `json:"layers"`
	Output  string  `json:"output"` // the layer that is the vector; "" for the last one
}

// Input says what the network is shown: patches of a mel spectrogram, frames in
// rows, bands in columns, each value log10(1 + gain*power).
type Input struct {
	SampleRate int     `json:"sample_rate"` // Hz, 4,000..48,000
	FFT        int     `json:"fft"`         // samples, a power of two
	Hop        int     `json:"hop"`         // samples
	Mel        string  `json:"mel"`         // "slaney": of area 1, as librosa makes them; "htk": of height 1
	Bands      int     `json:"bands"`
	Low        float64 `json:"low_hz"`
	High       float64 `json:"high_hz"`
	Gain       float64 `json:"gain"`
	Frames     int     `json:"frames"`  // in a patch
	Patches    int     `json:"patches"` // of a track, spread evenly: 1..32
}

// Layer is one step of the network. Tensors have rows, columns and channels.
type Layer struct {
	Name   string   `json:"name"`
	Op     string   `json:"op"`
	Inputs []string `json:"inputs,omitempty"` // default: the layer before; "input" is the patch

	Filters    int     `json:"filters,omitempty"` // conv2d
	Units      int     `json:"units,omitempty"`   // dense
	Kernel     [2]int  `json:"kernel,omitzero"`   // conv2d, maxpool, avgpool: rows, columns
	Stride     [2]int  `json:"stride,omitzero"`   // default 1 for conv2d, the kernel for pools
	Padding    [4]int  `json:"padding,omitzero"`  // conv2d: zeros above, below, left, right
	Shape      [3]int  `json:"shape,omitzero"`    // reshape
	Activation string  `json:"activation,omitempty"`
	Epsilon    float64 `json:"epsilon,omitempty"` // batchnorm; default 0.001
}

// Pack is a network ready to run. It may be used by many goroutines.
type Pack struct {
	manifest Manifest
	net      *net
	bank     *bank
}

// Load reads the pack in a directory. What is wrong with it is an error of the
// kind melodyud.ErrInvalid that says which line to mend.
func Load(dir fs.FS) (*Pack, error) {
	file, err := readAtMost(dir, "model.json", maxManifest)
	if err != nil {
		return nil, err
	}
	m, err := parse(file)
	if err != nil {
		return nil, err
	}
	raw, err := readAtMost(dir, m.Weights, 4*maxWeights)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != m.SHA256 {
		return nil, invalid("the SHA-256 of %s is %x, model.json says %q", m.Weights, sum, m.SHA256)
	}
	weights, err := floats(raw)
	if err != nil {
		return nil, err
	}
	p := &Pack{manifest: m, bank: newBank(m.Input)}
	p.net, err = build(m, weights)
	return p, err
}

// ID names the space of the pack's vectors, such as "musicnn-msd-1".
func (p *Pack) ID() string { return p.manifest.Name + "-" + p.manifest.Version }

// Manifest returns what model.json says. Its slices must not be changed.
func (p *Pack) Manifest() Manifest { return p.manifest }

// Dimensions returns the length of the pack's vectors.
func (p *Pack) Dimensions() int { return p.net.dimensions() }

func invalid(format string, args ...any) error {
	return fmt.Errorf("model pack: %w: %s", melodyud.ErrInvalid, fmt.Sprintf(format, args...))
}

func readAtMost(dir fs.FS, name string, most int64) ([]byte, error) {
	f, err := dir.Open(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return nil, invalid("there is no file %q in it", name)
	}
	if err != nil {
		return nil, fmt.Errorf("open model pack: %w", err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read model pack: %w", err)
	case int64(len(raw)) > most:
		return nil, invalid("%s is larger than %d bytes", name, most)
	}
	return raw, nil
}

func parse(file []byte) (Manifest, error) {
	var m Manifest
	d := json.NewDecoder(bytes.NewReader(file))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return m, invalid("model.json: %v", err)
	}
	return m, m.check()
}

// word is what a name or version may be.
var word = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,63}$`)

func (m *Manifest) check() error {
	switch {
	case m.Format != Format:
		return invalid("format is %q, this program reads %q", m.Format, Format)
	case !word.MatchString(m.Name) || !word.MatchString(m.Version):
		return invalid("name %q and version %q must be of small letters, digits, dots and hyphens", m.Name, m.Version)
	case m.Licence == "" || len(m.Licence) > 200:
		return invalid("licence must name the licence of the weights, as an SPDX expression")
	case len(m.Layers) == 0 || len(m.Layers) > maxLayers:
		return invalid("it has %d layers; 1 to %d are possible", len(m.Layers), maxLayers)
	case m.Weights == "":
		return invalid("weights must name a file in the pack")
	}
	return m.Input.check()
}

func (in *Input) check() error {
	within := func(name string, v, least, most float64) error {
		if !(v >= least && v <= most) {
			return invalid("input: %s is %v; %v to %v is possible", name, v, least, most)
		}
		return nil
	}
	if in.FFT&(in.FFT-1) != 0 {
		return invalid("input: fft is %d; it must be a power of two", in.FFT)
	}
	if in.Mel != melSlaney && in.Mel != melHTK {
		return invalid("input: mel is %q; %q and %q are possible", in.Mel, melSlaney, melHTK)
	}
	return errors.Join(
		within("sample_rate", float64(in.SampleRate), 4000, 48000),
		within("fft", float64(in.FFT), 64, 1<<14),
		within("hop", float64(in.Hop), float64(in.FFT)/16, float64(in.FFT)),
		within("bands", float64(in.Bands), 1, 512),
		within("low_hz", in.Low, 0, float64(in.SampleRate)/2),
		within("high_hz", in.High, in.Low+1, float64(in.SampleRate)/2),
		within("gain", in.Gain, 1e-9, 1e12),
		within("frames", float64(in.Frames), 1, 1<<12),
		within("patches", float64(in.Patches), 1, maxPatches),
	)
}

func floats(raw []byte) ([]float32, error) {
	if len(raw)%4 != 0 {
		return nil, invalid("the weights are %d bytes, which is no number of float32", len(raw))
	}
	x := make([]float32, len(raw)/4)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		if v := float64(x[i]); math.IsNaN(v) || math.Abs(v) > 1e18 {
			return nil, invalid("weight %d is %v", i, v)
		}
	}
	return x, nil
}
