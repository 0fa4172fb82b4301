package format

import (
	"os"
	"os/exec"
	"syscall"
	"time"
)

// shareFate ends a converter with the child that runs it.
func shareFate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// spent reports that a process was killed when it had used up its processor time,
// of which the kernel's two counts may differ by a fifth.
func spent(s *os.ProcessState, limit time.Duration) bool {
	if s == nil {
		return false
	}
	status, ok := s.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && s.UserTime()+s.SystemTime() >= limit/2
}
