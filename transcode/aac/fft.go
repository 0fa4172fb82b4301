package aac

import "math"

// exact rounds a computed table entry to 2^-36, so that the last bits of a
// platform's mathematics do not reach the coded bytes.
func exact(x float64) float64 { return math.Round(x*(1<<36)) / (1 << 36) }

// fft is a forward complex Fourier transform of a fixed size, a power of two from
// 4 on: Stockham's autosort form, radix 4 with one radix-2 stage where needed.
// Products are rounded before they are added (the conversions forbid fusing), so
// every machine gets the same bits.
type fft struct {
	stages [][]complex128 // three twiddles a butterfly
	work   []complex128
	size   int
}

func newFFT(size int) *fft {
	f := &fft{work: make([]complex128, size), size: size}
	for n := size; n > 2; n /= 4 {
		w := make([]complex128, 0, 3*n/4)
		for p := range n / 4 {
			for k := 1; k <= 3; k++ {
				sin, cos := math.Sincos(-2 * math.Pi * float64(k*p) / float64(n))
				w = append(w, complex(exact(cos), exact(sin)))
			}
		}
		f.stages = append(f.stages, w)
	}
	return f
}

// transform replaces x by its transform.
func (f *fft) transform(x []complex128) {
	src, dst := x[:f.size], f.work
	stride, n := 1, f.size
	for _, w := range f.stages {
		radix4(dst, src, w, stride)
		src, dst = dst, src
		stride, n = stride*4, n/4
	}
	if n == 2 {
		radix2(dst, src)
		src = dst
	}
	if &src[0] != &x[0] {
		copy(x, src)
	}
}

func radix4(dst, src, w []complex128, stride int) {
	quarter := len(src) / 4
	for p, base := 0, 0; base < quarter; p, base = p+1, base+stride {
		w1, w2, w3 := w[3*p], w[3*p+1], w[3*p+2]
		a := src[base : base+stride]
		b := src[base+quarter:][:len(a)]
		c := src[base+2*quarter:][:len(a)]
		d := src[base+3*quarter:][:len(a)]
		out := dst[4*base:]
		y0, y1, y2, y3 := out[:len(a)], out[stride:][:len(a)], out[2*stride:][:len(a)], out[3*stride:][:len(a)]
		for q := range a {
			ac, amc := a[q]+c[q], a[q]-c[q]
			bd, bmd := b[q]+d[q], b[q]-d[q]
			y0[q] = ac + bd
			y1[q] = times(w1, complex(real(amc)+imag(bmd), imag(amc)-real(bmd)))
			y2[q] = times(w2, ac-bd)
			y3[q] = times(w3, complex(real(amc)-imag(bmd), imag(amc)+real(bmd)))
		}
	}
}

func radix2(dst, src []complex128) {
	half := len(src) / 2
	for q, a := range src[:half] {
		b := src[half+q]
		dst[q], dst[half+q] = a+b, a-b
	}
}

func times(w, x complex128) complex128 {
	re := float64(real(w)*real(x)) - float64(imag(w)*imag(x))
	im := float64(real(w)*imag(x)) + float64(imag(w)*real(x))
	return complex(re, im)
}
