package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os/exec"
	"strconv"
	"strings"

	"github.com/melodyud/melodyud/transcode/features/spectrum"
	"github.com/melodyud/melodyud/transcode/features/timbre"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// hear returns the statistics of a file's middle minute.
func hear(file string) (timbre.Statistics, error) {
	length, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", file).Output()
	if err != nil {
		return timbre.Statistics{}, fmt.Errorf("ffprobe: %w", err)
	}
	seconds, err := strconv.ParseFloat(strings.TrimSpace(string(length)), 64)
	if err != nil {
		return timbre.Statistics{}, err
	}
	raw, err := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-ss", fmt.Sprint(max(0, seconds/2-30)), "-t", "60", "-i", file,
		"-vn", "-ac", "2", "-ar", "44100", "-f", "f32le", "-").Output()
	if err != nil {
		return timbre.Statistics{}, fmt.Errorf("ffmpeg: %w", err)
	}
	return statistics(raw)
}

// statistics are of stereo at 44,100 Hz, interleaved little-endian float32.
func statistics(raw []byte) (timbre.Statistics, error) {
	front, err := spectrum.NewFront(pcm.Format{Rate: 44100, Channels: 2})
	if err != nil {
		return timbre.Statistics{}, err
	}
	m, s := timbre.New(), spectrum.NewSTFT(spectrum.SizeR, spectrum.HopR)
	fine := func(mono []float32) {
		m.Samples(mono)
		s.Write(mono, m.Frame)
	}
	wide := func([]float32) {}
	for r := bytes.NewReader(raw); r.Len() >= 8; {
		n := min(4096, r.Len()/8)
		both := make([]float32, 2*n)
		if err := binary.Read(r, binary.LittleEndian, both); err != nil {
			return timbre.Statistics{}, err
		}
		b := pcm.Block{Samples: [][]float32{make([]float32, n), make([]float32, n)}}
		for i, v := range both {
			if math.IsNaN(float64(v)) {
				v = 0
			}
			b.Samples[i%2][i/2] = v
		}
		front.Write(b, fine, wide)
	}
	front.Close(fine, wide)
	s.Close(m.Frame)
	return m.Result().Statistics, nil
}
