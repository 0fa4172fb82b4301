package spectrum

import (
	"fmt"
	"math"
	"math/bits"
)

// FFT is a discrete Fourier transform of real samples, planned for one size. It
// is for one goroutine.
//
// The samples go in pairs through a complex transform of half the size:
// Stockham's radix 4, which needs no reordering, with one radix-2 step where the
// size asks for it.
type FFT struct {
	half   int
	stages []stage
	re, im [2][]float32
	wr, wi []float32 // e^(-2 pi i k/size) for the unpacking, k up to size/4
}

// stage is one radix-4 step: m butterflies, each of so many neighbours.
type stage struct {
	m, neighbours int
	w             []twiddle
}

// twiddle holds the first, second and third power of one root of unity.
type twiddle struct{ r1, i1, r2, i2, r3, i3 float32 }

// NewFFT plans a transform of size samples: a power of two, 8 or more. Any other
// size panics.
func NewFFT(size int) *FFT {
	if size < 8 || bits.OnesCount(uint(size)) != 1 {
		panic(fmt.Sprintf("spectrum: FFT of %d samples: must be a power of two from 8", size))
	}
	f := &FFT{half: size / 2}
	for n, s := f.half, 1; n >= 4; n, s = n/4, s*4 {
		f.stages = append(f.stages, newStage(n, s))
	}
	for i := range f.re {
		f.re[i], f.im[i] = make([]float32, f.half), make([]float32, f.half)
	}
	for k := range size/4 + 1 {
		r, i := root(k, size)
		f.wr, f.wi = append(f.wr, r), append(f.wi, i)
	}
	return f
}

func newStage(n, neighbours int) stage {
	s := stage{m: n / 4, neighbours: neighbours, w: make([]twiddle, n/4)}
	for p := range s.w {
		w := &s.w[p]
		w.r1, w.i1 = root(p, n)
		w.r2, w.i2 = root(2*p, n)
		w.r3, w.i3 = root(3*p, n)
	}
	return s
}

// root returns e^(-2 pi i k/n).
func root(k, n int) (re, im float32) {
	sin, cos := math.Sincos(-2 * math.Pi * float64(k) / float64(n))
	return float32(cos), float32(sin)
}

// Power sets dst to the squared magnitudes of the spectrum of x: size/2+1 bins
// from 0 Hz to half the rate. x, of size samples, is taken as it is: a window is
// for the caller to apply.
func (f *FFT) Power(dst, x []float32) {
	f.pack(x[:2*f.half])
	re, im := f.transform()
	f.unpack(dst[:f.half+1], re, im)
}

// Autocorrelate sets dst to the sums of x[i]*x[i+lag] for lags 0 to size/2. x has
// size samples and counts as a circle: let its second half be 0 for a plain
// autocorrelation.
func (f *FFT) Autocorrelate(dst, x []float32) {
	f.Power(dst, x)
	h, gain := f.half, 1/float32(2*f.half)
	re, im := f.re[0], f.im[0]
	for i := range h { // the even and odd bins of the whole circle
		re[i], im[i] = dst[min(2*i, 2*h-2*i)], dst[min(2*i+1, 2*h-2*i-1)]
	}
	re, im = f.transform()
	dst[0], dst[h] = (re[0]+im[0])*gain, (re[0]-im[0])*gain
	for k := 1; k <= h/2; k++ {
		e, o := re[k]+re[h-k], im[k]+im[h-k]
		t := float32(o*f.wr[k]) - float32((re[h-k]-re[k])*f.wi[k])
		dst[k], dst[h-k] = (e+t)*(gain/2), (e-t)*(gain/2)
	}
}

// transform does the complex transform of what is packed and returns where it is.
func (f *FFT) transform() (re, im []float32) {
	a := 0
	for i := range f.stages {
		f.stages[i].apply(f.re[a], f.im[a], f.re[1-a], f.im[1-a])
		a = 1 - a
	}
	if bits.TrailingZeros(uint(f.half))%2 == 1 {
		pairs(f.re[a])
		pairs(f.im[a])
	}
	return f.re[a], f.im[a]
}

