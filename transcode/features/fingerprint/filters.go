package fingerprint

// filter compares parts of a window of the picture: how (its shape), from which
// pitch class on, so many classes high and so many frames wide.
type filter struct {
	shape, y, height, width int
	thresholds              [3]float64
}

// The shapes.
const (
	whole   = iota
	upper   // the upper half against the lower
	later   // the later half against the earlier
	checker // two quarters against the other two
	middle  // the middle third of classes against the others
	centre  // the middle third of frames against the others
)

// filters are those of Chromaprint's algorithm 2; the first gives the top bits.
var filters = [16]filter{
	{whole, 4, 3, 15, [3]float64{1.98215, 2.35817, 2.63523}},
	{middle, 4, 6, 15, [3]float64{-1.03809, -0.651211, -0.282167}},
	{upper, 0, 4, 16, [3]float64{-0.298702, 0.119262, 0.558497}},
	{checker, 8, 2, 12, [3]float64{-0.105439, 0.0153946, 0.135898}},
	{checker, 4, 4, 8, [3]float64{-0.142891, 0.0258736, 0.200632}},
	{middle, 0, 3, 5, [3]float64{-0.826319, -0.590612, -0.368214}},
	{upper, 2, 2, 9, [3]float64{-0.557409, -0.233035, 0.0534525}},
	{later, 7, 3, 4, [3]float64{-0.0646826, 0.00620476, 0.0784847}},
	{later, 6, 2, 16, [3]float64{-0.192387, -0.029699, 0.215855}},
	{later, 1, 3, 2, [3]float64{-0.0397818, -0.00568076, 0.0292026}},
	{centre, 10, 1, 15, [3]float64{-0.53823, -0.369934, -0.190235}},
	{checker, 6, 2, 10, [3]float64{-0.124877, 0.0296483, 0.139239}},
	{later, 1, 1, 14, [3]float64{-0.101475, 0.0225617, 0.231971}},
	{checker, 5, 6, 4, [3]float64{-0.0799915, -0.00729616, 0.063262}},
	{upper, 9, 2, 12, [3]float64{-0.272556, 0.019424, 0.302559}},
	{checker, 4, 2, 14, [3]float64{-0.164292, -0.0321188, 0.0846339}},
}

// apply returns the two sums that f compares.
func (p *picture) apply(f *filter) (a, b float64) {
	y, h, w := f.y, f.height, f.width
	switch f.shape {
	case upper:
		return p.area(0, y+h/2, w, y+h), p.area(0, y, w, y+h/2)
	case later:
		return p.area(w/2, y, w, y+h), p.area(0, y, w/2, y+h)
	case checker:
		return p.area(0, y+h/2, w/2, y+h) + p.area(w/2, y, w, y+h/2),
			p.area(0, y, w/2, y+h/2) + p.area(w/2, y+h/2, w, y+h)
	case middle:
		return p.area(0, y+h/3, w, y+2*h/3), p.area(0, y, w, y+h/3) + p.area(0, y+2*h/3, w, y+h)
	case centre:
		return p.area(w/3, y, 2*w/3, y+h), p.area(0, y, w/3, y+h) + p.area(2*w/3, y, w, y+h)
	}
	return p.area(0, y, w, y+h), 0
}
