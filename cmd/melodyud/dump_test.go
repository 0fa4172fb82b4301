package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/melodyud/melodyud/packager/packagertest"
)

func TestDumpShowsTheBoxesOfATrackFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	packagertest.Build(t, dir, packagertest.Track{})
	p := &program{t: t, data: t.TempDir()}
	track := filepath.Join(dir, "flac.mp4")
	text := p.must("dump", track)
	for _, want := range []string{"ftyp  major=iso6", "fLaC  channels=2 samplesize=16 rate=44100", "md5=5a5a", "sidx ", "mdat  sha256="} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	lines := strings.Split(strings.TrimSpace(p.must("dump", "--json", track)), "\n")
	if len(lines) != strings.Count(text, "\n") {
		t.Errorf("%d objects for %d lines", len(lines), strings.Count(text, "\n"))
	}
	var box struct {
		Offset, Size int64
		Kind         string
	}
	if err := json.Unmarshal([]byte(lines[1]), &box); err != nil || box.Kind != "moov" || box.Offset == 0 || box.Size == 0 {
		t.Errorf("%v: %s", err, lines[1])
	}
}

func TestDumpSaysWhatIsWrongWithAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	packagertest.Build(t, dir, packagertest.Track{})
	whole, err := os.ReadFile(filepath.Join(dir, "flac.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, data: t.TempDir()}
	for _, c := range []struct {
		name    string
		content []byte
		code    int
		said    string
	}{
		{"text.mp4", []byte("no music here, only words"), exitRefused, "file.not-mp4: The file is no MP4"},
		{"empty.mp4", nil, exitRefused, "file.not-mp4"},
		{"cut.mp4", whole[:700], exitFailed, "unexpected EOF"},
		{"tail.mp4", bytes.Join([][]byte{whole, {1, 2, 3}}, nil), exitFailed, "3 bytes are left"},
	} {
		name := filepath.Join(dir, c.name)
		if err := os.WriteFile(name, c.content, 0o600); err != nil {
			t.Fatal(err)
		}
		got := p.run("dump", name)
		if got.code != c.code || !strings.Contains(got.err, c.said) || !strings.Contains(got.err, c.name) {
			t.Errorf("%s: exit %d, %s", c.name, got.code, got.err)
		}
	}
	if got := p.run("dump", filepath.Join(dir, "none.mp4")); got.code != exitFailed || !strings.Contains(got.err, "none.mp4") {
		t.Errorf("a missing file: exit %d, %s", got.code, got.err)
	}
}
