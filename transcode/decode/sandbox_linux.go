package decode

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
)

// confine puts the child into a process group of its own, so that a converter it
// runs dies with it, and ties it to our life.
func confine(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func killTree(p *os.Process) error {
	if err := syscall.Kill(-p.Pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
		return err
	}
	return nil
}

// pipeSize lets the child decode ahead while the reader is busy.
const pipeSize = 1 << 20

func widen(f *os.File) {
	if conn, err := f.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { // a smaller pipe only costs speed
			_, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize)
		})
	}
}

// killedFromOutside tells the machine's trouble (the kernel short of memory, an
// operator) from the file's: a child that used up its processor time is killed
// too. What the kernel counts for its limit and what it reports may differ by a
// fifth; half the limit is more than music needs.
func killedFromOutside(s *os.ProcessState, limit time.Duration) bool {
	if s == nil {
		return false
	}
	status, ok := s.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL &&
		s.UserTime()+s.SystemTime() < limit/2
}

// standsStill reports a process that others hold: stopped, traced, or waiting for
// a disk.
func standsStill(p *os.Process) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid))
	if err != nil {
		return false
	}
	_, rest, _ := bytes.Cut(stat, []byte(") ")) // after the name
	return len(rest) > 0 && bytes.IndexByte([]byte("TtD"), rest[0]) >= 0
}

// closeInherited closes what our caller was started with and did not know of, as
// shells and supervisors leave it: descriptors that outlived an exec. The runtime's
// own are marked to be closed on exec.
func closeInherited() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("list own descriptors: %w", err)
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= int(os.Stderr.Fd()) {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd)
		}
	}
	return nil
}

// maxFiles is enough for the descriptors of the runtime and of a converter.
const maxFiles = 32

// sandbox limits this process. RLIMIT_DATA counts the memory that can be written
// to; RLIMIT_AS would count what Go only reserves. RLIMIT_NPROC counts all
// processes of the user, ours included, and is no use here.
func sandbox(j errand) error {
	if err := closeInherited(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	cpu := uint64((j.Limits.MaxCPU + time.Second - 1) / time.Second)
	for _, l := range []struct {
		which int
		most  uint64
	}{
		{unix.RLIMIT_DATA, uint64(j.Limits.MaxMemory)},
		{unix.RLIMIT_CPU, cpu},
		{unix.RLIMIT_FSIZE, 0},
		{unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_NOFILE, maxFiles},
	} {
		if err := unix.Setrlimit(l.which, &unix.Rlimit{Cur: l.most, Max: l.most}); err != nil {
			return fmt.Errorf("resource limit %d: %w", l.which, err)
		}
	}
	if err := landlocked(j); err != nil {
		return err
	}
	return forbidCalls()
}

// landlocked denies the file system and TCP, as far as this kernel can.
// A converter needs its own program and its libraries; it is fed through a pipe.
func landlocked(j errand) error {
	var rules []landlock.Rule
	if j.FFmpeg != "" {
		rules = append(rules,
			landlock.ROFiles(j.FFmpeg).IgnoreIfMissing(),
			landlock.ROFiles("/etc/ld.so.cache", "/dev/null").IgnoreIfMissing(),
			landlock.RODirs("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib").IgnoreIfMissing())
	}
	return landlock.V6.BestEffort().Restrict(rules...)
}

// seal takes away what only a converter needs, once it is clear that none is.
func seal() error { return landlock.V6.BestEffort().RestrictPaths() }
