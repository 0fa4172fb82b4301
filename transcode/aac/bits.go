package aac

import "encoding/binary"

// bitWriter packs bits, first bit highest.
type bitWriter struct {
	out  []byte
	hold uint64
	held uint
}

func (w *bitWriter) put(v uint32, n uint) {
	w.hold = w.hold<<n | uint64(v)
	if w.held += n; w.held >= 32 {
		w.held -= 32
		w.out = binary.BigEndian.AppendUint32(w.out, uint32(w.hold>>w.held))
	}
}

func (w *bitWriter) flag(v bool) {
	if v {
		w.put(1, 1)
		return
	}
	w.put(0, 1)
}

// align fills the last byte with zeros and writes what is held.
func (w *bitWriter) align() {
	if rest := w.held % 8; rest > 0 {
		w.put(0, 8-rest)
	}
	for w.held > 0 {
		w.held -= 8
		w.out = append(w.out, byte(w.hold>>w.held))
	}
}
