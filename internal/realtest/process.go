// Package realtest starts the real servers that integration tests run against:
// Redis, PostgreSQL and MinIO, each on a free port with its data in a directory
// of its own. A server dies with the test program, even if that is killed.
//
// MELODYUD_TEST_REDIS, MELODYUD_TEST_POSTGRES and MELODYUD_TEST_S3 are URLs to use
// instead. Where a program is missing the test is skipped, or fails if
// MELODYUD_INTEGRATION=1 says that everything must be there.
package realtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	startTimeout = 30 * time.Second
	stopTimeout  = 20 * time.Second
	look         = 5 * time.Millisecond
	tries        = 3 // a free port may be taken before the server listens on it
)

// process is a server that can be started again on its port.
type process struct {
	name  string
	port  int
	args  func(port int) []string // the program and its arguments
	env   []string
	cred  *syscall.Credential // nil: ours
	dir   string              // the log goes to dir/log
	quit  syscall.Signal      // asks it to stop; also what it gets when we die
	ready func(ctx context.Context, port int) error

	mu  sync.Mutex
	cmd *exec.Cmd // nil: not running
}

// begin finds a free port and starts the server on it.
func (p *process) begin() error {
	var err error
	for range tries {
		if p.port, err = freePort(); err != nil {
			return err
		}
		if err = p.start(); err == nil {
			return nil
		}
	}
	return err
}

// start runs the server on its port and waits until it is ready.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		return nil
	}
	if err := p.spawn(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	if err := p.await(); err != nil {
		p.halt(syscall.SIGKILL)
		return fmt.Errorf("start %s: %w\n%s", p.name, err, p.tail())
	}
	return nil
}

func (p *process) spawn() error {
	log, err := os.OpenFile(p.dir+"/log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	args := p.args(p.port)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, log, log
	cmd.Env = append(os.Environ(), p.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: p.quit, Credential: p.cred}
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd = cmd
	return nil
}

// await polls until the server answers, ends by itself or takes too long.
func (p *process) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		err := p.ready(ctx, p.port)
		if err == nil {
			return nil
		}
		if p.reap() {
			return fmt.Errorf("it ended by itself: %w", err)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("not ready in %s: %w", startTimeout, err)
		}
		time.Sleep(look)
	}
}

// reap takes the exit status of a server that has ended. No goroutine waits for
// a server: the tests that use one may look for leaks.
func (p *process) reap() bool {
	if p.cmd == nil {
		return true
	}
	var status syscall.WaitStatus
	pid, err := syscall.Wait4(p.cmd.Process.Pid, &status, syscall.WNOHANG, nil)
	if pid == 0 || err == syscall.EINTR {
		return false
	}
	_ = p.cmd.Process.Release()
	p.cmd = nil
	return true
}

// stop ends the server with the signal and returns once it is gone.
func (p *process) stop(signal syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.halt(signal)
}

func (p *process) halt(signal syscall.Signal) {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(signal) // it may be gone already
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
	for patience := time.Now().Add(stopTimeout); !p.reap(); time.Sleep(look) {
		if time.Now().After(patience) {
			_ = p.cmd.Process.Kill()
		}
	}
}

// signal sends a signal and leaves the rest to the server.
func (p *process) signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return os.ErrProcessDone
	}
	return p.cmd.Process.Signal(s)
}

func (p *process) tail() string {
	log, err := os.ReadFile(p.dir + "/log")
	if err != nil {
		return err.Error()
	}
	return string(log[max(0, len(log)-2000):])
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func host(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

// missing skips the test, or fails it where everything must be there.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("MELODYUD_INTEGRATION") == "1" {
		t.Fatalf("%s, and MELODYUD_INTEGRATION=1 wants it", what)
	}
	t.Skip(what)
}
