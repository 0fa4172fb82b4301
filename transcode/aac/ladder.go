package aac

// Ladder encodes one sound at several bit rates in one goroutine.
type Ladder struct {
	analyzer *Analyzer
	coders   []*Coder
	frame    Frame
	unit     []byte
}

// NewLadder returns a Ladder with a rendition for each bit rate (bits per second).
func NewLadder(cfg Config, bitrates ...int) (*Ladder, error) {
	a, err := NewAnalyzer(cfg)
	if err != nil {
		return nil, err
	}
	l := &Ladder{analyzer: a}
	for _, b := range bitrates {
		c, err := NewCoder(cfg, b)
		if err != nil {
			return nil, err
		}
		l.coders = append(l.coders, c)
	}
	return l, nil
}

// Encode takes the next samples, a slice a channel, as Analyzer.Write does, and
// calls write with every access unit that is complete and the place of its bit
// rate. The unit is valid during the call. An error of write ends the work and is
// returned.
func (l *Ladder) Encode(samples [][]float32, write func(rendition int, unit []byte) error) error {
	l.analyzer.Write(samples)
	return l.drain(write)
}

// Close gives the remaining access units: together they hold Priming samples and
// all that were encoded.
func (l *Ladder) Close(write func(rendition int, unit []byte) error) error {
	l.analyzer.Close()
	return l.drain(write)
}

func (l *Ladder) drain(write func(rendition int, unit []byte) error) error {
	for l.analyzer.Next(&l.frame) {
		for i, c := range l.coders {
			l.unit = c.Code(l.unit[:0], &l.frame)
			if err := write(i, l.unit); err != nil {
				return err
			}
		}
	}
	return nil
}
