package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/melodyud/melodyud/internal/node"
)

func TestBenchEdgeTellsHowManyListenersAServerHolds(t *testing.T) {
	t.Parallel()
	p := serving(t)
	if r := p.run("bench", "edge"); r.code != exitFailed || !strings.Contains(r.err, "upload one first") {
		t.Errorf("without tracks: %d, %s", r.code, r.err)
	}
	p.must("upload", tone(t, 8), "--wait")
	r := p.run("bench", "edge", "--listeners", "2", "--ramp", "0", "--for", "3s", "--think", "10ms", "--skips", "0.5", "--json")
	type report struct {
		Held        int              `json:"held"`
		Requests    int              `json:"requests"`
		FailedPlays int              `json:"failed_plays"`
		HitRatio    float64          `json:"hit_ratio"`
		Errors      map[string]int64 `json:"errors"`
	}
	got := decode[report](t, r.out)
	if r.code != 0 || got.Requests < 8 || got.FailedPlays != 0 || got.HitRatio <= 0 || len(got.Errors) != 0 {
		t.Errorf("exit %d, %s%s", r.code, r.out, r.err)
	}
	if lines := strings.Count(r.err, " listeners "); lines < 2 {
		t.Errorf("%d lines of progress:\n%s", lines, r.err)
	}
	herd := p.must("bench", "edge", "--herd", "--listeners", "3")
	if !strings.Contains(herd, "3 listeners started together") || strings.Contains(herd, "error") {
		t.Error(herd)
	}
}

// TestTenThousandPlayersStartOneColdTrack takes a quiet machine of two processors about
// ten seconds. It asserts what does not depend on the machine, and tells the times.
func TestTenThousandPlayersStartOneColdTrack(t *testing.T) {
	if os.Getenv("MELODYUD_SOAK") == "" {
		t.Skip("part of make soak")
	}
	keys := "k1:" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))
	p := serving(t, "--ticket-keys", keys)
	p.must("upload", tone(t, 30), "--wait")
	r := decode[node.HerdReport](t, p.must("bench", "edge", "--herd", "--listeners", "10000", "--for", "5m", "--ticket-keys", keys, "--json"))
	t.Logf("first byte of sound: %+v ms; start-up: %+v ms; all within %.1f s", r.FirstByte, r.Startup, r.Seconds)
	if r.Startup.N != 10_000 || len(r.Errors) > 0 {
		t.Errorf("%d of 10,000 heard something: %v", r.Startup.N, r.Errors)
	}
	// The lowest quality's init segment and first segment lie in its first block.
	if n := p.metric(t, "melodyud_edge_cache_fills_total"); n != 1 {
		t.Errorf("%v blocks were read from the store for one", n)
	}
	if peak := p.peak(t); peak > 512<<20 {
		t.Errorf("%d MB of memory", peak>>20)
	} else {
		t.Logf("%d MB of memory at most", peak>>20)
	}
}

// metric is the value of a metric without labels.
func (p *program) metric(t *testing.T, name string) float64 {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(p.data, node.LocalKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(key)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n"+name+" ")
	value, err := strconv.ParseFloat(strings.SplitN(rest, "\n", 2)[0], 64)
	if !found || err != nil {
		t.Fatalf("no metric %s", name)
	}
	return value
}

// peak is the most memory the server has had, in bytes.
func (p *program) peak(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		t.Skip("no /proc here")
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}
