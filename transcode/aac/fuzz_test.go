package aac_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"testing"

	aacpcm "github.com/tphakala/go-aac/pcm"

	"github.com/melodyud/melodyud/transcode/aac"
)

// FuzzEncode codes whatever bits are as samples, at any rate. Every stream must read
// by the letter, take no more than the decoder's buffer and decode elsewhere.
func FuzzEncode(f *testing.F) {
	for i, m := range materials {
		cfg := aac.Config{SampleRate: sampleRates[i%len(sampleRates)], Channels: 1 + i%2}
		f.Add(byte(i), byte(cfg.Channels), uint32(24_000*(i+1)), uint16(1000), floats(sound(cfg, 3000, m.at)))
	}
	f.Add(byte(4), byte(2), uint32(0), uint16(1), []byte{})
	f.Add(byte(4), byte(1), uint32(math.MaxUint32), uint16(0), []byte{1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, rate, channels byte, bitrate uint32, piece uint16, bits []byte) {
		cfg := aac.Config{SampleRate: sampleRates[int(rate)%len(sampleRates)], Channels: 1 + int(channels)%2}
		if _, err := aac.NewCoder(cfg, int(bitrate)); err != nil {
			return
		}
		samples := planes(bits[:min(len(bits), 64<<10)], cfg.Channels)
		for c := range samples {
			samples[c] = samples[c][:len(samples[cfg.Channels-1])]
		}
		units := encode(t, cfg, int(bitrate), samples, 1+int(piece))
		if want := unitsOf(len(samples[0])); len(units) != want {
			t.Fatalf("%d access units of %d samples, want %d", len(units), len(samples[0]), want)
		}
		if err := wellFormed(cfg, units); err != nil {
			t.Fatal(err)
		}
		decodes(t, cfg, units)
	})
}

// floats interleaves samples as planes takes them apart.
func floats(samples [][]float32) []byte {
	var out []byte
	for i := range samples[0] {
		for c := range samples {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(samples[c][i]))
		}
	}
	return out
}

// decodes gives units to the decoder that the rest of the platform uses.
func decodes(t *testing.T, cfg aac.Config, units [][]byte) {
	t.Helper()
	dec, err := aacpcm.NewDecoder(bytes.NewReader(adts(cfg, units)))
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, dec)
	if want := int64(len(units) * aac.FrameSize * cfg.Channels * 2); err != nil || n != want {
		t.Fatalf("decoded %d bytes instead of %d: %v", n, want, err)
	}
}
