package format

import (
	"os"
	"os/exec"
	"syscall"
)

// shareFate ends a converter with the child that runs it.
func shareFate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// spent reports that a process was ended by its limits.
func spent(s *os.ProcessState) bool {
	if s == nil {
		return false
	}
	status, ok := s.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGXCPU
}
