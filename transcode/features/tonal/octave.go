package tonal

import "math"

// fine is how many bins an octave has before the tuning is known: 20 cents each.
const fine = 60

// octave is one octave from C, cyclic: bin i stands for i*20 cents.
type octave [fine]float32

// add adds weight at a pitch (semitones, 0..12), shared by the two nearest bins.
func (o *octave) add(pitch, weight float32) {
	at := float32(pitch * (fine / 12))
	i := int(at)
	upper := float32(weight * (at - float32(i)))
	o[i%fine] += weight - upper
	o[(i+1)%fine] += upper
}

// normalise makes the largest bin 1.
func (o *octave) normalise() {
	var most float32
	for _, v := range o {
		most = max(most, v)
	}
	if most == 0 {
		return
	}
	for i := range o {
		o[i] /= most
	}
}

// weights is how much each bin counts for the pitch class i*5 bins above the
// tuning, at the distances -reach..reach from it: a squared cosine one semitone
// wide to each side.
type weights struct {
	first int // bin, of C's lowest
	by    [2 * fine / 12]float32
}

// tuned returns the weights for a tuning in cents, -50..50.
func tuned(cents float64) weights {
	const width = 1200 / fine // cents
	w := weights{first: int(math.Floor(cents/width)) - fine/12 + 1}
	for i := range w.by {
		off := float64((w.first+i)*width) - cents
		c := math.Cos(math.Pi / 200 * off)
		w.by[i] = float32(c * c)
	}
	return w
}

// classes folds o into 12 pitch classes.
func (w *weights) classes(o *octave) (c [12]float32) {
	for k := range c {
		start := w.first + k*(fine/12) + fine
		for i, by := range w.by {
			c[k] += float32(o[(start+i)%fine] * by)
		}
	}
	return c
}

// tuning returns the peak of a histogram of cents, smoothed, and how much of the
// histogram lies around one point: 0 (evenly spread) to 1.
func tuning(cents *[100]float32) (at, focus float64) {
	var smooth [100]float64
	for i := range smooth {
		for d := -smear; d <= smear; d++ {
			smooth[i] += float64(bell(d) * float64(cents[(i+d+100)%100]))
		}
	}
	best := 0
	for i, v := range smooth {
		if v > smooth[best] {
			best = i
		}
	}
	a, b, c := smooth[(best+99)%100], smooth[best], smooth[(best+1)%100]
	at = float64(best) - 49.5
	if bend := a - 2*b + c; bend < 0 {
		at += 0.5 * (a - c) / bend
	}
	return math.Remainder(at, 100), concentration(cents)
}

// smear is as far as one cent of the histogram is spread when it is smoothed.
const smear = 15

// bell is a Gaussian of 6 cents' deviation, by steps that are the same on every
// machine.
func bell(d int) float64 {
	x := 1 - float64(d*d)/float64((smear+1)*(smear+1))
	x *= x
	return x * x * x // (1 - d^2/256)^6, close to it
}

// concentration is the length of the mean of unit vectors at the angles that the
// cents stand for.
func concentration(cents *[100]float32) float64 {
	var re, im, sum float64
	for i, v := range cents {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / 100)
		re += float64(cos * float64(v))
		im += float64(sin * float64(v))
		sum += float64(v)
	}
	if sum == 0 {
		return 0
	}
	return math.Sqrt(float64(re*re)+float64(im*im)) / sum
}
