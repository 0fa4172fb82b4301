package structure

// The envelope's resolution: it begins fine and halves whenever it is full.
const (
	finest  = 256 // samples
	maxRoom = 1 << 17
)

// Envelope measures how loud a stream of samples is, in mean squares of short
// stretches: 256 samples each, or more for sound of more than 33 million samples.
// Direct current and what is slower than some 7 Hz is left out. It keeps 4 bytes
// for a stretch and is for one goroutine.
type Envelope struct {
	power []float32
	per   int // samples of a stretch
	in    int // samples in the one that is not full
	sum   float32
	last  float32 // sample
	level float32 // of the last sample without direct current
}

// NewEnvelope returns an Envelope.
func NewEnvelope() *Envelope { return &Envelope{per: finest} }

// Write takes the next samples. What is not finite counts as 0.
func (e *Envelope) Write(mono []float32) {
	for len(mono) > 0 {
		n := min(len(mono), e.per-e.in)
		for _, v := range mono[:n] {
			if !(v >= -loudest && v <= loudest) {
				v = 0
			}
			e.level = v - e.last + float32(leak*e.level)
			e.last = v
			e.sum += float32(e.level * e.level)
		}
		e.in += n
		mono = mono[n:]
		if e.in == e.per {
			e.close()
		}
	}
}

// leak is the pole of the filter against direct current, at some 20,000 Hz.
const leak = 0.998

// least is below what can be heard by far; under it arithmetic becomes slow.
const least = 1e-20

// loudest is more than samples can be; it keeps sums finite.
const loudest = 1e6

func (e *Envelope) close() {
	e.power = append(e.power, e.sum/float32(e.per))
	e.sum, e.in = 0, 0
	if e.level > -least && e.level < least {
		e.level = 0
	}
	if len(e.power) < maxRoom {
		return
	}
	for i := range maxRoom / 2 {
		e.power[i] = (e.power[2*i] + e.power[2*i+1]) / 2
	}
	e.power = e.power[:maxRoom/2]
	e.per *= 2
}

// Power returns the mean squares and how many samples each is of. A last stretch
// that is not full is left out. The slice is the Envelope's own.
func (e *Envelope) Power() (power []float32, samples int) { return e.power, e.per }
