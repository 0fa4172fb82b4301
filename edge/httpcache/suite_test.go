package httpcache_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/melodyud/melodyud/edge/httpcache"
)

// knownShort are the required and optimal tests of the public suite that we do not
// pass, and why. No other may join them.
var knownShort = map[string]string{
	"headers-store-Transfer-Encoding":               "the origin sends a transfer coding that does not exist: we answer 502 (RFC 9112 §6.1)",
	"conditional-lm-fresh-no-lm":                    "wants a 304 for a response newer than If-Modified-Since (RFC 9111 §4.3.2 says otherwise)",
	"vary-normalise-lang-select":                    "wants one language to stand for another list of languages, which is no normalisation (RFC 9111 §4.1)",
	"partial-store-partial-reuse-partial":           "the origin sends 5 bytes as bytes 4-9: we do not store that",
	"partial-store-partial-reuse-partial-byterange": "the same",
	"partial-store-partial-reuse-partial-absent":    "the same",
	"partial-store-partial-reuse-partial-suffix":    "the same",
	"partial-store-partial-complete":                "wants parts joined without a strong validator (RFC 9111 §3.4 forbids it)",
}

// neverFail are the groups in which no required test may fail.
var neverFail = []string{"auth", "cc-response", "vary", "partial", "interim"}

// The public suite of HTTP caches, http-tests/cache-tests: its origin behind us, its
// client before us. MELODYUD_CACHE_TESTS is a directory with a checkout of it and the
// packages it needs (make cache-tests).
func TestThePublicSuiteOfHTTPCachesIsPassed(t *testing.T) {
	dir := os.Getenv("MELODYUD_CACHE_TESTS")
	if dir == "" {
		t.Skip("MELODYUD_CACHE_TESTS is not set")
	}
	s := suite{dir: dir}
	s.require(t)
	results := s.run(t, s.serve(t))
	short := s.report(t, s.cases(t), results)
	for _, id := range short {
		if _, known := knownShort[id]; !known {
			t.Errorf("%s does not pass: %s", id, results[id])
		}
	}
}

type suite struct{ dir string }

// aCase is one test of the suite.
type aCase struct {
	Suite, ID, Kind string
	Depends         []string
}

func (s suite) require(t *testing.T) {
	t.Helper()
	for _, part := range []string{"test-engine/cli.mjs", "node_modules/undici"} {
		if _, err := os.Stat(filepath.Join(s.dir, part)); err != nil {
			t.Fatalf("%s is no checkout of http-tests/cache-tests with its packages (npm install --omit=dev): %v", s.dir, err)
		}
	}
}

func (s suite) node(ctx context.Context, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "node", append([]string{"--no-warnings"}, args...)...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), env...)
	return cmd
}

// serve starts the suite's origin and our cache before it, and returns our address.
func (s suite) serve(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := s.node(ctx, []string{"npm_config_protocol=http", "npm_config_port=" + port, "npm_config_pidfile=" + filepath.Join(t.TempDir(), "pid")},
		"test-engine/server/server.mjs")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	await(t, "127.0.0.1:"+port)
	c, err := httpcache.New(httpcache.Config{Origin: &url.URL{Scheme: "http", Host: "127.0.0.1:" + port}})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(c)
	t.Cleanup(func() { front.Close(); c.Close() })
	return front.URL
}

func await(t *testing.T, addr string) {
	t.Helper()
	for range 100 {
		if c, err := net.Dial("tcp", addr); err == nil {
			_ = c.Close()
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("the suite's origin does not listen on %s", addr)
}

// run returns the result of each test: true, or a list of what went wrong.
func (s suite) run(t *testing.T, base string) map[string]json.RawMessage {
	t.Helper()
	out, err := s.node(t.Context(), []string{"npm_config_base=" + base, "npm_package_config_id="}, "test-engine/cli.mjs").Output()
	if err != nil {
		t.Fatal(err)
	}
	var results map[string]json.RawMessage
	if err := json.Unmarshal(out[max(0, bytes.IndexByte(out, '{')):], &results); err != nil {
		t.Fatal(err)
	}
	return results
}

func (s suite) cases(t *testing.T) []aCase {
	t.Helper()
	const list = `import('./tests/index.mjs').then(m => console.log(JSON.stringify(m.default.flatMap(s => s.tests
		.filter(t => !t.browser_only).map(t => ({Suite: s.id, ID: t.id, Kind: t.kind || 'required', Depends: t.depends_on}))))))`
	out, err := s.node(t.Context(), nil, "-e", list).Output()
	if err != nil {
		t.Fatal(err)
	}
	var cases []aCase
	if err := json.Unmarshal(out, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

// report prints the counts as the suite's own site counts them, where a test whose
// dependency did not pass does not count as passed, and returns what fell short of
// required and optimal.
func (s suite) report(t *testing.T, cases []aCase, results map[string]json.RawMessage) (short []string) {
	t.Helper()
	known, counts := make(map[string]aCase), make(map[string]int)
	for _, c := range cases {
		known[c.ID] = c
	}
	var verdict func(c aCase) string
	verdict = func(c aCase) string {
		for _, id := range c.Depends {
			if verdict(known[id]) != "pass" {
				return "dependency"
			}
		}
		switch r := string(results[c.ID]); {
		case r == "true":
			return "pass"
		case strings.HasPrefix(strings.Join(strings.Fields(r), ""), `["Setup"`):
			return "setup"
		}
		return "fail"
	}
	for _, c := range cases {
		v := verdict(c)
		counts[c.Kind+" "+v]++
		if v == "pass" || c.Kind == "check" {
			continue
		}
		short = append(short, c.ID)
		t.Logf("%-8s %-10s %s: %s", c.Kind, v, c.ID, strings.Join(strings.Fields(string(results[c.ID])), " "))
		if c.Kind == "required" && v == "fail" && slices.Contains(neverFail, c.Suite) {
			t.Errorf("%s: a required test of %s fails", c.ID, c.Suite)
		}
	}
	for _, kind := range []string{"required", "optimal", "check"} {
		line := kind + ":"
		for _, v := range []string{"pass", "fail", "dependency", "setup"} {
			line += " " + strconv.Itoa(counts[kind+" "+v]) + " " + v
		}
		fmt.Println(line)
	}
	if n := counts["required pass"]; n < 132 {
		t.Errorf("%d required tests pass, want at least 132", n)
	}
	return short
}
