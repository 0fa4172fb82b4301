package pcm

import (
	"math"
	"slices"

	melodyud "github.com/melodyud/melodyud"
)

// Gating and windows of ITU-R BS.1770-4 and EBU Tech 3342.
const (
	loudnessOffset = -0.691
	absoluteGate   = -70.0 // LUFS
	relativeGate   = -10.0 // LU below the mean of what passed the absolute gate
	rangeGate      = -20.0 // LU, for the loudness range
	hopsPerSecond  = 100
	gatingHops     = 10  // between the blocks that are gated (LOUD-2, LOUD-3)
	blockHops      = 40  // 400 ms
	shortHops      = 300 // 3 s
	surround       = 1.41
)

// weights holds BS.1770's channel gains by number of channels, in the order
// that Downmix documents; rows left out are all 1.
var weights = map[int][]float64{
	4: {1, 1, surround, surround},
	5: {1, 1, 1, surround, surround},
	6: {1, 1, 1, 0, surround, surround},
	7: {1, 1, 1, 0, 1, surround, surround},
	8: {1, 1, 1, 0, 1, 1, surround, surround},
}

// Meter measures a track's loudness, range and peaks (LOUD-1..6) in one pass.
// It keeps two numbers for every 100 ms and nothing else of the sound.
type Meter struct {
	channels []weighted
	peak     *peakMeter
	rate     int64
	at       int64 // samples taken
	hop      int64 // hops of 10 ms completed
	hops     [shortHops]energy
	blocks   []float64 // mean weighted square of each 400 ms block, 100 ms apart
	shorts   []float64 // the same of each 3 s window

	// The highest of all windows, 10 ms apart: a note need not begin where a block does.
	momentary, shortTerm sliding
}

// energy is the weighted square sum of one hop, over a number of samples.
type energy struct {
	sum     float64
	samples int64
}

// sliding is the energy of the last hops, and the highest mean it ever had.
type sliding struct {
	energy
	highest float64
}

func (s *sliding) add(e energy)  { s.sum += e.sum; s.samples += e.samples }
func (s *sliding) drop(e energy) { s.sum -= e.sum; s.samples -= e.samples }
func (s *sliding) note()         { s.highest = max(s.highest, s.sum/float64(s.samples)) }

// NewMeter returns a Meter for sound of the given format.
func NewMeter(f Format) *Meter {
	m := &Meter{rate: int64(f.Rate), peak: newPeakMeter(f)}
	stages := kWeighting(float64(f.Rate))
	for c := range f.Channels {
		gain := 1.0
		if w := weights[f.Channels]; w != nil {
			gain = w[c]
		}
		m.channels = append(m.channels, weighted{gain: gain, stages: stages})
	}
	return m
}

// Write takes the next samples.
func (m *Meter) Write(b Block) {
	m.peak.write(b)
	for from, n := 0, b.Len(); from < n; {
		end := (m.hop + 1) * m.rate / hopsPerSecond
		take := int(min(int64(n-from), end-m.at))
		m.weigh(b, from, from+take)
		from += take
		if m.at += int64(take); m.at == end {
			m.endHop()
		}
	}
}

// weigh hands samples to the channels' filters, two at a time: each filter waits
// for its own last result, and two of them wait together.
func (m *Meter) weigh(b Block, from, to int) {
	c := 0
	for ; c+1 < len(m.channels); c += 2 {
		writePair(&m.channels[c], &m.channels[c+1], b.Samples[c][from:to], b.Samples[c+1][from:to])
	}
	if c < len(m.channels) {
		m.channels[c].write(b.Samples[c][from:to])
	}
}

func (m *Meter) endHop() {
	e := energy{samples: (m.hop+1)*m.rate/hopsPerSecond - m.hop*m.rate/hopsPerSecond}
	for c := range m.channels {
		e.sum += m.channels[c].take()
	}
	m.slide(&m.momentary, e, blockHops)
	m.slide(&m.shortTerm, e, shortHops)
	m.hops[m.hop%shortHops] = e
	if m.hop++; m.hop%gatingHops != 0 {
		return
	}
	if m.hop >= blockHops {
		m.blocks = append(m.blocks, m.mean(blockHops))
	}
	if m.hop >= shortHops {
		m.shorts = append(m.shorts, m.mean(shortHops))
	}
}

