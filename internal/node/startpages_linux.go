package node

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// returnStartPages returns to the system the pages of the program file that only the
// start needed: they are half of a fresh process. Pages needed again are read
// again, some hundred in the first requests. It costs 20 ms. Where the program file is
// another user's, or was written a moment ago, the system keeps them.
//
// It asks for MADV_PAGEOUT (madvise(2)), which loses nothing. MADV_DONTNEED would also
// throw away what the dynamic linker wrote into pages that are read-only by now.
func returnStartPages() error {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("find the program file: %w", err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return fmt.Errorf("read the memory map: %w", err)
	}
	for line := range strings.Lines(string(maps)) {
		if !strings.HasSuffix(line, " "+program+"\n") {
			continue
		}
		if err := returnPages(line); err != nil {
			return err
		}
	}
	return nil
}

// returnPages returns the pages of one line of /proc/self/maps unless they are written to.
func returnPages(line string) error {
	var from, to uintptr
	var access string
	if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &access); err != nil {
		return fmt.Errorf("read the memory map: %w", err)
	}
	if strings.Contains(access, "w") {
		return nil
	}
	if _, _, errno := unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_PAGEOUT); errno != 0 {
		return fmt.Errorf("return pages of the program file: %w", errno)
	}
	return nil
}
