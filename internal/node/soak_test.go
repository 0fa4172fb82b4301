package node_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/melodyud/melodyud/internal/node"
)

// soak reports whether there is time for tests that wait for real timeouts.
func soak() bool { return os.Getenv("MELODYUD_SOAK") == "1" }

// spawnStage is newStage with a process of its own.
func spawnStage(t *testing.T) (*stage, *process) {
	t.Helper()
	if !soak() {
		t.Skip("set MELODYUD_SOAK=1 to hold a server's connections for minutes")
	}
	data := t.TempDir()
	server := spawn(t, node.Config{Data: data, Addr: "127.0.0.1:0", Ladder: oneQuality()}, "")
	return stageAt(t, server.base, data), server
}

// resident is the memory of a process, in bytes.
func (p *process) resident() (bytes int64) {
	p.t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	var all, pages int64
	if err == nil {
		_, err = fmt.Sscan(string(raw), &all, &pages)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

func TestTenThousandIdleConnectionsAreCheapAndDoNotStay(t *testing.T) { // faults C7
	s, server := spawnStage(t)
	const many, dear, mostMemory = 10_000, 32 << 10, 512 << 20
	before := server.resident()
	idle := make([]net.Conn, many)
	for i := range idle {
		c, err := net.Dial("tcp", s.host)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		defer c.Close()
		idle[i] = c
		if i%2 == 0 { // one that has been used
			fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", s.segment)
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatalf("connection %d: %v", i, err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
	}
	after := server.resident()
	t.Logf("%d idle connections: %d MB, before them %d MB", many, after>>20, before>>20)
	if after > mostMemory || (after-before)/many > dear {
		t.Errorf("want %d MB at most, and %d bytes a connection", mostMemory>>20, dear)
	}
	limit := time.Now().Add(2 * time.Minute)
	for _, c := range idle {
		_ = c.SetReadDeadline(limit)
		if _, err := io.Copy(io.Discard, c); err != nil && os.IsTimeout(err) {
			t.Fatal("an idle connection stays for two minutes")
		}
	}
}

func TestOneByteASecondIsNotWaitedFor(t *testing.T) { // EDGE-16
	s, server := spawnStage(t)
	const readers = 200
	before, idle := server.resident(), server.files()
	done := make(chan struct{})
	var group sync.WaitGroup
	for range readers {
		group.Go(func() { s.sip(done) })
	}
	defer group.Wait()
	defer close(done)
	s.eventually("the slow readers to come", func() bool { return server.files() >= idle+readers })
	began := time.Now()
	time.Sleep(10 * time.Second)
	held := server.resident() - before
	t.Logf("%d slow readers cost %d MB", readers, held>>20)
	if held > 200<<20 {
		t.Errorf("%d slow readers cost %d MB", readers, held>>20)
	}
	s.patience = 2 * time.Minute
	s.eventually("the slow readers to be cut off", func() bool { return server.files() < idle+10 })
	t.Logf("the last one was cut off after %.0f s", time.Since(began).Seconds())
}

// files is how many files and connections a process has open.
func (p *process) files() int {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		p.t.Error(err)
	}
	return len(open)
}

// sip asks for a lot and reads a byte a second. What the kernel holds of the answer
// goes on coming long after the server has had enough.
func (s *stage) sip(done <-chan struct{}) {
	dialer := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		if failed := raw.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096)
		}); failed != nil {
			return failed
		}
		return err
	}}
	c, err := dialer.DialContext(s.t.Context(), "tcp", s.host)
	if err != nil {
		s.t.Error(err)
		return
	}
	defer c.Close()
	go io.WriteString(c, strings.Repeat("GET "+s.segment+" HTTP/1.1\r\nHost: a\r\n\r\n", 2000))
	for {
		select {
		case <-done:
			return
		case <-time.After(time.Second):
		}
		var one [1]byte
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := c.Read(one[:]); err != nil && !os.IsTimeout(err) {
			return
		}
	}
}
