package realtest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Redis returns the URL of an empty Redis.
func Redis(t testing.TB) string {
	t.Helper()
	if url := os.Getenv("MELODYUD_TEST_REDIS"); url != "" {
		return url
	}
	return StartRedis(t).URL
}

// RedisServer is a Redis that a test may hurt. It keeps its port and, unless
// asked to persist, forgets everything when it ends.
type RedisServer struct {
	URL string

	t testing.TB
	p *process
}

// StartRedis starts a Redis of the test's own; MELODYUD_TEST_REDIS does not
// matter. It writes nothing to disk unless options, like "--appendonly", "yes",
// say so.
func StartRedis(t testing.TB, options ...string) *RedisServer {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		missing(t, "redis-server is not installed")
	}
	dir := t.TempDir()
	p := &process{name: "redis-server", dir: dir, quit: syscall.SIGTERM, ready: pingRedis,
		args: func(port int) []string {
			return append([]string{program, "--bind", "127.0.0.1", "--port", strconv.Itoa(port),
				"--dir", dir, "--save", "", "--appendonly", "no"}, options...)
		}}
	if err := p.begin(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.stop(syscall.SIGKILL) })
	return &RedisServer{URL: "redis://" + host(p.port) + "/0", t: t, p: p}
}

// Stop shuts the server down as an operator would.
func (r *RedisServer) Stop() { r.p.stop(syscall.SIGTERM) }

// Kill ends the server without a chance to write anything.
func (r *RedisServer) Kill() { r.p.stop(syscall.SIGKILL) }

// Start brings a stopped server back on the same port.
func (r *RedisServer) Start() {
	r.t.Helper()
	if err := r.p.start(); err != nil {
		r.t.Fatal(err)
	}
}

// Freeze leaves connections open and answers nothing until Thaw.
func (r *RedisServer) Freeze() { r.must(r.p.signal(syscall.SIGSTOP)) }

// Thaw ends Freeze.
func (r *RedisServer) Thaw() { r.must(r.p.signal(syscall.SIGCONT)) }

// FlushAll wipes everything.
func (r *RedisServer) FlushAll() { r.must(sayRedis(r.t.Context(), r.p.port, "FLUSHALL", "+OK")) }

func (r *RedisServer) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func pingRedis(ctx context.Context, port int) error { return sayRedis(ctx, port, "PING", "+PONG") }

func sayRedis(ctx context.Context, port int, command, want string) error {
	c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", host(port))
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c, "%s\r\n", command); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err
	}
	if got := strings.TrimSpace(line); got != want {
		return fmt.Errorf("redis answered %q to %s", got, command)
	}
	return nil
}
