package packagertest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/packager/dash"
	"github.com/melodyud/melodyud/packager/hls"
)

// Readers are readers from npm: hls-parser in strict mode, m3u8-parser, mpd-parser,
// mp4box and codem-isoboxer.
type Readers struct{ tool string }

// InstallReaders installs what the folder testdata/outside of package packager
// lists. Without MELODYUD_OUTSIDE=1 or npm it returns nil, which checks nothing.
func InstallReaders(t testing.TB, outside string) *Readers {
	t.Helper()
	if os.Getenv("MELODYUD_OUTSIDE") != "1" {
		return nil
	}
	if _, err := exec.LookPath("npm"); err != nil {
		t.Log("npm is not installed: outside readers were not asked")
		return nil
	}
	r := &Readers{tool: t.TempDir()}
	for _, name := range []string{"package.json", "package-lock.json", "check.mjs"} {
		b, err := os.ReadFile(filepath.Join(outside, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(r.tool, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	install.Dir = r.tool
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	return r
}

// Check has the package in dir read, and what the edge would print of m, which is
// written to dir/virtual.
func (r *Readers) Check(t testing.TB, dir string, m *melodyud.Manifest) {
	t.Helper()
	r.CheckAll(t, map[string]*melodyud.Manifest{dir: m})
}

// CheckAll is Check for several packages, by directory, in one go.
func (r *Readers) CheckAll(t testing.TB, packages map[string]*melodyud.Manifest) {
	t.Helper()
	if r == nil {
		return
	}
	args := []string{"check.mjs"}
	for dir, m := range packages {
		writeVirtual(t, filepath.Join(dir, "virtual"), m)
		args = append(args, dir)
	}
	check := exec.CommandContext(t.Context(), "node", args...)
	check.Dir = r.tool
	out, err := check.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

func writeVirtual(t testing.TB, dir string, m *melodyud.Manifest) {
	t.Helper()
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
	steered, err := hls.Multivariant(m, hls.Options{Steering: &hls.Steering{
		Server: "steering", Pathways: []hls.Pathway{{ID: "home"}, {ID: "away", Base: "https://away.example/"}},
	}})
	write("steered.m3u8", steered, err)
	hifi, err := hls.Multivariant(m, hls.Options{Flavour: hls.Hifi})
	write("hifi.m3u8", hifi, err)
	for i := range m.Renditions {
		name := m.Renditions[i].Name
		b, err := hls.Media(m, name, hls.Options{})
		write(hls.PlaylistFile(name), b, err)
	}
	free, err := hls.Media(m, m.Renditions[0].Name, hls.Options{Interstitials: []hls.Interstitial{
		{ID: "pre", Pre: true, AssetList: "../ads/pre?_HLS_interstitial_id=pre"},
		{ID: "join-1", Snap: true, AssetList: "../ads/join-1?_HLS_interstitial_id=join-1"},
	}})
	write("breaks.m3u8", free, err)
	full, err := dash.MPD(m)
	write("manifest.mpd", full, err)
	standard, err := dash.Standard(m)
	write("standard.mpd", standard, err)
}
