package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAKeptTrackPlaysUntilItsPeriodEnds(t *testing.T) { // HLS-94
	t.Parallel()
	p := serving(t)
	id := decode[uploaded](t, p.must("upload", tone(t, 3), "--wait", "--json")).Track
	file := filepath.Join(t.TempDir(), "tune.mud")
	get := []string{"offline", "get", id, "--out", file, "--device", "desk", "--rendition", "flac"}
	if out := p.must(get...); !strings.Contains(out, "(flac) in "+file+" until ") {
		t.Error(out)
	}
	sealed, err := os.ReadFile(file)
	if err != nil || bytes.Contains(sealed, []byte("moov")) {
		t.Fatalf("%d bytes in the clear, %v", len(sealed), err)
	}
	clear := p.must("offline", "play", file)
	if !strings.HasPrefix(clear[4:], "ftyp") || !strings.Contains(clear, "moov") {
		t.Errorf("%d bytes that are no MP4", len(clear))
	}
	if info, err := os.Stat(licenseFile(file)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key lies open: %v %v", info.Mode(), err)
	}

	// A broken download goes on where it ended.
	if err := os.WriteFile(file+".part", sealed[:70_001], 0o600); err != nil {
		t.Fatal(err)
	}
	os.Remove(file)
	p.must(get...)
	if again, err := os.ReadFile(file); err != nil || !bytes.Equal(again, sealed) {
		t.Errorf("%d bytes after going on, %d at once, %v", len(again), len(sealed), err)
	}
	spoilt := bytes.Clone(sealed[:70_001])
	spoilt[99] ^= 1
	if err := os.WriteFile(file+".part", spoilt, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := p.run(get...); r.code != exitFailed || !strings.Contains(r.err, "not the track") {
		t.Errorf("a spoilt part: %d %s", r.code, r.err)
	}
	p.must(get...)

	l, err := readLicense(file)
	if err != nil {
		t.Fatal(err)
	}
	l.Expires = time.Now().Add(-time.Second)
	if err := l.write(file); err != nil {
		t.Fatal(err)
	}
	if r := p.run("offline", "play", file); r.code != exitFailed || r.out != "" || !strings.Contains(r.err, "melodyud offline renew") {
		t.Errorf("after the period: %d, %d bytes, %s", r.code, len(r.out), r.err)
	}
	if out := p.must("offline", "renew", file); !strings.Contains(out, "plays until") {
		t.Error(out)
	}
	if p.must("offline", "play", file) != clear {
		t.Error("after renewing it plays something else")
	}
	sealed[len(sealed)-1] ^= 1
	if err := os.WriteFile(file, sealed, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := p.run("offline", "play", file); r.code != exitFailed || !strings.Contains(r.err, "offline.damaged") {
		t.Errorf("a damaged file: %d %s", r.code, r.err)
	}
	if r := p.run("offline", "play", filepath.Join(t.TempDir(), "none")); r.code != exitFailed || !strings.Contains(r.err, "melodyud offline get") {
		t.Errorf("no license: %d %s", r.code, r.err)
	}
}

func TestThePreviewCommandChoosesAndPrints(t *testing.T) {
	t.Parallel()
	p := serving(t)
	id := decode[uploaded](t, p.must("upload", tone(t, 2), "--wait", "--json")).Track
	if out := p.must("preview", id, "--start", "0:00", "--json"); !strings.Contains(out, `"chosen":true`) || !strings.Contains(out, `"url":"`+p.url+"/p/") {
		t.Error(out)
	}
	if out := p.must("preview", id, "--start", "auto", "--json"); !strings.Contains(out, `"chosen":false`) {
		t.Error(out)
	}
	// The whole of a short track is its preview, so there is one start.
	for start, words := range map[string]string{"0:01": "track.preview-start", "x": "write seconds", "1:x": "write seconds"} {
		if r := p.run("preview", id, "--start", start); r.code != exitFailed || !strings.Contains(r.err, words) {
			t.Errorf("start %s: %d %s", start, r.code, r.err)
		}
	}
}