// slide moves a window of n hops on by the hop e, which is not in the ring yet.
func (m *Meter) slide(s *sliding, e energy, n int64) {
	s.add(e)
	if m.hop >= n {
		s.drop(m.hops[(m.hop-n)%shortHops])
	}
	if m.hop+1 >= n {
		s.note()
	}
}

// mean returns the mean weighted square of the last n hops, added up anew: sums that
// slide for hours would keep traces of what has left them.
func (m *Meter) mean(n int64) float64 {
	var sum energy
	for h := m.hop - n; h < m.hop; h++ {
		e := m.hops[h%shortHops]
		sum.sum += e.sum
		sum.samples += e.samples
	}
	return sum.sum / float64(sum.samples)
}

// Loudness returns what was measured, to a hundredth. It ends the measurement.
func (m *Meter) Loudness() melodyud.Loudness {
	m.peak.flush()
	return melodyud.Loudness{
		Integrated: m.integrated(),
		Range:      m.loudnessRange(),
		TruePeak:   decibels(m.peak.truePeak),
		SamplePeak: decibels(m.peak.samplePeak),

		MaxMomentary: m.momentary.level(),
		MaxShortTerm: m.shortTerm.level(),
	}
}

// level returns the highest mean in LUFS, or nil for what no gate would let through.
func (s *sliding) level() *float64 {
	if s.highest < power(absoluteGate) {
		return nil
	}
	return hundredths(lufs(s.highest))
}

// Blocks counts the 400 ms blocks by loudness: what the loudness of an album is
// gated from, over all its tracks (LOUD-5).
func (m *Meter) Blocks() melodyud.LoudnessBlocks {
	var counts melodyud.LoudnessBlocks
	for _, b := range m.blocks {
		counts.Add(lufs(b))
	}
	return counts
}

// ShortTerm returns the mean weighted square of every window of 3 s, 100 ms apart
// (LOUD-3): what short-term loudness is the logarithm of. It is the Meter's own.
func (m *Meter) ShortTerm() []float64 { return m.shorts }

func (m *Meter) integrated() *float64 {
	loud := gate(m.blocks, power(absoluteGate))
	if len(loud) == 0 {
		return nil
	}
	loud = gate(loud, average(loud)*math.Pow(10, relativeGate/10))
	return hundredths(lufs(average(loud)))
}

func (m *Meter) loudnessRange() *float64 {
	loud := gate(m.shorts, power(absoluteGate))
	if len(loud) == 0 {
		return nil
	}
	loud = gate(loud, average(loud)*math.Pow(10, rangeGate/10))
	slices.Sort(loud)
	last := float64(len(loud) - 1)
	low, high := loud[int(math.Round(last*0.10))], loud[int(math.Round(last*0.95))]
	return hundredths(lufs(high) - lufs(low))
}

// gate returns a copy of the blocks that are not below the threshold.
func gate(blocks []float64, threshold float64) []float64 {
	var kept []float64
	for _, b := range blocks {
		if b >= threshold {
			kept = append(kept, b)
		}
	}
	return kept
}

