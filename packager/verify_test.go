package packager_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/packager"
	"github.com/melodyud/melodyud/packager/packagertest"
)

// replace changes the last place where a file says old.
func replace(old, new string) func([]byte) []byte {
	return func(b []byte) []byte {
		i := bytes.LastIndex(b, []byte(old))
		if i < 0 {
			panic("the file does not say " + old)
		}
		return append(append(bytes.Clone(b[:i]), new...), b[i+len(old):]...)
	}
}

// flip changes one bit some bytes behind the last box of a kind.
func flip(kind string, behind int) func([]byte) []byte {
	return func(b []byte) []byte {
		b = bytes.Clone(b)
		b[bytes.LastIndex(b, []byte(kind))+behind] ^= 1
		return b
	}
}

func TestVerifySaysWhichFileIsWrongAndWhatInIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, file string
		change     func([]byte) []byte
		want       string
	}{
		{"cut short", "flac.mp4", func(b []byte) []byte { return b[:len(b)-1] }, "verify flac.mp4: segment 4: 1 bytes are missing"},
		{"cut in the init segment", "flac.mp4", func(b []byte) []byte { return b[:100] }, "bytes are missing"},
		{"longer", "aac-64.mp4", func(b []byte) []byte { return append(b, 0) }, "it goes on after"},
		{"other sound", "aac-64.mp4", func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, "verify aac-64.mp4: SHA-256 is"},
		{"time gap", "aac-96.mp4", flip("tfdt", 15), "segment 4: tfdt is 353281, the segment before ends at 353280"},
		{"sequence gap", "aac-96.mp4", flip("mfhd", 11), "sequence number is 4 instead of 5"},
		{"other edit", "aac-96.mp4", flip("elst", 18), "edit list skips 1280 samples instead of 1024"},
		{"wrong brand", "aac-96.mp4", flip("ftyp", 4), "ftyp: major brand is"},
		{"wrong index", "aac-96.mp4", flip("sidx", 31), "index has"},
		{"not a sync sample", "flac.mp4", flip("tfhd", 17), "tfhd: default sample flags is 33619968 instead of 33554432"},
		{"other loudness", "flac.mp4", flip("tlou", 16), "init segment: ludt states another loudness"},
		{"other length in STREAMINFO", "flac.mp4", flip("dfLa", 29), "STREAMINFO has 441001 samples"},
		{"other segment time", "flac.m3u8", replace("#EXTINF:2.012336,", "#EXTINF:2.012337,"), "verify flac.m3u8: it says something else"},
		{"segment beyond the target", "flac.m3u8", replace("#EXTINF:2.012336,", "#EXTINF:4.500000,"), "verify flac.m3u8: parse media playlist: invalid: a segment lasts 4.5 s"},
		{"no end", "aac-64.m3u8", replace("#EXT-X-ENDLIST\n", ""), "EXT-X-ENDLIST"},
		{"other range", "aac-64.m3u8", replace(`@0"`, `@1"`), "verify aac-64.m3u8: it says something else"},
		{"no playlist", "index.m3u8", func([]byte) []byte { return nil }, "the first line is not #EXTM3U"},
		{"other variant", "index.m3u8", replace("aac-96.m3u8", "aac-69.m3u8"), "verify index.m3u8: it says something else"},
		{"other score", "hifi.m3u8", replace("SCORE=5", "SCORE=6"), "verify hifi.m3u8: it says something else"},
		{"no XML", "manifest.mpd", func([]byte) []byte { return []byte("<MPD") }, "verify manifest.mpd: invalid: parse MPD"},
		{"other representation", "manifest.mpd", replace(`id="flac"`, `id="wave"`), "lacks rendition flac"},
		{"other manifest", "manifest.json", replace(`"samples": 441000`, `"samples": 441001`), "verify manifest.json: it says something else"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			m := packagertest.Build(t, dir, packagertest.Track{Loudness: melodyud.Loudness{Integrated: new(-14.3), TruePeak: new(-1.0)}})
			path := filepath.Join(dir, c.file)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, c.change(b), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := packager.Verify(context.Background(), opener(dir), &m); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestVerifyHoldsTheManifestToItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := packagertest.Build(t, dir, packagertest.Track{})
	for _, c := range []struct {
		name   string
		change func(*melodyud.Manifest)
		want   string
	}{
		{"no renditions", func(m *melodyud.Manifest) { m.Renditions = nil }, "no rendition"},
		{"other version", func(m *melodyud.Manifest) { m.Version = 99 }, "version 99"},
		{"other length", func(m *melodyud.Manifest) { m.Samples++ }, "the track has 441001"},
		{"no segments", func(m *melodyud.Manifest) { m.Segments, m.Samples = nil, 0 }, "segments of 0 samples"},
		{"other file size", func(m *melodyud.Manifest) { m.Renditions[0].Size++ }, "rendition aac-64: init, index and segments have"},
		{"huge init segment", func(m *melodyud.Manifest) { m.Renditions[0].InitSize += 1 << 40 }, "rendition aac-64: init, index and segments have"},
		{"segment missing", func(m *melodyud.Manifest) { m.Renditions[1].Sizes = m.Renditions[1].Sizes[1:] }, "4 sizes and 5 durations of 5 segments"},
		{"segment too many", func(m *melodyud.Manifest) { m.Renditions[1].Sizes = append(m.Renditions[1].Sizes, 1) }, "6 sizes and 5 durations of 5 segments"},
		{"other boundary", func(m *melodyud.Manifest) { m.Renditions[1].Durations[0]++; m.Renditions[1].Durations[1]-- }, "ALIGN-4"},
		{"other peak", func(m *melodyud.Manifest) { m.Renditions[1].Bandwidth++ }, "its segments have"},
		{"other hash", func(m *melodyud.Manifest) { m.Renditions[0].SHA256 = strings.Repeat("0", 64) }, "verify aac-64.mp4: SHA-256"},
		{"other codec", func(m *melodyud.Manifest) { m.Renditions[0].Codecs = "mp4a.40.5" }, "codec is mp4a.40.2 instead of mp4a.40.5"},
		{"other depth", func(m *melodyud.Manifest) { m.Renditions[4].BitDepth = 24 }, "16 bits instead of"},
	} {
		m := copyOf(t, good)
		c.change(&m)
		if err := packager.Verify(context.Background(), opener(dir), &m); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func copyOf(t *testing.T, m melodyud.Manifest) (out melodyud.Manifest) {
	t.Helper()
	b, err := json.Marshal(m)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestVerifyKeepsTheStoresError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := packagertest.Build(t, dir, packagertest.Track{})
	for _, file := range []string{"aac-64.mp4", "flac.m3u8", "manifest.json", "manifest.mpd"} {
		err := packager.Verify(context.Background(), func(name string, offset, length int64) (io.ReadCloser, error) {
			if name == file {
				return nil, melodyud.ErrUnavailable
			}
			return opener(dir)(name, offset, length)
		}, &m)
		if !errors.Is(err, melodyud.ErrUnavailable) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestVerifyStopsWhenTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := packagertest.Build(t, dir, packagertest.Track{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := packager.Verify(ctx, opener(dir), &m); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestVerifyClosesWhatItOpens(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := packagertest.Build(t, dir, packagertest.Track{})
	open := 0
	err := packager.Verify(context.Background(), func(name string, offset, length int64) (io.ReadCloser, error) {
		f, err := opener(dir)(name, offset, length)
		open++
		return closer{f, &open}, err
	}, &m)
	if err != nil || open != 0 {
		t.Errorf("%v, %d left open", err, open)
	}
}

type closer struct {
	io.ReadCloser
	open *int
}

func (c closer) Close() error { *c.open--; return c.ReadCloser.Close() }
