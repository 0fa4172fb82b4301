package node_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// server is bin/melodyud serving a directory, as make builds it.
type server struct {
	b    *testing.B
	base string
	key  string
	pid  int
}

func serveBinary(b *testing.B) *server {
	b.Helper()
	binary, err := filepath.Abs(filepath.Join("..", "..", "bin", "melodyud"))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := os.Stat(binary); err != nil {
		b.Skip("bin/melodyud is not built: use make bench")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	data, addr := b.TempDir(), l.Addr().String()
	_ = l.Close()
	cmd := exec.Command(binary, "serve", "--roles", "api", "--data", data, "--addr", addr)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	s := &server{b: b, base: "http://" + addr, pid: cmd.Process.Pid}
	for range 1000 {
		raw, err := os.ReadFile(filepath.Join(data, "local.key"))
		if s.key = strings.TrimSpace(string(raw)); err == nil && s.ask("OPTIONS", "/v1/uploads", nil, 0, nil) == nil {
			return s
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.Fatal("the server did not start")
	return nil
}

// ask sends a request of size bytes and decodes the answer's headers or body.
func (s *server) ask(method, path string, body io.Reader, size int64, use func(*http.Response) error, headers ...string) error {
	req, err := http.NewRequestWithContext(context.Background(), method, s.base+path, body)
	if err != nil {
		return err
	}
	req.ContentLength = size
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set("Authorization", "Bearer "+s.key)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s", method, path, res.Status)
	}
	if use != nil {
		return use(res)
	}
	return nil
}

// upload sends size bytes of r in one request and returns the upload's path.
func (s *server) upload(r io.Reader, size int64) (path string, err error) {
	err = s.ask("POST", "/v1/uploads", nil, 0, func(res *http.Response) error { path = res.Header.Get("Location"); return nil },
		"Upload-Length", strconv.FormatInt(size, 10))
	if err == nil {
		err = s.ask("PATCH", path, r, size, nil, "Content-Type", "application/offset+octet-stream", "Upload-Offset", "0")
	}
	return path, err
}

// handedOver waits until the upload has become a track.
func (s *server) handedOver(path string) {
	s.b.Helper()
	for range 6000 {
		var v struct{ State string }
		err := s.ask("GET", path, nil, 0, func(res *http.Response) error { return json.NewDecoder(res.Body).Decode(&v) })
		if err != nil {
			s.b.Fatal(err)
		}
		if v.State == "received" {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.b.Fatal("the upload was not handed over")
}

// memory is what the process holds, in MB: of its own, and with the pages of its
// program file.
func (s *server) memory() (own, all float64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	if err != nil {
		s.b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		n, _ := strconv.ParseFloat(fields[1], 64)
		switch fields[0] {
		case "RssAnon:":
			own = n * 1024 / 1e6
		case "VmRSS:":
			all = n * 1024 / 1e6
		}
	}
	return own, all
}

// randomFile makes a file of n bytes and returns its path.
func randomFile(b *testing.B, n int64) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "master")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if _, err := io.CopyN(f, rand.Reader, n); err != nil {
		b.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	return path
}

// anew opens the file with n written into its beginning: the same bytes again would be
// a duplicate, and wait for their owner's word.
func anew(b *testing.B, path string, n int) *os.File {
	b.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	if _, err := f.WriteAt(binary.BigEndian.AppendUint64(nil, uint64(n)), 0); err != nil {
		b.Fatal(err)
	}
	return f
}

// BenchmarkUploadBesideCopy sends one file through the server into its directory,
// and lets cp and sha256sum do the same on the same disk: not synced, which flatters
// them, and synced as ours is. More than 1 is faster than they are; 0.5 is promised.
func BenchmarkUploadBesideCopy(b *testing.B) {
	const size = 256 << 20
	s, master := serveBinary(b), randomFile(b, size)
	var sent, received, copied, synced float64
	for n := 0; b.Loop(); n++ {
		f := anew(b, master, n)
		begun := time.Now()
		path, err := s.upload(f, size)
		if err != nil {
			b.Fatal(err)
		}
		sent += time.Since(begun).Seconds()
		s.handedOver(path)
		received += time.Since(begun).Seconds()
		copied += measure(b, exec.Command("sh", "-c", `cp "$1" "$1.copy" && sha256sum "$1.copy"`, "sh", master)).wall
		synced += measure(b, exec.Command("sh", "-c", `cp "$1" "$1.copy" && sync "$1.copy" && sha256sum "$1.copy"`, "sh", master)).wall
		_ = os.Remove(master + ".copy")
	}
	n := float64(b.N)
	b.ReportMetric(size*n/sent/1e6, "MB/s")
	b.ReportMetric(copied/sent, "cp+sha256sum/upload")
	b.ReportMetric(copied/received, "cp+sha256sum/handed-over")
	b.ReportMetric(synced/received, "synced-cp+sha256sum/handed-over")
	b.ReportMetric(0, "ns/op") // meaningless: all ran
}

// BenchmarkFiftyUploadsAtOnce tells what memory the server takes meanwhile: of its own,
// and resident, with the pages of the program file. Less than 64 MB resident are promised.
func BenchmarkFiftyUploadsAtOnce(b *testing.B) {
	const uploads, size = 50, 8 << 20
	s := serveBinary(b)
	data := make([]byte, size)
	_, _ = rand.Read(data)
	idle, _ := s.memory()
	var own, all float64
	for b.Loop() {
		var group sync.WaitGroup
		for range uploads {
			group.Go(func() {
				if _, err := s.upload(bytes.NewReader(data), size); err != nil {
					b.Error(err)
				}
			})
		}
		over := make(chan struct{})
		go func() { group.Wait(); close(over) }()
		for running := true; running; {
			o, a := s.memory()
			own, all = max(own, o), max(all, a)
			select {
			case <-over:
				running = false
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	b.ReportMetric(idle, "idle-own-MB")
	b.ReportMetric(own, "own-MB")
	b.ReportMetric(all, "resident-MB")
	b.ReportMetric(0, "ns/op") // meaningless: all ran
}
