package pcm

import "math"

// Level makes sound louder or quieter by a fixed gain and holds its samples under
// LevelCeiling: peaks are turned down from 5 ms before them, and up again over 0.1 s.
// It gives as many samples as it takes, 5 ms later. The same sound gives the same
// samples on every machine.
type Level struct {
	factor  float64
	late    int // samples
	release float64
	waiting [][]float32 // per channel: the last samples, as a ring
	lowest  lowest
	held    float64   // the factor that peaks allow, rising slowly
	recent  []float64 // the last held, as a ring
	sum     float64   // of recent
	heard   int       // samples
	out     [][]float32
}

// LevelCeiling is the largest sample a Level gives: -1.5 dBFS, which keeps the true
// peak of all but odd sound under -1 dBTP.
const LevelCeiling = 0.84139514

// NewLevel returns a Level for a gain in hundredths of a decibel.
func NewLevel(f Format, gain int) *Level {
	late := max(1, f.Rate/200)
	l := &Level{
		// The logarithm's last bits differ between machines.
		factor: math.Round(math.Pow(10, float64(gain)/2000)*(1<<20)) / (1 << 20),
		late:   late, release: 10 / float64(f.Rate), held: 1, sum: float64(late), recent: make([]float64, late),
		lowest: lowest{width: late + 1},
	}
	for i := range l.recent {
		l.recent[i] = 1
	}
	for range f.Channels {
		l.waiting = append(l.waiting, make([]float32, late))
		l.out = append(l.out, nil)
	}
	return l
}

// Process takes b and returns what is ready, valid until the next call: nothing,
// for the first 5 ms.
func (l *Level) Process(b Block) Block {
	for c := range l.out {
		l.out[c] = l.out[c][:0]
	}
	for i := range b.Len() {
		var peak float64
		for _, s := range b.Samples {
			peak = max(peak, math.Abs(float64(s[i]))*l.factor)
		}
		factor := l.next(peak) * l.factor
		at := l.heard % l.late
		for c, s := range b.Samples {
			if l.heard >= l.late {
				l.out[c] = append(l.out[c], float32(float64(l.waiting[c][at])*factor))
			}
			l.waiting[c][at] = s[i]
		}
		l.heard++
	}
	return Block{Samples: l.out}
}

// next takes the peak of a sample and returns the factor of the sample that is
// given now. It is the mean of factors that all allow for that sample.
func (l *Level) next(peak float64) float64 {
	need := 1.0
	if peak > LevelCeiling {
		need = LevelCeiling / peak
	}
	least := l.lowest.add(need)
	if least < l.held {
		l.held = least
	} else {
		l.held += float64((least - l.held) * l.release)
	}
	at := l.heard % l.late
	l.sum += l.held - l.recent[at]
	l.recent[at] = l.held
	return l.sum / float64(l.late)
}

// Flush returns the last samples once all were given to Process.
func (l *Level) Flush() Block {
	missing := min(l.heard, l.late)
	silence := Block{Samples: make([][]float32, len(l.out))}
	for c := range silence.Samples {
		silence.Samples[c] = make([]float32, l.late)
	}
	tail := l.Process(silence)
	for c, s := range tail.Samples {
		tail.Samples[c] = s[len(s)-missing:]
	}
	return tail
}

// lowest is the least of the last width values.
type lowest struct {
	width int
	count int
	items []item // rising values
}

type item struct {
	value float64
	at    int
}

func (l *lowest) add(v float64) float64 {
	for len(l.items) > 0 && l.items[len(l.items)-1].value >= v {
		l.items = l.items[:len(l.items)-1]
	}
	l.items = append(l.items, item{v, l.count})
	l.count++
	if l.items[0].at <= l.count-1-l.width {
		l.items = l.items[1:]
	}
	return l.items[0].value
}
