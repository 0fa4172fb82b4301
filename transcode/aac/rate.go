package aac

import "math"

// rateControl turns a bit rate into lambda, what a bit is worth in noise to mask,
// frame by frame. Lambda moves slowly, so that quality is even; a reservoir holds
// the rate: bits saved in easy passages may be spent later, and a little may be
// spent ahead.
type rateControl struct {
	mean   float64 // bits of a frame at the rate
	most   float64 // bits of a frame that a decoder's buffer takes
	saved  float64 // bits in the reservoir; below 0 they were spent ahead
	fill   float64 // most bits that may be saved
	ahead  float64 // most bits that may be spent ahead
	base   float64 // log2 of lambda when nothing is saved
	least  float64 // log2 of the least lambda
	plan   float64 // log2 of lambda for a frame's first pass
	now    float64 // log2 of lambda
	lambda float32
	tries  int
	frames int // that base has followed
}

// Saving 0.4 s and spending 0.15 s ahead keeps any 4 s within 14 % of the rate,
// and a track of 10 s or more within 2 %.
const (
	saveSeconds  = 0.4
	aheadSeconds = 0.15
	channelMost  = 6144 // bits of one channel in a frame (ISO/IEC 14496-3 §4.5.3.1)

	pull      = 4    // log2 of lambda over the whole reservoir
	drift     = 0.2  // log2 of lambda by which base follows a frame of twice the bits
	settle    = 0.03 // log2 of lambda by which base follows a reservoir that stays full
	hurry     = 0.3  // the same in the first frames, and while bits are being lost
	hurried   = 64   // frames
	generous  = 8    // log2 of lambda that sound easier than music may gain
	triesMost = 24
	trivial   = 200 // bits of a frame that holds next to nothing
)

func newRateControl(cfg Config, bitrate int) rateControl {
	mean := float64(bitrate) * FrameSize / float64(cfg.SampleRate)
	usual := -2 - 3.4*mean/float64(cfg.Channels*FrameSize) // of music, by experiment
	return rateControl{
		mean: mean, most: float64(channelMost * cfg.Channels),
		fill: saveSeconds * float64(bitrate), ahead: aheadSeconds * float64(bitrate),
		base: usual, least: usual - generous,
	}
}

// start prepares for the passes over a frame.
func (r *rateControl) start() {
	r.tries = 0
	r.plan = r.base - float64(pull*r.saved/(r.fill+r.ahead))
	r.set(r.plan)
}

func (r *rateControl) set(now float64) {
	r.now = max(now, r.least)
	r.lambda = float32(math.Exp2(r.now))
}

// done judges a pass that took n bits and reports whether it stands. If they are
// more than may be spent, or the first sound takes few, lambda is set for another.
func (r *rateControl) done(n int) bool {
	bits := float64(n)
	switch r.tries++; {
	case r.tries == triesMost:
	case bits > min(r.most, r.mean+r.ahead+r.saved):
		r.set(r.now + 0.5 + float64(r.tries)/4)
		return false
	case r.frames == 0 && bits > trivial && bits < r.mean*2/3 && r.now > r.least:
		// Sound easier than usual, from the first frame on.
		r.base, r.plan = r.base-1, r.plan-1
		r.set(r.plan)
		return false
	}
	r.follow(bits)
	return true
}

// follow moves base by a frame of bits. What silence takes says nothing about what
// sound will need.
func (r *rateControl) follow(bits float64) {
	r.saved = min(r.saved+r.mean-bits, r.fill)
	if bits < trivial || r.saved == r.fill && bits < r.mean/4 {
		return
	}
	speed := float64(settle)
	if r.frames++; r.frames < hurried || r.saved == r.fill {
		speed = hurry
	}
	r.base += float64(drift*min(bits/r.mean-1, 1)) - float64(speed*r.saved/(r.fill+r.ahead))
	if r.tries > 1 {
		r.base += (r.now - r.plan) / 2
	}
	r.base = max(r.base, r.least)
}
