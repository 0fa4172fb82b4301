// Package quality remarks on a file what a careful engineer would: flat tops, silence
// at the ends, an inverted channel, bits and hertz that hold nothing, traces of a
// lossy coder in a lossless file. Nothing of it refuses a track.
package quality

import (
	"math"

	"github.com/tphakala/simd/f32"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// Source says what the sound was decoded from.
type Source struct {
	Lossless bool
	BitDepth int // significant bits; 0 for lossy and floating-point files
}

// Inspector inspects a track while it is decoded. It is for one goroutine.
type Inspector struct {
	format   pcm.Format
	source   Source
	at       int64 // samples taken
	channels []channel
	all      uint32 // the bits of the source's depth
	stereo   stereo
	silence  silence
	overs    *pcm.Overs
	over     places
	clipped  places
	band     *band
	lossy    *lossy // nil: nothing to look for
	mean     []float32
}

// New returns an Inspector of sound of the given format.
func New(f pcm.Format, s Source) *Inspector {
	in := &Inspector{
		format: f, source: s, channels: make([]channel, f.Channels), silence: silence{first: -1, last: -1},
		overs: pcm.NewOvers(f), over: places{rate: f.Rate}, clipped: places{rate: f.Rate}, band: newBand(f.Rate),
	}
	if s.BitDepth > 0 && s.BitDepth <= 24 {
		in.all = (1<<s.BitDepth - 1) << (24 - s.BitDepth)
	}
	for i := range in.channels {
		in.channels[i].whole = s.Lossless && in.all != 0
	}
	if s.Lossless {
		in.lossy = newLossy(f)
	}
	return in
}

// Write takes the next samples.
func (in *Inspector) Write(b pcm.Block) {
	if b.Len() == 0 {
		return
	}
	for i, x := range b.Samples {
		in.channels[i].scan(x, in.at, in.clipped.add)
		in.channels[i].note(x, in.all)
	}
	if len(b.Samples) == 2 {
		in.stereo.write(b)
	}
	in.silence.write(b, in.at)
	in.overs.Write(b, func(at int64) { in.over.add(at, at+1) })
	mean := in.mix(b)
	in.band.write(mean)
	if in.lossy != nil {
		in.lossy.write(mean, b.Samples[0])
	}
	in.at += int64(b.Len())
}

func (in *Inspector) mix(b pcm.Block) []float32 {
	if len(b.Samples) == 1 {
		return b.Samples[0]
	}
	in.mean = append(in.mean[:0], b.Samples[0]...)
	for _, x := range b.Samples[1:] {
		f32.Add(in.mean, in.mean, x)
	}
	f32.Scale(in.mean, in.mean, 1/float32(len(b.Samples)))
	return in.mean
}

// Close takes the end of the sound and returns what there is to say. l is the same
// sound's loudness.
func (in *Inspector) Close(l melodyud.Loudness) melodyud.Quality {
	for i := range in.channels {
		in.channels[i].endTop(0, in.at, in.clipped.add)
	}
	q := melodyud.Quality{Remarks: []melodyud.Remark{}}
	if in.at == 0 {
		q.Reason = "too_short"
		return q
	}
	in.measure(&q)
	if l.TruePeak != nil && l.Integrated != nil {
		q.PLR = new(*l.TruePeak - *l.Integrated)
	}
	in.remark(&q, l)
	return q
}

func (in *Inspector) measure(q *melodyud.Quality) {
	if in.silence.first < 0 {
		q.SilenceHead, q.SilenceTail, q.Reason = in.seconds(in.at), in.seconds(in.at), "silent"
		return
	}
	q.SilenceHead, q.SilenceTail = in.seconds(in.silence.first), in.seconds(in.at-1-in.silence.last)
	flat, offset := int64(0), 0.0
	for _, c := range in.channels {
		flat += c.flat
		if m := c.sum / float64(in.at); math.Abs(m) > math.Abs(offset) {
			offset = m
		}
	}
	q.ClippedRatio, q.DCOffset = new(float64(flat)/float64(in.at*int64(len(in.channels)))), &offset
	q.Overs = new(in.over.count)
	if hz, abrupt, ok := in.band.end(); ok {
		q.Bandwidth = &hz
		in.judgeSource(q, hz, abrupt)
	}
	if bits, ok := usedBits(in.channels, in.source.BitDepth); ok {
		q.EffectiveBits = &bits
	}
	in.compare(q)
}

func (in *Inspector) seconds(n int64) *float64 {
	s := float64(n) / float64(in.format.Rate)
	return &s
}

// judgeSource says whether a lossless file was made from a lossy one.
func (in *Inspector) judgeSource(q *melodyud.Quality, hz float64, abrupt bool) {
	if !in.source.Lossless {
		return
	}
	cut := abrupt && hz >= edgeLowest && hz <= edgeHighest && in.format.Rate >= 44_100 && in.format.Rate <= 48_000
	fake := cut || in.lossy != nil && in.lossy.found() >= certain
	q.FakeLossless = &fake
}

// compare compares the two channels of stereo.
func (in *Inspector) compare(q *melodyud.Quality) {
	if in.format.Channels != 2 {
		return
	}
	correlation, ok := in.stereo.correlation()
	if ok {
		q.StereoCorrelation = &correlation
	}
	q.MonoAsStereo = new(ok && in.stereo.apart <= sameStep)
	q.PhaseInverted = new(ok && (in.stereo.sum <= sameStep || correlation < -0.9))
}

// places collects stretches, joining those close together, and keeps the first of them.
type places struct {
	rate  int
	count int
	list  []melodyud.Range
}

const (
	mostPlaces = 100
	joined     = 0.5 // seconds
)

func (p *places) add(from, to int64) {
	p.count++
	r := melodyud.Range{Start: float64(from) / float64(p.rate), End: float64(to) / float64(p.rate)}
	if n := len(p.list); n > 0 && r.Start-p.list[n-1].End < joined {
		p.list[n-1].End = max(p.list[n-1].End, r.End)
		return
	}
	if len(p.list) < mostPlaces {
		p.list = append(p.list, r)
	}
}
