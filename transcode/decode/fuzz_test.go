package decode_test

import (
	"testing"

	"github.com/melodyud/melodyud/transcode/decode"
)

func FuzzProtocol(f *testing.F) {
	f.Add([]byte("B\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), uint8(2))
	f.Add([]byte("F\xff\xff\xff\xff"), uint8(1))
	f.Add([]byte("E\x02\x00\x00\x00{}"), uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, channels uint8) {
		if n, err := decode.Listen(b, int(channels%9)); n > len(b)/5 || err == nil {
			t.Fatalf("%d words out of %d bytes, %v", n, len(b), err)
		}
	})
}
