package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is one of those that are compared.
type server struct {
	name    string
	address string
	path    func(workload) string
	stop    func()
	pids    []int // whose processor time counts
}

// theCore is the processor all servers run on; the load runs on the next one.
const theCore = 0

// start starts all of them and fills their caches. The edge comes first: what it
// prints is what the others are given.
func (s *stage) start(ctx context.Context, o options) (all []*server, err error) {
	for i, program := range []string{o.melodyud, o.also} {
		if program == "" {
			continue
		}
		edge, err := s.startEdge(ctx, program, fmt.Sprintf("data%d", i))
		if err != nil {
			return all, err
		}
		all = append(all, edge)
	}
	if s.list, err = fetch(ctx, all[0].url(playlists)); err != nil {
		return all, err
	}
	origin, address, err := s.origin()
	if err != nil {
		return all, err
	}
	defer origin.Close()
	for _, begin := range []func(context.Context, string) (*server, error){s.startNginx, s.startVarnish} {
		one, err := begin(ctx, address)
		if err != nil {
			return all, err
		}
		all = append(all, one)
	}
	return all, s.compare(ctx, all)
}

// compare fails unless all servers answer with the same bytes, twice.
func (s *stage) compare(ctx context.Context, all []*server) error {
	for range 2 {
		for _, one := range all {
			for _, w := range []workload{segments, playlists} {
				want := s.segment
				if w == playlists {
					want = s.list
				}
				got, err := fetch(ctx, one.url(w))
				if err != nil || !bytes.Equal(got, want) {
					return fmt.Errorf("%s answers with %d other bytes: %w", one.name, len(got), err)
				}
			}
		}
	}
	return nil
}

func (o *server) url(w workload) string { return "http://" + o.address + o.path(w) }

func (s *stage) startEdge(ctx context.Context, program, data string) (*server, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	c := pinned(ctx, program, "serve")
	c.Env = s.environment(address, data)
	one := &server{name: filepath.Base(program), address: address, path: func(w workload) string { return s.base + w.path }}
	return one, one.launch(ctx, c)
}

const nginxConf = `daemon off;
worker_processes 1;
pid %[1]s/pid;
error_log %[1]s/error.log;
events { worker_connections 4096; }
http {
	sendfile on;
	tcp_nopush off;
	access_log off;
	keepalive_requests 1000000000;
	open_file_cache max=1000 inactive=1h;
	open_file_cache_valid 1h;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/temp;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	proxy_cache_path %[1]s/cache keys_zone=all:10m max_size=1g inactive=1h;
	server {
		listen %[2]s;
		location / {
			proxy_pass http://%[3]s;
			proxy_cache all;
			add_header X-Cache-Status $upstream_cache_status;
		}
	}
}
`

func (s *stage) startNginx(ctx context.Context, origin string) (*server, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	home := filepath.Join(s.dir, "nginx")
	conf := filepath.Join(home, "nginx.conf")
	if err := os.MkdirAll(home, 0o777); err != nil {
		return nil, err
	}
	if err := os.Chmod(s.dir, 0o755); err != nil { // its worker is another user
		return nil, err
	}
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, home, address, origin), 0o600); err != nil {
		return nil, err
	}
	one := &server{name: "nginx", address: address, path: func(w workload) string { return w.at }}
	return one, one.launch(ctx, pinned(ctx, "nginx", "-c", conf))
}

func (s *stage) startVarnish(ctx context.Context, origin string) (*server, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	one := &server{name: "varnish", address: address, path: func(w workload) string { return w.at }}
	return one, one.launch(ctx, pinned(ctx, "varnishd", "-F", "-a", address, "-b", origin, "-n", filepath.Join(s.dir, "varnish"),
		"-s", "malloc,256m", "-T", "none", "-p", "timeout_idle=60"))
}

func pinned(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "taskset", append([]string{"-c", strconv.Itoa(theCore), name}, args...)...)
}

// launch starts c and waits until it answers.
func (o *server) launch(ctx context.Context, c *exec.Cmd) error {
	var log bytes.Buffer
	c.Stdout, c.Stderr = &log, &log
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGTERM) }
	c.WaitDelay = 5 * time.Second
	o.stop = func() {}
	if err := c.Start(); err != nil {
		return fmt.Errorf("start %s: %w", o.name, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	o.stop = func() {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGTERM) // it may have ended
		<-ended
	}
	for patience := time.After(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err := fetch(ctx, o.url(segments)); err == nil {
			break
		}
		select {
		case err := <-ended:
			ended <- err
			return fmt.Errorf("%s ended: %w\n%s", o.name, err, log.Bytes())
		case <-patience:
			return fmt.Errorf("%s does not answer\n%s", o.name, log.Bytes())
		default:
		}
	}
	var err error
	o.pids, err = family(c.Process.Pid)
	return err
}

// family is a process and those it started.
func family(pid int) ([]int, error) {
	all := []int{pid}
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil, err
	}
	for _, field := range strings.Fields(string(raw)) {
		child, err := strconv.Atoi(field)
		if err != nil {
			return nil, err
		}
		more, err := family(child)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

var errStatus = errors.New("not answered with 200")

func fetch(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept-Encoding", "identity")
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %w", url, res.Status, errStatus)
	}
	return io.ReadAll(res.Body)
}
