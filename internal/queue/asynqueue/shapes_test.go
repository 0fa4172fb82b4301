package asynqueue_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/melodyud/melodyud/internal/queue/asynqueue"
	"github.com/melodyud/melodyud/internal/queue/queuetest"
	"github.com/melodyud/melodyud/internal/realtest"
)

// flushed opens a queue at rawURL and empties its server.
func flushed(t testing.TB, rawURL string) queuetest.Bench {
	t.Helper()
	q, err := asynqueue.Open(t.Context(), rawURL, asynqueue.Config{Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	b := bench(q)
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
	return b
}

func address(t *testing.T, rawURL string) string {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

func TestARedisClusterKeepsTheContract(t *testing.T) {
	t.Parallel()
	seeds := startCluster(t)
	queuetest.Run(t, func(t testing.TB) queuetest.Bench {
		return flushed(t, "redis-cluster://"+strings.Join(seeds, ","))
	})
}

// startCluster joins three masters, each with a third of the slots.
func startCluster(t *testing.T) (addrs []string) {
	t.Helper()
	var nodes []*redis.Client
	for i := range 3 {
		node := realtest.StartRedis(t, "--cluster-enabled", "yes", "--cluster-port", freePort(t))
		c := redis.NewClient(&redis.Options{Addr: address(t, node.URL)})
		defer c.Close()
		first, last := i*16384/3, (i+1)*16384/3-1
		if err := c.ClusterAddSlotsRange(t.Context(), first, last).Err(); err != nil {
			t.Fatal(err)
		}
		nodes, addrs = append(nodes, c), append(addrs, c.Options().Addr)
	}
	bus := nodes[0].ClusterNodes(t.Context()).Val() // "<id> 127.0.0.1:6379@16379 …"
	_, busPort, _ := strings.Cut(strings.Fields(bus)[1], "@")
	host, port, _ := net.SplitHostPort(addrs[0])
	for _, c := range nodes[1:] {
		if err := c.Do(t.Context(), "CLUSTER", "MEET", host, port, strings.Split(busPort, ",")[0]).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range nodes {
		until(t, "the cluster to agree", func() bool {
			info := c.ClusterInfo(t.Context()).Val()
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_size:3")
		})
	}
	return addrs
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func TestARedisFoundBySentinelKeepsTheContract(t *testing.T) {
	t.Parallel()
	master := realtest.StartRedis(t)
	sentinel := startSentinel(t, address(t, master.URL))
	queuetest.Run(t, func(t testing.TB) queuetest.Bench {
		return flushed(t, "redis-sentinel://"+sentinel+"/0?master=melodyud")
	})
}

func startSentinel(t *testing.T, master string) string {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed")
	}
	port, dir := freePort(t), t.TempDir()
	conf := filepath.Join(dir, "sentinel.conf")
	text := fmt.Sprintf("bind 127.0.0.1\nport %s\ndir %s\nsentinel monitor melodyud %s 1\n", port, dir, strings.Replace(master, ":", " ", 1))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program, conf, "--sentinel")
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	addr := net.JoinHostPort("127.0.0.1", port)
	until(t, "the sentinel to listen", func() bool {
		conn, err := net.Dial("tcp", addr)
		return err == nil && conn.Close() == nil
	})
	return addr
}

// until waits for something another process does.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}

func TestOpenWarnsOfARedisThatEvicts(t *testing.T) {
	t.Parallel()
	for policy, warns := range map[string]bool{"allkeys-lru": true, "noeviction": false} {
		var log bytes.Buffer
		server := realtest.StartRedis(t, "--maxmemory-policy", policy)
		q, err := asynqueue.Open(t.Context(), server.URL, asynqueue.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		_ = q.Close()
		if got := strings.Contains(log.String(), "policy="+policy); got != warns {
			t.Errorf("policy %s: warned %t, want %t: %s", policy, got, warns, log.String())
		}
	}
}