// pack takes even samples as real parts, odd ones as imaginary parts.
func (f *FFT) pack(x []float32) {
	re, im := f.re[0], f.im[0][:len(f.re[0])]
	for i := range re {
		re[i], im[i] = x[0], x[1]
		x = x[2:]
	}
}

// pairs is the radix-2 step, which comes last and needs no roots.
func pairs(x []float32) {
	n := len(x) / 2
	lo, hi := x[:n], x[n:][:n]
	for i, a := range lo {
		b := hi[i]
		lo[i], hi[i] = a+b, a-b
	}
}

func (s *stage) apply(xr, xi, yr, yi []float32) {
	switch s.neighbours {
	case 1:
		s.first(xr, xi, yr, yi)
		return
	case 4:
		s.second(xr, xi, yr, yi)
		return
	}
	n, step := s.neighbours, s.neighbours*s.m
	for p := range s.w {
		w := &s.w[p]
		in := quad{
			xr[n*p:][:n], xi[n*p:][:n],
			xr[n*p+step:][:n], xi[n*p+step:][:n],
			xr[n*p+2*step:][:n], xi[n*p+2*step:][:n],
			xr[n*p+3*step:][:n], xi[n*p+3*step:][:n],
		}
		out := quad{
			yr[4*n*p:][:n], yi[4*n*p:][:n],
			yr[4*n*p+n:][:n], yi[4*n*p+n:][:n],
			yr[4*n*p+2*n:][:n], yi[4*n*p+2*n:][:n],
			yr[4*n*p+3*n:][:n], yi[4*n*p+3*n:][:n],
		}
		if p == 0 {
			plain(&in, &out)
		} else {
			turned(&in, &out, w)
		}
	}
}

// quad holds the four legs of a row of butterflies.
type quad struct{ ar, ai, br, bi, cr, ci, dr, di []float32 }

// first is the stage whose butterflies have no neighbours.
func (s *stage) first(xr, xi, yr, yi []float32) {
	m := s.m
	ar, br, cr, dr := xr[:m], xr[m:][:m], xr[2*m:][:m], xr[3*m:][:m]
	ai, bi, ci, di := xi[:m], xi[m:][:m], xi[2*m:][:m], xi[3*m:][:m]
	w := s.w[:m]
	for p := range ar {
		sr, si, tr, ti := ar[p]+cr[p], ai[p]+ci[p], ar[p]-cr[p], ai[p]-ci[p]
		ur, ui, vr, vi := br[p]+dr[p], bi[p]+di[p], br[p]-dr[p], bi[p]-di[p]
		w := &w[p]
		or, oi := yr[:4], yi[:4]
		or[0], oi[0] = sr+ur, si+ui
		or[1], oi[1] = times(tr+vi, ti-vr, w.r1, w.i1)
		or[2], oi[2] = times(sr-ur, si-ui, w.r2, w.i2)
		or[3], oi[3] = times(tr-vi, ti+vr, w.r3, w.i3)
		yr, yi = yr[4:], yi[4:]
	}
}

// second is the stage whose butterflies have four neighbours: few enough for arrays.
func (s *stage) second(xr, xi, yr, yi []float32) {
	const n = 4
	step := n * s.m
	for p := range s.w {
		w := &s.w[p]
		ar, br, cr, dr := (*[n]float32)(xr[n*p:]), (*[n]float32)(xr[n*p+step:]), (*[n]float32)(xr[n*p+2*step:]), (*[n]float32)(xr[n*p+3*step:])
		ai, bi, ci, di := (*[n]float32)(xi[n*p:]), (*[n]float32)(xi[n*p+step:]), (*[n]float32)(xi[n*p+2*step:]), (*[n]float32)(xi[n*p+3*step:])
		or, oi := (*[4 * n]float32)(yr[4*n*p:]), (*[4 * n]float32)(yi[4*n*p:])
		for q := range n {
			sr, si, tr, ti := ar[q]+cr[q], ai[q]+ci[q], ar[q]-cr[q], ai[q]-ci[q]
			ur, ui, vr, vi := br[q]+dr[q], bi[q]+di[q], br[q]-dr[q], bi[q]-di[q]
			or[q], oi[q] = sr+ur, si+ui
			or[n+q], oi[n+q] = times(tr+vi, ti-vr, w.r1, w.i1)
			or[2*n+q], oi[2*n+q] = times(sr-ur, si-ui, w.r2, w.i2)
			or[3*n+q], oi[3*n+q] = times(tr-vi, ti+vr, w.r3, w.i3)
		}
	}
}

