package aac

// filterbank windows samples and transforms them (ISO/IEC 14496-3 §4.6.11).
type filterbank struct {
	long, short *mdct
	sine, kbd   window
	windowed    [2 * FrameSize]float64
}

// window is the rising halves of one window shape.
type window struct{ long, short []float64 }

func newFilterbank() *filterbank {
	return &filterbank{
		long: newMDCT(FrameSize), short: newMDCT(subBlock),
		sine: window{sineWindow(FrameSize), sineWindow(subBlock)},
		kbd:  window{kbdWindow(FrameSize, 4), kbdWindow(subBlock, 6)},
	}
}

// shape returns the window of a shape.
func (fb *filterbank) shape(kbd bool) window {
	if kbd {
		return fb.kbd
	}
	return fb.sine
}

// shortFrom is where the short slopes of a long block's length begin.
const shortFrom = (FrameSize - subBlock) / 2

// transform writes the lines of x, 2,048 samples of full scale 1: window by window
// in short blocks. before and after are the shapes of the halves.
func (fb *filterbank) transform(lines, x []float64, kind blocks, before, after window) {
	if kind == eightShort {
		for w := range 8 {
			fb.shortWindow(lines[w*subBlock:][:subBlock], x[shortFrom+w*subBlock:], before, after)
			before = after
		}
		return
	}
	rise(fb.windowed[:FrameSize], x, before, kind == longStop)
	fall(fb.windowed[FrameSize:], x[FrameSize:], after, kind == longStart)
	fb.long.forward(lines, fb.windowed[:])
}

func (fb *filterbank) shortWindow(lines, x []float64, before, after window) {
	in := fb.windowed[:2*subBlock]
	for i := range subBlock {
		in[i] = x[i] * before.short[i] * fullScale
		in[subBlock+i] = x[subBlock+i] * after.short[subBlock-1-i] * fullScale
	}
	fb.short.forward(lines, in)
}

// rise applies the left half of a long window: of a stop window if stop.
func rise(dst, x []float64, w window, stop bool) {
	if !stop {
		for i, v := range w.long {
			dst[i] = x[i] * v * fullScale
		}
		return
	}
	clear(dst[:shortFrom])
	for i, v := range w.short {
		dst[shortFrom+i] = x[shortFrom+i] * v * fullScale
	}
	for i := shortFrom + subBlock; i < FrameSize; i++ {
		dst[i] = x[i] * fullScale
	}
}

// fall applies the right half of a long window: of a start window if start.
func fall(dst, x []float64, w window, start bool) {
	if !start {
		for i := range dst {
			dst[i] = x[i] * w.long[FrameSize-1-i] * fullScale
		}
		return
	}
	for i := range shortFrom {
		dst[i] = x[i] * fullScale
	}
	for i := range subBlock {
		dst[shortFrom+i] = x[shortFrom+i] * w.short[subBlock-1-i] * fullScale
	}
	clear(dst[shortFrom+subBlock:])
}
