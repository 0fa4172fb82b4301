package spectrum

import "math"

// STFT cuts a stream of samples into overlapping frames and gives their power
// spectra. Frame i is centred on sample i*hop; before the first sample and after
// the last there are zeros. n samples have ceil(n/hop) frames. The window is
// Hann's, scaled so that a sine of amplitude 1 on a bin has the power 1 there.
//
// An STFT holds a few frames, allocates nothing per frame, and is for one stream
// and one goroutine.
type STFT struct {
	size, hop int
	fft       *FFT
	window    []float32
	held      []float32 // samples from the next frame's first on
	at        int       // where in held the next frame begins
	samples   int       // taken
	frames    int       // given
	cut       []float32 // one frame, windowed
	power     []float32
}

// heldFrames is how many frames' samples are held before they are moved down.
const heldFrames = 4

// NewSTFT returns an STFT of frames of size samples (a power of two, 8 or more)
// which begin hop samples apart (1..size).
func NewSTFT(size, hop int) *STFT {
	s := &STFT{
		size: size, hop: hop,
		fft:    NewFFT(size),
		window: hann(size),
		held:   make([]float32, size/2, heldFrames*size),
		cut:    make([]float32, size),
		power:  make([]float32, size/2+1),
	}
	return s
}

// hann is one period of Hann's window; its sum is 2.
func hann(size int) []float32 {
	w := make([]float32, size)
	for i := range w {
		w[i] = float32((1 - math.Cos(2*math.Pi*float64(i)/float64(size))) * 2 / float64(size))
	}
	return w
}

// Write takes the next samples and calls frame for each frame they complete.
// power has size/2+1 bins and is valid only during the call.
func (s *STFT) Write(x []float32, frame func(power []float32)) {
	s.samples += len(x)
	for len(x) > 0 {
		n := min(len(x), cap(s.held)-len(s.held))
		s.held = append(s.held, x[:n]...)
		x = x[n:]
		s.emit(frame)
		s.held = s.held[:copy(s.held, s.held[s.at:])]
		s.at = 0
	}
}

// Close gives the last frames. Nothing may follow.
func (s *STFT) Close(frame func(power []float32)) {
	total := (s.samples + s.hop - 1) / s.hop
	for s.frames < total {
		n := min(s.size, cap(s.held)-len(s.held))
		s.held = s.held[:len(s.held)+n]
		clear(s.held[len(s.held)-n:])
		s.emitUpTo(total, frame)
		s.held = s.held[:copy(s.held, s.held[s.at:])]
		s.at = 0
	}
}

func (s *STFT) emit(frame func(power []float32)) { s.emitUpTo(math.MaxInt, frame) }

func (s *STFT) emitUpTo(total int, frame func(power []float32)) {
	for ; s.frames < total && len(s.held)-s.at >= s.size; s.frames++ {
		x, cut := s.held[s.at:][:s.size], s.cut[:s.size]
		for i, w := range s.window[:s.size] {
			cut[i] = x[i] * w
		}
		s.fft.Power(s.power, cut)
		s.at += s.hop
		frame(s.power)
	}
}
