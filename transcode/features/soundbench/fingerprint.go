package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/melodyud/melodyud/transcode/features/fingerprint"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// fingerprintTable compares with fpcalc on the corpus' music: at 11,025 Hz mono,
// where nothing but the fingerprint is measured, and at 44,100 Hz in stereo.
func fingerprintTable(ctx context.Context, b *bench) ([]row, error) {
	if _, err := exec.LookPath("fpcalc"); err != nil {
		return nil, fmt.Errorf("fpcalc is not installed: %w", err)
	}
	files, err := b.recordings()
	if err != nil {
		return nil, err
	}
	items, equal := 0, 0
	var far []float64
	for _, file := range files {
		ours, theirs, err := b.bothPrints(ctx, file, 11025, 1)
		if err != nil {
			return nil, err
		}
		items += max(len(ours), len(theirs))
		for i := range min(len(ours), len(theirs)) {
			if ours[i] == theirs[i] {
				equal++
			}
		}
		if ours, theirs, err = b.bothPrints(ctx, file, 44100, 2); err != nil {
			return nil, err
		}
		far = append(far, bitError(ours, theirs))
	}
	r := mean("bit error to fpcalc", "music, 44,100 Hz stereo", far)
	return []row{
		share("items as fpcalc's", "music, 11,025 Hz mono", equal, items).must(atLeast(1), bound{}),
		r.must(atMost(0.01), atMost(0.002)),
	}, nil
}

// recordings are the corpus' music files.
func (b *bench) recordings() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(b.corpus, "music", "*"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no music in %s", b.corpus)
	}
	return files, err
}

// bothPrints returns our print of a file and fpcalc's of the same samples.
func (b *bench) bothPrints(ctx context.Context, file string, rate, channels int) (ours, theirs []uint32, err error) {
	samples, err := sixteen(ctx, file, rate, channels)
	if err != nil {
		return nil, nil, err
	}
	if ours, err = printOf(samples, rate, channels); err != nil {
		return nil, nil, err
	}
	path := filepath.Join(b.cache, "part-fpcalc.wav")
	defer os.Remove(path)
	err = run(ctx, "ffmpeg", "-nostdin", "-v", "error", "-y", "-i", file, "-ac", strconv.Itoa(channels), "-ar", strconv.Itoa(rate), path)
	if err != nil {
		return nil, nil, err
	}
	out, _ := exec.CommandContext(ctx, "fpcalc", "-raw", "-plain", "-length", "0", path).Output() // Debian's ends with 3 after all items
	for _, s := range strings.Split(strings.TrimSpace(string(out)), ",") {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return nil, nil, fmt.Errorf("fpcalc %s: %w", file, err)
		}
		theirs = append(theirs, uint32(n))
	}
	return ours, theirs, nil
}

// sixteen returns a file's sound as interleaved 16-bit samples.
func sixteen(ctx context.Context, file string, rate, channels int) ([]byte, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "ffmpeg", "-nostdin", "-v", "error", "-i", file, "-map", "0:a:0",
		"-ac", strconv.Itoa(channels), "-ar", strconv.Itoa(rate), "-f", "s16le", "-")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("ffmpeg %s: %w: %s", file, err, lastLine(stderr.String()))
	}
	return out, nil
}

func printOf(samples []byte, rate, channels int) ([]uint32, error) {
	p, err := fingerprint.New(pcm.Format{Rate: rate, Channels: channels, BitDepth: 16})
	if err != nil {
		return nil, err
	}
	planes := make([][]float32, channels)
	for i := 0; i+1 < len(samples); i += 2 {
		c := i / 2 % channels
		planes[c] = append(planes[c], float32(int16(binary.LittleEndian.Uint16(samples[i:])))/(1<<15))
	}
	p.Write(pcm.Block{Samples: planes})
	return p.Result().Items, nil
}

// bitError is the share of bits that differ where both prints have items.
func bitError(a, b []uint32) float64 {
	n, wrong := min(len(a), len(b)), 0
	if n == 0 {
		return math.NaN()
	}
	for i, x := range a[:n] {
		wrong += bits.OnesCount32(x ^ b[i])
	}
	return float64(wrong) / float64(32*n)
}
