package packager_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/melodyud/melodyud/packager/dash"
	"github.com/melodyud/melodyud/packager/hls"
)

// TestOutsideReadersAgree gives packages to readers from npm: hls-parser in strict
// mode, m3u8-parser, mpd-parser and mp4box (section 2.8, item 1).
func TestOutsideReadersAgree(t *testing.T) {
	if os.Getenv("MELODYUD_OUTSIDE") != "1" {
		t.Skip("set MELODYUD_OUTSIDE=1 to check with readers from npm")
	}
	needs(t, "node", "npm")
	tool := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "check.mjs"} {
		b, err := os.ReadFile(filepath.Join("testdata", "outside", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(tool, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	install.Dir = tool
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	for _, source := range []struct{ rate, depth, samples int }{
		{44100, 16, 44100*9 + 1234}, {48000, 24, 192512 + 7}, {96000, 24, 96000 * 6}, {44100, 16, 300},
	} {
		c := encode(t, source.rate, source.depth, source.samples)
		writeVirtual(t, c)
		check := exec.CommandContext(t.Context(), "node", "check.mjs", c.dir)
		check.Dir = tool
		out, err := check.CombinedOutput()
		if err != nil {
			t.Errorf("%+v: %v\n%s", source, err, out)
		}
		t.Logf("%+v: %s", source, out)
	}
}

// writeVirtual puts what the edge would serve into virtual/.
func writeVirtual(t *testing.T, c coded) {
	t.Helper()
	m := &c.manifest
	dir := filepath.Join(c.dir, "virtual")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte, err error) {
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	index, err := hls.Multivariant(m, hls.Options{Track: "trk_01"})
	write("index.m3u8", index, err)
	hifi, err := hls.Multivariant(m, hls.Options{Flavour: hls.Hifi})
	write("hifi.m3u8", hifi, err)
	for i := range m.Renditions {
		name := m.Renditions[i].Name
		b, err := hls.Media(m, name, hls.Options{})
		write(hls.PlaylistFile(name), b, err)
	}
	full, err := dash.MPD(m)
	write("manifest.mpd", full, err)
	standard, err := dash.Standard(m)
	write("standard.mpd", standard, err)
}
