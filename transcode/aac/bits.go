package aac

// bitWriter packs bits, first bit highest.
type bitWriter struct {
	out  []byte
	hold uint64
	held uint
	sum  int
}

func (w *bitWriter) put(v uint32, n uint) {
	w.sum += int(n)
	w.hold = w.hold<<n | uint64(v)
	w.held += n
	for w.held >= 8 {
		w.held -= 8
		w.out = append(w.out, byte(w.hold>>w.held))
	}
}

func (w *bitWriter) flag(v bool) {
	if v {
		w.put(1, 1)
		return
	}
	w.put(0, 1)
}

// align fills the last byte with zeros.
func (w *bitWriter) align() {
	if w.held > 0 {
		w.put(0, 8-w.held)
	}
}
