package ogg_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/melodyud/melodyud/fixtures"
	"github.com/melodyud/melodyud/transcode/decode/ogg"
)

// readAll counts the bytes of all packets.
func readAll(b []byte) (n int, err error) {
	p := &ogg.Pages{R: bufio.NewReader(bytes.NewReader(b))}
	for {
		if err := p.Next(); err != nil {
			return n, err
		}
		packets, err := p.Packets()
		if err != nil {
			return n, err
		}
		for _, packet := range packets {
			n += len(packet)
		}
	}
}

func TestPagesAreCheckedOneByOne(t *testing.T) {
	t.Parallel()
	good := fixtures.Media(fixtures.OggVorbis)
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	for name, tc := range map[string]struct {
		body []byte
		want error
	}{
		"whole": {good, io.EOF}, "cut": {good[:len(good)-1], ogg.ErrTruncated}, "one bit wrong": {flipped, ogg.ErrDamaged},
		"chained": {append(bytes.Clone(good), good...), ogg.ErrSecond}, "tag behind": {append(bytes.Clone(good), "TAG"...), ogg.ErrTruncated},
	} {
		if n, err := readAll(tc.body); !errors.Is(err, tc.want) || n == 0 {
			t.Errorf("%s: %d bytes, %v, want %v", name, n, err, tc.want)
		}
	}
}

func FuzzPacketsAreNoLongerThanTheFile(f *testing.F) {
	good := fixtures.Media(fixtures.OggVorbis)
	f.Add(good[:4096])
	f.Add(good[len(good)-4096:])
	f.Add([]byte("OggS\x00\x02"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := readAll(b); n > len(b) || err == nil {
			t.Fatalf("%d bytes out of %d, %v", n, len(b), err)
		}
	})
}
