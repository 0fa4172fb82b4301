package model

import (
	"fmt"
	"math"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/features/spectrum"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// The scales of mel bands that a pack may name.
const (
	melSlaney = "slaney"
	melHTK    = "htk"
)

// Why there is no vector.
const (
	reasonSilent    = "silent"
	reasonTooShort  = "too_short"
	reasonUndefined = "undefined" // the network's answer has no direction
)

// bank makes mel bands of power spectra.
type bank struct {
	first   []int
	weights [][]float32
}

func newBank(in Input) *bank {
	b := &bank{}
	toMel, fromMel := scales(in.Mel)
	low, high := toMel(in.Low), toMel(in.High)
	corner := func(i int) float64 { return fromMel(low + (high-low)*float64(i)/float64(in.Bands+1)) }
	bin := float64(in.SampleRate) / float64(in.FFT)
	for i := range in.Bands {
		left, middle, right := corner(i), corner(i+1), corner(i+2)
		height := 1.0
		if in.Mel == melSlaney {
			height = 2 / (right - left)
		}
		// Packs expect sums of squares under a plain Hann window.
		height *= float64(in.FFT) * float64(in.FFT) / 16
		first := int(math.Floor(left/bin)) + 1
		var w []float32
		for k := first; float64(k)*bin < right && k <= in.FFT/2; k++ {
			hz := float64(k) * bin
			w = append(w, float32(height*max(0, min((hz-left)/(middle-left), (right-hz)/(right-middle)))))
		}
		b.first, b.weights = append(b.first, first), append(b.weights, w)
	}
	return b
}

// scales returns the way between Hz and mel, as Slaney's toolbox or HTK has it.
func scales(name string) (toMel, fromMel func(float64) float64) {
	if name == melHTK {
		return func(hz float64) float64 { return 2595 * math.Log10(1+hz/700) },
			func(mel float64) float64 { return 700 * (math.Pow(10, mel/2595) - 1) }
	}
	const linear, corner = 200.0 / 3, 1000.0 // Hz a mel below the corner
	step := math.Log(6.4) / 27
	return func(hz float64) float64 {
			if hz < corner {
				return hz / linear
			}
			return corner/linear + math.Log(hz/corner)/step
		}, func(mel float64) float64 {
			if mel < corner/linear {
				return mel * linear
			}
			return corner * math.Exp(step*(mel-corner/linear))
		}
}

// Listener hears one track for a pack. It keeps at most twice the patches that the
// pack wants, and is for one goroutine.
type Listener struct {
	pack     *Pack
	resample *pcm.Resampler // nil where the rate is right
	stft     *spectrum.STFT
	mono     []float32

	frames  int
	step    int // every so manyth patch is kept
	kept    []patch
	sounded bool
}

// patch is one that is kept; it may not be full yet.
type patch struct {
	rows   int
	values []float32
}

// Listen starts to hear a track of a format.
func (p *Pack) Listen(f pcm.Format) (*Listener, error) {
	in := p.manifest.Input
	l := &Listener{pack: p, stft: spectrum.NewSTFT(in.FFT, in.Hop), step: 1}
	if f.Rate != in.SampleRate {
		var err error
		if l.resample, err = pcm.NewResampler(f.Rate, in.SampleRate, 1); err != nil {
			return nil, fmt.Errorf("listen for model pack %s: %w", p.ID(), err)
		}
	}
	return l, nil
}

// Write takes the next samples.
func (l *Listener) Write(b pcm.Block) {
	if b.Len() == 0 {
		return
	}
	x := l.mix(b)
	if l.resample != nil {
		x = l.resample.Process(pcm.Block{Samples: [][]float32{x}}).Samples[0]
	}
	l.stft.Write(x, l.frame)
}

// mix returns the mean of the channels.
func (l *Listener) mix(b pcm.Block) []float32 {
	l.mono = append(l.mono[:0], b.Samples[0]...)
	for _, c := range b.Samples[1:] {
		for i, v := range c[:len(l.mono)] {
			l.mono[i] += v
		}
	}
	for i := range l.mono {
		l.mono[i] /= float32(len(b.Samples))
	}
	return l.mono
}

// frame adds a spectrum to its patch, if that is to be kept.
func (l *Listener) frame(power []float32) {
	in := &l.pack.manifest.Input
	number, row := l.frames/in.Frames, l.frames%in.Frames
	l.frames++
	if row == 0 && number%l.step == 0 {
		if len(l.kept) == 2*in.Patches {
			l.thin()
		}
		if number%l.step == 0 {
			l.kept = append(l.kept, patch{values: make([]float32, in.Frames*in.Bands)})
		}
	}
	if number%l.step != 0 {
		return
	}
	last := &l.kept[len(l.kept)-1]
	l.fill(last.values[row*in.Bands:][:in.Bands], power)
	last.rows = row + 1
}

// thin keeps every second patch.
func (l *Listener) thin() {
	for i := range l.kept[:len(l.kept)/2] {
		l.kept[i] = l.kept[2*i]
	}
	l.kept = l.kept[:len(l.kept)/2]
	l.step *= 2
}

func (l *Listener) fill(row, power []float32) {
	b, gain := l.pack.bank, float32(l.pack.manifest.Input.Gain)
	for i := range row {
		sum := float32(0)
		for k, w := range b.weights[i] {
			sum += float32(w * power[b.first[i]+k])
		}
		if sum > 0 && sum < math.MaxFloat32 {
			row[i] = float32(1/math.Ln10) * spectrum.Log(1+float32(gain*sum))
			l.sounded = l.sounded || sum > faintest
		}
	}
}

// faintest is what a band must have for a track not to be silent.
const faintest = 1e-7

// Result returns the track's place in the pack's space, of length 1: the mean of
// what the network says of patches spread over the track. Nothing may be written
// after it. Vector is nil, with the Reason, for silence and for less than a second.
func (l *Listener) Result() melodyud.Embedding {
	l.finish()
	e := melodyud.Embedding{Model: l.pack.ID(), Licence: l.pack.manifest.Licence}
	in := &l.pack.manifest.Input
	switch {
	case l.frames*in.Hop < in.SampleRate:
		e.Reason = reasonTooShort
	case !l.sounded:
		e.Reason = reasonSilent
	default:
		if e.Vector = l.place(); e.Vector == nil {
			e.Reason = reasonUndefined
		}
	}
	return e
}

// finish hears the end. A patch that is not full is dropped; if there is no
// other it is repeated until it is.
func (l *Listener) finish() {
	if l.resample != nil {
		l.stft.Write(l.resample.Flush().Samples[0], l.frame)
	}
	l.stft.Close(l.frame)
	in := &l.pack.manifest.Input
	if len(l.kept) == 0 {
		return
	}
	last := &l.kept[len(l.kept)-1]
	if last.rows < in.Frames && len(l.kept) > 1 {
		l.kept = l.kept[:len(l.kept)-1]
		return
	}
	for i := last.rows * in.Bands; i < len(last.values); i++ {
		last.values[i] = last.values[i-last.rows*in.Bands]
	}
}

func (l *Listener) place() []float32 {
	n := min(l.pack.manifest.Input.Patches, len(l.kept))
	sum := make([]float64, l.pack.Dimensions())
	for i := range n {
		for d, v := range l.pack.net.run(l.kept[(2*i+1)*len(l.kept)/(2*n)].values) {
			sum[d] += float64(v)
		}
	}
	power := 0.0
	for _, v := range sum {
		power += float64(v * v)
	}
	length := math.Sqrt(power)
	if !(length > 0 && length < math.MaxFloat64) {
		return nil
	}
	vector := make([]float32, len(sum))
	for d, v := range sum {
		vector[d] = float32(v / length)
	}
	return vector
}
