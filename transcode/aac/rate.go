package aac

import "math"

// rateControl holds the average rate with a bit reservoir: what a frame leaves of
// its share, later ones may use, up to what a decoder's buffer of 6,144 bits a
// channel takes.
type rateControl struct {
	mean   float64 // bits of a frame
	most   int     // bits of a frame
	size   float64 // of the reservoir
	level  float64
	debt   float64
	base   float64 // log2 of lambda at a half-full reservoir
	now    float64
	lambda float32
	low    float64
	high   float64
	tries  int
	begun  bool
}

func newRateControl(cfg Config, bitrate int) rateControl {
	r := rateControl{mean: float64(bitrate) * FrameSize / float64(cfg.SampleRate), most: 6144 * cfg.Channels}
	r.size = float64(bitrate) * tune.v[0]
	r.debt = float64(bitrate) * 0.15
	perLine := r.mean / float64(cfg.Channels) / FrameSize
	r.base = -6*perLine + 2
	return r
}

// start prepares for the passes over f.
func (r *rateControl) start(f *Frame) {
	r.now = r.base - tune.kp*r.level/(r.size+r.debt)*2
	r.low, r.high, r.tries = math.Inf(-1), math.Inf(1), 0
	r.lambda = float32(math.Exp2(r.now))
}

// done judges a pass that took bits, and reports whether it stands. If not, lambda
// is set for another.
func (r *rateControl) done(bits int) bool {
	r.tries++
	b := float64(bits)
	if b > min(float64(r.most), r.mean+r.debt+r.level) && r.tries < 24 {
		r.low = r.now
		r.retry(1)
		return false
	}
	if !r.begun && b > 200 && r.tries < 24 {
		if b > r.mean*1.1 {
			r.low = r.now
			r.retry(1)
			return false
		}
		if b < r.mean*0.9 && r.now > -20 {
			r.high = r.now
			r.retry(-1)
			return false
		}
		r.begun, r.base = true, r.now
	}
	r.level = min(r.level+r.mean-b, r.size)
	r.base += float64(tune.ki * max(-1, min(1, (b-r.mean)/r.mean)))
	r.base = max(-20, min(20, r.base))
	return true
}

func (r *rateControl) retry(by float64) {
	switch {
	case math.IsInf(r.low, -1), math.IsInf(r.high, 1):
		r.now += by * (0.5 + float64(r.tries)/4)
	default:
		r.now = (r.low + r.high) / 2
	}
	r.lambda = float32(math.Exp2(r.now))
}
