package model_test

import (
	"math"
	"math/cmplx"
)

// tensor is what the naive computation works on, in float64.
type tensor struct {
	rows, columns, channels int
	v                       []float64
}

func newTensor(rows, columns, channels int) tensor {
	return tensor{rows, columns, channels, make([]float64, rows*columns*channels)}
}

func (t tensor) at(r, c, k int) float64 {
	if r < 0 || c < 0 || r >= t.rows || c >= t.columns {
		return 0
	}
	return t.v[(r*t.columns+c)*t.channels+k]
}

// naive computes the net of small() layer by layer.
func naive(x []float32, w []float32) []float64 {
	take := func(n int) []float32 { head := w[:n]; w = w[n:]; return head }
	norm, a, aBias := take(4), take(60), take(5)
	aNorm, b, bBias := take(20), take(25), take(5)
	d, dBias := take(105), take(7)
	o, oBias := take(42), take(6)
	sum := make([]float64, 6)
	for _, patch := range chosen(patches(x)) {
		in := batchnorm(tensor{20, 12, 1, patch}, norm, 1e-3)
		at := convolve(in, a, aBias, 3, 4, 1, 1, 0, 20, 11)
		for i := range at.v {
			at.v[i] = max(0, at.v[i])
		}
		at = maxima(batchnorm(at, aNorm, 1e-5))
		bt := convolve(in, b, bBias, 1, 5, 2, 0, 0, 20, 4)
		var aMean, bMax [5]float64
		for k := range 5 {
			bMax[k] = math.Inf(-1)
			for r := range 20 {
				for c := range at.columns {
					aMean[k] += at.at(r, c, k) / float64(20*at.columns)
				}
				bMax[k] = max(bMax[k], (bt.at(r, 0, k)+bt.at(r, 1, k)+bt.at(r, 2, k)+bt.at(r, 3, k))/4)
			}
		}
		var both []float64
		for k := range 5 {
			both = append(both, aMean[k]+bMax[k])
		}
		both = append(append(both, aMean[:]...), bMax[:]...)
		for i := range both {
			both[i] = max(0, both[i])
		}
		for i, v := range sigmoids(dense(sigmoids(dense(both, d, dBias)), o, oBias)) {
			sum[i] += v
		}
	}
	unit(sum)
	return sum
}

func unit(x []float64) {
	power := 0.0
	for _, v := range x {
		power += v * v
	}
	for i := range x {
		x[i] /= math.Sqrt(power)
	}
}

func batchnorm(t tensor, w []float32, epsilon float64) tensor {
	out := newTensor(t.rows, t.columns, t.channels)
	n := t.channels
	for i, v := range t.v {
		k := i % n
		gamma, beta, mean, variance := float64(w[k]), float64(w[n+k]), float64(w[2*n+k]), float64(w[3*n+k])
		out.v[i] = gamma*(v-mean)/math.Sqrt(variance+epsilon) + beta
	}
	return out
}

// convolve has a kernel of h rows and l columns, steps of step columns, and top
// and left zeros before the tensor.
func convolve(t tensor, w, bias []float32, h, l, step, top, left, rows, columns int) tensor {
	out := newTensor(rows, columns, len(bias))
	for r := range rows {
		for c := range columns {
			for f := range bias {
				sum := float64(bias[f])
				for i := range h {
					for j := range l {
						for k := range t.channels {
							sum += t.at(r+i-top, c*step+j-left, k) * float64(w[((i*l+j)*t.channels+k)*len(bias)+f])
						}
					}
				}
				out.v[(r*columns+c)*len(bias)+f] = sum
			}
		}
	}
	return out
}

// maxima are over three columns, two apart.
func maxima(t tensor) tensor {
	out := newTensor(t.rows, (t.columns-3)/2+1, t.channels)
	for r := range out.rows {
		for c := range out.columns {
			for k := range t.channels {
				out.v[(r*out.columns+c)*t.channels+k] = max(t.at(r, 2*c, k), t.at(r, 2*c+1, k), t.at(r, 2*c+2, k))
			}
		}
	}
	return out
}

func dense(x []float64, w, bias []float32) []float64 {
	y := make([]float64, len(bias))
	for u := range y {
		y[u] = float64(bias[u])
		for i, v := range x {
			y[u] += v * float64(w[i*len(bias)+u])
		}
	}
	return y
}

func sigmoids(x []float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = 1 / (1 + math.Exp(-v))
	}
	return y
}

// patches are the whole patches of small()'s input: 20 frames of 12 Slaney bands
// below 4 kHz, as librosa computes them, log10(1 + 10000 x).
func patches(x []float32) (all [][]float64) {
	corner := func(i int) float64 {
		const knee = 1000 / (200.0 / 3)
		mel := (knee + math.Log(4)/(math.Log(6.4)/27)) * float64(i) / 13
		if mel < knee {
			return mel * 200 / 3
		}
		return 1000 * math.Exp((mel-knee)*math.Log(6.4)/27)
	}
	var patch []float64
	var roots [256]complex128
	for i := range roots {
		roots[i] = cmplx.Rect(1, -2*math.Pi*float64(i)/256)
	}
	for at := 0; at < len(x); at += 128 {
		var windowed [256]float64
		for i := range windowed {
			if j := at - 128 + i; j >= 0 && j < len(x) {
				windowed[i] = float64(x[j]) * (0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/256))
			}
		}
		var power [129]float64
		for k := range power {
			var v complex128
			for i, s := range windowed {
				v += complex(s, 0) * roots[i*k%256]
			}
			power[k] = real(v)*real(v) + imag(v)*imag(v)
		}
		for b := range 12 {
			left, middle, right := corner(b), corner(b+1), corner(b+2)
			sum := 0.0
			for k, p := range power {
				hz := float64(k) * 8000 / 256
				sum += p * max(0, min((hz-left)/(middle-left), (right-hz)/(right-middle))) * 2 / (right - left)
			}
			patch = append(patch, math.Log10(1+10000*sum))
		}
		if len(patch) == 240 {
			all, patch = append(all, patch), nil
		}
	}
	return all
}

// chosen are three of the patches at most, spread over the track: of those that
// are kept, six at most, which is every one, every second, every fourth...
func chosen(all [][]float64) [][]float64 {
	step := 1
	for (len(all)+step-1)/step > 6 {
		step *= 2
	}
	var kept, some [][]float64
	for i := 0; i < len(all); i += step {
		kept = append(kept, all[i])
	}
	n := min(3, len(kept))
	for i := range n {
		some = append(some, kept[(2*i+1)*len(kept)/(2*n)])
	}
	return some
}
