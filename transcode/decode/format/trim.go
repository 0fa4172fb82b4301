package format

import (
	"fmt"
	"io"
	"strings"

	"github.com/melodyud/melodyud/transcode/pcm"
)

// trimmed drops what an encoder had to put in front of the music and behind it
// (MP3-1, GAP-2). It reads on to the end, so that damage there is still found.
type trimmed struct {
	from Sound
	skip int64 // samples still to drop
	keep int64 // samples still to give; negative: all
	out  [][]float32
}

func (t *trimmed) Read() (pcm.Block, error) {
	for {
		b, err := t.from.Read()
		if err != nil {
			return pcm.Block{}, err
		}
		n := int64(b.Len())
		lo := min(t.skip, n)
		t.skip -= lo
		hi := n
		if t.keep >= 0 {
			hi = min(n, lo+t.keep)
			t.keep -= hi - lo
		}
		if hi > lo {
			return t.cut(b, lo, hi), nil
		}
	}
}

func (t *trimmed) cut(b pcm.Block, lo, hi int64) pcm.Block {
	t.out = t.out[:0]
	for _, plane := range b.Samples {
		t.out = append(t.out, plane[lo:hi])
	}
	return pcm.Block{Samples: t.out}
}

func (t *trimmed) Warnings() []string {
	if w, ok := t.from.(Warner); ok {
		return w.Warnings()
	}
	return nil
}

// smpb reads an iTunSMPB comment: samples of priming, of padding, and between
// (MP3-3).
func smpb(s string) (priming, length int64, ok bool) {
	var zero, padding int64
	n, err := fmt.Fscanf(strings.NewReader(strings.TrimSpace(s)), "%x %x %x %x", &zero, &priming, &padding, &length)
	if err != nil && err != io.EOF || n < 4 {
		return 0, 0, false
	}
	return priming, length, priming >= 0 && priming < 1<<16 && padding >= 0 && padding < 1<<16 && length > 0 && length < 1<<40
}
