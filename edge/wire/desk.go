package wire

import (
	"math/rand/v2"
	"time"
)

const (
	deskBytes  = 4 << 10   // of a request's head and what comes with it, at first
	firstBytes = 2 << 10   // of an answer's head, at first
	peekBytes  = deskBytes // that are kept of what comes early
	maxHead    = 1 << 24   // more than any head
)

// desk is what a connection needs while there is something to do.
type desk struct {
	in     []byte // read and not yet given to net/http: a head, or part of a body
	head   head
	began  time.Time // answering
	answer Answer
	first  []byte // of the answer: its head, whole
	out    vector
	start  [deskBytes]byte  // where in begins, until that is too small
	room   [firstBytes]byte // of first, until that is too small
}

func newDesk() *desk {
	d := &desk{}
	d.clear()
	return d
}

// clear forgets what one connection had on the desk, and lets go of a buffer that
// had to grow.
func (d *desk) clear() {
	d.in, d.first = d.start[:0], d.room[:0]
	d.head = head{}
	d.answer.reset()
	d.out.reset()
}

// widen makes room to read on: at least one byte, and as many as a head may have in
// the end.
func (d *desk) widen(most int) {
	if len(d.in) < cap(d.in) {
		return
	}
	room := d.start[:0]
	if len(d.in) > len(d.start)/2 {
		room = make([]byte, 0, len(d.in)+most)
	}
	d.in = append(room, d.in...)
}

func (a *Answer) reset() {
	clear(a.Body)
	*a = Answer{Body: a.Body[:0]}
}

// sign puts the head of the answer together with the fields that no two share.
func (d *desk) sign(today string) {
	b := append(d.first[:0], d.answer.Head...)
	b = append(b, "X-Request-Id: "...)
	if id := d.head.request.ID; harmless(id) {
		b = append(b, id...)
	} else {
		b = appendID(b)
	}
	b = append(b, "\r\nDate: "...)
	b = append(b, today...)
	d.first = append(b, "\r\n\r\n"...)
}

// harmless reports whether a caller's id may be taken over: 8 to 64 letters, digits
// and "-_.", as everywhere in the house.
func harmless(id []byte) bool {
	if len(id) < 8 || len(id) > 64 {
		return false
	}
	for _, c := range id {
		if classes[c]&pathChar == 0 || c == '/' {
			return false
		}
	}
	return true
}

// appendID appends 26 letters and digits with 130 random bits. They name a request
// and keep no secret.
func appendID(to []byte) []byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var bits uint64
	for i := range 26 {
		if i%12 == 0 {
			bits = rand.Uint64()
		}
		to = append(to, alphabet[bits&31])
		bits >>= 5
	}
	return to
}
