package aac

import "math"

// mdct is the modified discrete cosine transform of 2·size windowed samples to
// size lines, scaled as ISO/IEC 14496-3 §4.6.11 wants it of an encoder:
//
//	X[k] = 2 Σ x[n] cos(π/size (n + ½ + size/2)(k + ½))
type mdct struct {
	size   int
	fold   []float64
	rotate []complex128
	points []complex128
	fft    *fft
}

func newMDCT(size int) *mdct {
	m := &mdct{size: size, fold: make([]float64, size), points: make([]complex128, size/2), fft: newFFT(size / 2)}
	for n := range size / 2 {
		sin, cos := math.Sincos(-math.Pi * (float64(n) + 0.125) / float64(size))
		m.rotate = append(m.rotate, complex(exact(cos), exact(sin)))
	}
	return m
}

// forward writes the lines of the 2·size samples x to lines.
func (m *mdct) forward(lines, x []float64) {
	m.foldIn(x)
	m.dct4(lines, m.fold)
}

// foldIn folds x = (a, b, c, d) to (-c_r-d, a-b_r), of which the MDCT is a DCT-IV.
func (m *mdct) foldIn(x []float64) {
	n, h := m.size, m.size/2
	for i := range h {
		m.fold[i] = -x[n+h-1-i] - x[n+h+i]
		m.fold[h+i] = x[i] - x[n-1-i]
	}
}

// dct4 writes the DCT-IV of u, doubled, to lines. lines may be u.
func (m *mdct) dct4(lines, u []float64) {
	n := m.size
	for i, w := range m.rotate {
		m.points[i] = times(w, complex(u[2*i], u[n-1-2*i]))
	}
	m.fft.transform(m.points)
	for i, w := range m.rotate {
		y := times(w, m.points[i])
		lines[2*i], lines[n-1-2*i] = 2*real(y), -2*imag(y)
	}
}

// sineWindow returns the rising half of the sine window over size samples.
func sineWindow(size int) []float64 {
	w := make([]float64, size)
	for i := range w {
		w[i] = exact(math.Sin(math.Pi * (float64(i) + 0.5) / float64(2*size)))
	}
	return w
}

// kbdWindow returns the rising half of the Kaiser-Bessel-derived window over size
// samples (ISO/IEC 14496-3 §4.6.11.3.2: alpha 4 for long windows, 6 for short).
func kbdWindow(size int, alpha float64) []float64 {
	w := make([]float64, size)
	sum, total := 0.0, 0.0
	kaiser := func(i int) float64 {
		x := 2*float64(i)/float64(size) - 1
		return bessel0(math.Pi * alpha * math.Sqrt(max(0, 1-x*x)))
	}
	for i := range size + 1 {
		total += kaiser(i)
	}
	for i := range w {
		sum += kaiser(i)
		w[i] = exact(math.Sqrt(sum / total))
	}
	return w
}

// bessel0 is the modified Bessel function of the first kind, order 0.
func bessel0(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-18; k++ {
		term *= (x / 2 / k) * (x / 2 / k)
		sum += term
	}
	return sum
}
