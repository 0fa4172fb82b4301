package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// encodedFile is what encode --json prints.
type encodedFile struct {
	File    string `json:"file"`
	Size    int64  `json:"size"`
	Codec   string `json:"codec"`
	Rate    int    `json:"sample_rate"`
	Samples int64  `json:"samples"`
	Priming int64  `json:"priming"`
	Packets int64  `json:"packets"`
	Bitrate int    `json:"bitrate"`
	Peak    int    `json:"peak_bitrate"`
}

func TestEncodeWritesOneFileOfExactLength(t *testing.T) { // GAP-3
	t.Parallel()
	p := &program{t: t, data: t.TempDir()}
	dir, in := t.TempDir(), tone(t, 2)
	for _, c := range []struct {
		name    string
		args    []string
		codec   string
		priming int64
	}{
		{"a.m4a", []string{"--bitrate", "96k"}, "aac", 1024},
		{"b.aac", []string{"--bitrate", "96000"}, "aac", 1024},
		{"c.flac", nil, "flac", 0},
		{"d.mp4", []string{"--codec", "flac"}, "flac", 0},
	} {
		out := filepath.Join(dir, c.name)
		got := decode[encodedFile](t, p.must(append([]string{"encode", in, out, "--json"}, c.args...)...))
		info, err := os.Stat(out)
		if err != nil || info.Size() != got.Size || got.File != out {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
		if got.Codec != c.codec || got.Rate != 44100 || got.Samples != 2*44100 || got.Priming != c.priming || got.Packets == 0 {
			t.Errorf("%s: %+v", c.name, got)
		}
		if c.codec == "aac" && (got.Bitrate < 86_000 || got.Bitrate > 106_000 || got.Peak < 86_000 || got.Peak > 2*got.Bitrate) {
			t.Errorf("%s: %d bit/s, %d in the busiest 4 s, asked for 96000", c.name, got.Bitrate, got.Peak)
		}
		if c.name != "b.aac" { // players say of every ADTS stream that they do not know its length
			plays(t, out)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestEncodeSaysWhatIsWrongAndLeavesTheFileThatWasThere(t *testing.T) {
	t.Parallel()
	p := &program{t: t, data: t.TempDir()}
	dir, in := t.TempDir(), tone(t, 1)
	kept := filepath.Join(dir, "kept.m4a")
	if err := os.WriteFile(kept, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{exitRefused, "audio.unknown-format", []string{words(t), kept, "--ffmpeg", "-"}},
		{exitFailed, "did you mean 128k", []string{in, kept, "--bitrate", "128"}},
		{exitFailed, "no bitrate", []string{in, kept, "--bitrate", "loud"}},
		{exitFailed, "16k to 320k", []string{in, kept, "--bitrate", "500k"}},
		{exitFailed, ".m4a, .mp4, .aac or .flac", []string{in, filepath.Join(dir, "x.ogg")}},
		{exitFailed, "cannot hold aac", []string{in, filepath.Join(dir, "x.flac"), "--codec", "aac"}},
		{exitFailed, "directory", []string{in, filepath.Join(dir, "absent", "x.m4a")}},
	} {
		r := p.run(append([]string{"encode"}, c.args...)...)
		if r.code != c.code || !strings.Contains(r.err, c.says) {
			t.Errorf("%v: exit %d, %s", c.args, r.code, r.err)
		}
	}
	if r := p.run("encode", in, in); r.code != exitFailed {
		t.Errorf("onto itself: exit %d, %s", r.code, r.err)
	}
	if b, err := os.ReadFile(kept); err != nil || string(b) != "mine" {
		t.Errorf("the file that was there: %q %v", b, err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("left behind: %v %v", files, err)
	}
}
