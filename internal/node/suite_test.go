package node_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/melodyud/melodyud/internal/node"
)

// h2specGoal is how many of h2spec's cases must pass: as many as net/http passes by
// itself. The others are about frames that harm nobody.
const h2specGoal, h2specCases = 140, 145

func TestTheHTTP2SuitePassesAsWellAsGoItself(t *testing.T) { // faults C9
	t.Parallel()
	program := os.Getenv("MELODYUD_H2SPEC")
	if program == "" {
		t.Skip("name h2spec in MELODYUD_H2SPEC, as make h2spec does")
	}
	_, secure, _ := startTLS(t, node.Config{Data: t.TempDir()})
	host, port, err := net.SplitHostPort(strings.TrimPrefix(secure, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), program, "-t", "-k", "-h", host, "-p", port, "-P", "/livez").CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(\d+) tests, (\d+) passed`).FindStringSubmatch(string(out))
	if found == nil {
		t.Fatalf("h2spec says nothing of its tests:\n%s", out)
	}
	cases, _ := strconv.Atoi(found[1])
	passed, _ := strconv.Atoi(found[2])
	t.Logf("h2spec: %d of %d", passed, cases)
	if passed < h2specGoal || cases < h2specCases {
		t.Errorf("want %d of %d:\n%s", h2specGoal, h2specCases, out)
	}
}
