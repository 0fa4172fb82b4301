package node

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// residentFilePages returns how much of the files it maps this process holds in
// memory, in kB (proc_pid_status(5), RssFile).
func residentFilePages(t *testing.T) (kB int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "RssFile:")
	if _, err := fmt.Sscan(after, &kB); err != nil {
		t.Fatal(err)
	}
	return kB
}

// writeOut has a program file written out that was linked a moment ago: before that
// its pages have to stay.
func writeOut(t *testing.T) {
	t.Helper()
	program, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if err := program.Sync(); err != nil {
		t.Fatal(err)
	}
}

func TestPagesOfTheStartAreReturned(t *testing.T) {
	writeOut(t)
	before := residentFilePages(t)
	if err := returnStartPages(); err != nil {
		t.Fatal(err)
	}
	after := residentFilePages(t)
	if after > before*3/4 {
		t.Errorf("%d kB of files are resident, %d before", after, before)
	}
}