// times is a complex product. The conversions keep compilers from fusing.
func times(ar, ai, br, bi float32) (re, im float32) {
	return float32(ar*br) - float32(ai*bi), float32(ar*bi) + float32(ai*br)
}

// plain does the butterflies whose roots are all 1.
func plain(x, y *quad) {
	n := len(x.ar)
	xar, xai, xbr, xbi := x.ar, x.ai[:n], x.br[:n], x.bi[:n]
	xcr, xci, xdr, xdi := x.cr[:n], x.ci[:n], x.dr[:n], x.di[:n]
	yar, yai, ybr, ybi := y.ar[:n], y.ai[:n], y.br[:n], y.bi[:n]
	ycr, yci, ydr, ydi := y.cr[:n], y.ci[:n], y.dr[:n], y.di[:n]
	for q := range xar {
		sr, si, tr, ti := xar[q]+xcr[q], xai[q]+xci[q], xar[q]-xcr[q], xai[q]-xci[q]
		ur, ui, vr, vi := xbr[q]+xdr[q], xbi[q]+xdi[q], xbr[q]-xdr[q], xbi[q]-xdi[q]
		yar[q], yai[q] = sr+ur, si+ui
		ybr[q], ybi[q] = tr+vi, ti-vr
		ycr[q], yci[q] = sr-ur, si-ui
		ydr[q], ydi[q] = tr-vi, ti+vr
	}
}

// turned does the butterflies of one row, whose roots are w.
func turned(x, y *quad, w *twiddle) {
	n := len(x.ar)
	xar, xai, xbr, xbi := x.ar, x.ai[:n], x.br[:n], x.bi[:n]
	xcr, xci, xdr, xdi := x.cr[:n], x.ci[:n], x.dr[:n], x.di[:n]
	yar, yai, ybr, ybi := y.ar[:n], y.ai[:n], y.br[:n], y.bi[:n]
	ycr, yci, ydr, ydi := y.cr[:n], y.ci[:n], y.dr[:n], y.di[:n]
	for q := range xar {
		sr, si, tr, ti := xar[q]+xcr[q], xai[q]+xci[q], xar[q]-xcr[q], xai[q]-xci[q]
		ur, ui, vr, vi := xbr[q]+xdr[q], xbi[q]+xdi[q], xbr[q]-xdr[q], xbi[q]-xdi[q]
		yar[q], yai[q] = sr+ur, si+ui
		ybr[q], ybi[q] = times(tr+vi, ti-vr, w.r1, w.i1)
		ycr[q], yci[q] = times(sr-ur, si-ui, w.r2, w.i2)
		ydr[q], ydi[q] = times(tr-vi, ti+vr, w.r3, w.i3)
	}
}

// unpack makes the power spectrum of the real samples out of the spectrum of
// their pairs: bins k and half-k come from the same two values.
func (f *FFT) unpack(dst, re, im []float32) {
	h := f.half
	dst[0], dst[h] = square(re[0]+im[0]), square(re[0]-im[0])
	for k := 1; k <= h/2; k++ {
		ar, ai, br, bi := re[k], im[k], re[h-k], im[h-k]
		er, ei, or, oi := ar+br, ai-bi, ai+bi, br-ar // twice the even and odd samples' spectra
		tr, ti := times(or, oi, f.wr[k], f.wi[k])
		dst[k] = (square(er+tr) + square(ei+ti)) * 0.25
		dst[h-k] = (square(er-tr) + square(ei-ti)) * 0.25
	}
}

func square(x float32) float32 { return float32(x * x) }
