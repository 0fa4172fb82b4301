package quality

import (
	"fmt"
	"math"

	melodyud "github.com/melodyud/melodyud"
)

// From where on a measure is worth a creator's time.
const (
	fewTops    = 3     // flat tops that happen in any loud master
	longHead   = 2.0   // seconds of silence
	longTail   = 5.0   // seconds
	offCentre  = 0.005 // of full scale
	lowLevel   = -30.0 // LUFS
	overLevel  = 0.1   // dBTP
	highRate   = 50_000
	plainSound = 24_500 // Hz: what a rate of 48 kHz can hold, and a little
)

// remark puts into words what a creator might want to change.
func (in *Inspector) remark(q *melodyud.Quality, l melodyud.Loudness) {
	add := func(wanted bool, code, text string, at ...melodyud.Range) {
		if wanted {
			q.Remarks = append(q.Remarks, melodyud.Remark{Code: "quality." + code, Text: text, At: at})
		}
	}
	length := float64(in.at) / float64(in.format.Rate)
	if q.Reason == "silent" {
		add(true, "silent", "There is nothing to hear in this file. Was the right track exported?")
		return
	}
	add(in.clipped.count > fewTops, "clipping", fmt.Sprintf(
		"Loud peaks are cut flat in %d places. If that was not on purpose, export the track again at a lower level.", in.clipped.count), in.clipped.list...)
	add(*q.Overs > 0 && l.TruePeak != nil && *l.TruePeak > overLevel, "overs", fmt.Sprintf(
		"Between its samples the sound rises up to %.1f dB over full scale, which some players distort. A limiter set to -1 dBTP avoids that.", value(l.TruePeak)), in.over.list...)
	add(*q.SilenceHead >= longHead, "silence-head", fmt.Sprintf(
		"The track begins with %.1f seconds of silence. Listeners may take it for broken.", *q.SilenceHead), melodyud.Range{End: *q.SilenceHead})
	add(*q.SilenceTail >= longTail, "silence-tail", fmt.Sprintf(
		"The track ends with %.1f seconds of silence.", *q.SilenceTail), melodyud.Range{Start: length - *q.SilenceTail, End: length})
	add(math.Abs(*q.DCOffset) >= offCentre, "dc-offset", fmt.Sprintf(
		"The sound is off centre by %.1f %% of full scale (DC offset), which costs level and clicks at cuts. A high-pass filter at 10 Hz removes it.", 100**q.DCOffset))
	add(truth(q.PhaseInverted), "phase-inverted",
		"One channel is the other upside down (inverted polarity): on a mono speaker the track nearly vanishes. Invert one channel and export again.")
	add(truth(q.MonoAsStereo), "mono-as-stereo", "Both channels are the same: the file is mono, stored twice. That does no harm.")
	add(in.format.Channels == 2 && in.oneSided(), "one-sided", "One channel is silent. Was a cable or a track missing?")
	in.remarkSource(q, add)
	add(l.Integrated != nil && *l.Integrated < lowLevel, "quiet", fmt.Sprintf(
		"The track is very quiet (%.1f LUFS). Listeners' players raise it as far as its peaks allow; a master around -14 LUFS needs no help.", value(l.Integrated)))
}

// remarkSource says where the file promises more than it holds.
func (in *Inspector) remarkSource(q *melodyud.Quality, add func(bool, string, string, ...melodyud.Range)) {
	add(truth(q.FakeLossless), "fake-lossless",
		"This lossless file shows the traces of a lossy one (MP3, AAC or the like) that it was made from. If you have the original master, upload that.")
	upsampled := in.source.Lossless && in.format.Rate > highRate && q.Bandwidth != nil && *q.Bandwidth < plainSound
	add(upsampled, "upsampled", fmt.Sprintf(
		"The file has %.1f kHz, but no sound above %.1f kHz: it seems to have been converted from a lower rate. The lower rate sounds the same.",
		float64(in.format.Rate)/1000, value(q.Bandwidth)/1000))
	padded := q.EffectiveBits != nil && *q.EffectiveBits < in.source.BitDepth
	add(padded, "padded-bits", fmt.Sprintf(
		"The file has %d bits a sample, of which only %d are ever used. That does no harm.", in.source.BitDepth, number(q.EffectiveBits)))
}

func (in *Inspector) oneSided() bool {
	low, high := min(in.stereo.xx, in.stereo.yy), max(in.stereo.xx, in.stereo.yy)
	return low < high*1e-8
}

func truth(b *bool) bool { return b != nil && *b }

func value(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}

func number(v *int) int {
	if v == nil {
		return 0
	}
	return *v
}
