package dir_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/objectstore/dir"
)

// acknowledged is what the traced process writes once Put has returned.
const acknowledged = "the put is acknowledged"

// TestAPutIsDurableBeforeItIsAcknowledged reads the system calls of a real put:
// the data is synced before it gets its name, and every directory on the way to the
// name is synced before Put returns (A5).
func TestAPutIsDurableBeforeItIsAcknowledged(t *testing.T) {
	t.Parallel()
	if path := os.Getenv("DIR_TEST_PUT"); path != "" {
		putOnce(t, path, os.Getenv("DIR_TEST_ABSENT") != "")
		return
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	for _, ifAbsent := range []string{"", "1"} {
		path, trace := t.TempDir(), filepath.Join(t.TempDir(), "trace")
		c := exec.Command(strace, "-f", "-y", "-e", "trace=fsync,fdatasync,rename,renameat,renameat2,link,linkat,write",
			"-o", trace, os.Args[0], "-test.run=^TestAPutIsDurableBeforeItIsAcknowledged$", "-test.v")
		c.Env = append(os.Environ(), "DIR_TEST_PUT="+path, "DIR_TEST_ABSENT="+ifAbsent)
		if out, err := c.CombinedOutput(); err != nil {
			t.Skipf("cannot trace here: %v\n%.300s", err, out)
		}
		calls, err := os.ReadFile(trace)
		if err != nil {
			t.Fatal(err)
		}
		inOrder(t, string(calls), path)
	}
}

func putOnce(t *testing.T, path string, ifAbsent bool) {
	t.Helper()
	s, err := dir.Open(dir.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	opts := objectstore.PutOptions{IfAbsent: ifAbsent}
	if _, err := s.Put(t.Context(), "a/b/key", strings.NewReader("precious"), -1, opts); err != nil {
		t.Fatal(err)
	}
	fmt.Println(acknowledged)
}

// inOrder finds the steps one after the other.
func inOrder(t *testing.T, calls, path string) {
	t.Helper()
	rest := calls
	for _, step := range []string{
		`write\(\d+<` + path + `/~tmp/\w+>, "precious"`,
		`f(data)?sync\(\d+<` + path + `/~tmp/\w+>`,
		`(rename|link)(at2?)?\(.*"key"`,
		`fsync\(\d+<` + path + `/a/b>`,
		`fsync\(\d+<` + path + `/a>`,
		`fsync\(\d+<` + path + `>`,
		`write\(.*` + acknowledged,
	} {
		at := regexp.MustCompile(step).FindStringIndex(rest)
		if at == nil {
			t.Errorf("%s is missing or too early in:\n%s", step, calls)
			return
		}
		rest = rest[at[1]:]
	}
}