func average(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

func lufs(power float64) float64 { return loudnessOffset + 10*math.Log10(power) }
func power(lufs float64) float64 { return math.Pow(10, (lufs-loudnessOffset)/10) }

func decibels(peak float32) *float64 {
	if peak == 0 {
		return nil
	}
	return hundredths(20 * math.Log10(float64(peak)))
}

func hundredths(v float64) *float64 {
	v = math.Round(v*100) / 100
	return &v
}

// biquad is a second-order filter section, normalised to a0 = 1.
type biquad struct{ b0, b1, b2, a1, a2 float64 }

// kWeighting returns the shelf and the high-pass for a rate (LOUD-1).
func kWeighting(rate float64) [2]biquad {
	const (
		shelfHz, shelfGain, shelfQ = 1681.974450955533, 3.999843853973347, 0.7071752369554196
		passHz, passQ              = 38.13547087602444, 0.5003270373238773
		midGain                    = 0.4996667741545416
	)
	k := math.Tan(math.Pi * shelfHz / rate)
	vh := math.Pow(10, shelfGain/20)
	vb := math.Pow(vh, midGain)
	a0 := 1 + k/shelfQ + k*k
	shelf := biquad{
		b0: (vh + vb*k/shelfQ + k*k) / a0, b1: 2 * (k*k - vh) / a0, b2: (vh - vb*k/shelfQ + k*k) / a0,
		a1: 2 * (k*k - 1) / a0, a2: (1 - k/shelfQ + k*k) / a0,
	}
	k = math.Tan(math.Pi * passHz / rate)
	a0 = 1 + k/passQ + k*k
	pass := biquad{b0: 1, b1: -2, b2: 1, a1: 2 * (k*k - 1) / a0, a2: (1 - k/passQ + k*k) / a0}
	return [2]biquad{shelf, pass}
}

// weighted sums the squares of one K-weighted channel.
type weighted struct {
	gain   float64
	stages [2]biquad
	state  [4]float64
	sum    float64
}

func (w *weighted) write(x []float32) {
	if w.gain == 0 {
		return
	}
	p, q, sum := w.stages[0], w.stages[1], w.sum
	s0, s1, s2, s3 := w.state[0], w.state[1], w.state[2], w.state[3]
	for _, v := range x {
		in := float64(v)
		mid := p.b0*in + s0
		s0 = p.b1*in - p.a1*mid + s1
		s1 = p.b2*in - p.a2*mid
		out := mid + s2 // the high-pass has b = 1, -2, 1
		s2 = -2*mid - q.a1*out + s3
		s3 = mid - q.a2*out
		sum += out * out
	}
	w.sum = sum
	w.state = [4]float64{settle(s0), settle(s1), settle(s2), settle(s3)}
}

// writePair is write for two channels of the same filters, with the same results.
func writePair(v, w *weighted, x, y []float32) {
	if v.gain == 0 || w.gain == 0 {
		v.write(x)
		w.write(y)
		return
	}
	p, q, sumV, sumW := v.stages[0], v.stages[1], v.sum, w.sum
	s0, s1, s2, s3 := v.state[0], v.state[1], v.state[2], v.state[3]
	t0, t1, t2, t3 := w.state[0], w.state[1], w.state[2], w.state[3]
	y = y[:len(x)]
	for i, sample := range x {
		inV, inW := float64(sample), float64(y[i])
		midV, midW := p.b0*inV+s0, p.b0*inW+t0
		s0, t0 = p.b1*inV-p.a1*midV+s1, p.b1*inW-p.a1*midW+t1
		s1, t1 = p.b2*inV-p.a2*midV, p.b2*inW-p.a2*midW
		outV, outW := midV+s2, midW+t2 // the high-pass has b = 1, -2, 1
		s2, t2 = -2*midV-q.a1*outV+s3, -2*midW-q.a1*outW+t3
		s3, t3 = midV-q.a2*outV, midW-q.a2*outW
		sumV, sumW = sumV+outV*outV, sumW+outW*outW
	}
	v.sum, w.sum = sumV, sumW
	v.state = [4]float64{settle(s0), settle(s1), settle(s2), settle(s3)}
	w.state = [4]float64{settle(t0), settle(t1), settle(t2), settle(t3)}
}

// settle ends a decay before it gets into slow denormal numbers.
func settle(v float64) float64 {
	if math.Abs(v) < 1e-30 {
		return 0
	}
	return v
}

func (w *weighted) take() float64 {
	sum := w.sum * w.gain
	w.sum = 0
	return sum
}
