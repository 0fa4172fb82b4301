package dir_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/objectstore/dir"
)

func TestAnObjectIsThePlainFileOfItsKey(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	s := open(t, func(c *dir.Config) { c.Path = path })
	if _, err := s.Put(t.Context(), "media/x/index.m3u8", strings.NewReader("#EXTM3U"), -1, objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(path, "media", "x", "index.m3u8"))
	if err != nil || string(b) != "#EXTM3U" {
		t.Errorf("the file holds %q, %v", b, err)
	}
}

func TestOpenSweepsOnlyWhatIsAbandoned(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	open(t, func(c *dir.Config) { c.Path = path })
	temp := filepath.Join(path, "~tmp")
	for name, age := range map[string]time.Duration{"dead": 25 * time.Hour, "alive": time.Hour} {
		file := filepath.Join(temp, name)
		if err := os.WriteFile(file, []byte("half a master"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	open(t, func(c *dir.Config) { c.Path = path })
	if _, err := os.Stat(filepath.Join(temp, "dead")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the abandoned file is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(temp, "alive")); err != nil {
		t.Errorf("another process lost its unfinished file: %v", err)
	}
}

func TestNothingTemporaryIsLeftBehindOrListed(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	s := open(t, func(c *dir.Config) { c.Path = path })
	for i := range 3 {
		_, _ = s.Put(t.Context(), "k", strings.NewReader("abc"), int64(i+2), objectstore.PutOptions{IfAbsent: i == 2})
	}
	left, err := os.ReadDir(filepath.Join(path, "~tmp"))
	if err != nil || len(left) != 0 {
		t.Errorf("temporary files %v, %v", left, err)
	}
	for info, err := range s.List(t.Context(), "") {
		if err != nil || info.Key != "k" {
			t.Errorf("listed %+v, %v", info, err)
		}
	}
}

func TestEmptyDirectoriesArePruned(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	s := open(t, func(c *dir.Config) { c.Path = path })
	for _, key := range []string{"a/b/c/d", "a/e"} {
		if _, err := s.Put(t.Context(), key, strings.NewReader("x"), 1, objectstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(t.Context(), "a/b/c/d"); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Join(path, "a"))
	if err != nil || len(left) != 1 || left[0].Name() != "e" {
		t.Errorf("below a: %v, %v; want e alone", left, err)
	}
}

func TestNoSymbolicLinkLeadsOutOfTheDirectory(t *testing.T) {
	t.Parallel()
	outside, path := t.TempDir(), t.TempDir()
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, func(c *dir.Config) { c.Path = path })
	for name, target := range map[string]string{"dir": outside, "file": secret} {
		if err := os.Symlink(target, filepath.Join(path, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"dir/secret", "file"} {
		if r, _, err := s.Open(t.Context(), key, 0, -1); err == nil {
			t.Errorf("%s was opened: %v", key, r.Close())
		}
		if _, err := s.Stat(t.Context(), key); err == nil {
			t.Errorf("%s was found", key)
		}
	}
	if _, err := s.Put(t.Context(), "dir/planted", strings.NewReader("x"), 1, objectstore.PutOptions{}); err == nil {
		t.Error("a put went through a symbolic link")
	}
	if err := s.Delete(t.Context(), "dir/secret"); err == nil {
		t.Error("a delete went through a symbolic link")
	}
	for info, err := range s.List(t.Context(), "") {
		t.Errorf("listed %+v, %v", info, err)
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) != 1 {
		t.Errorf("the directory outside holds %v, %v", left, err)
	}
}

func TestAHugeFlatDirectoryIsListedInPages(t *testing.T) {
	t.Parallel()
	const objects = 10_000 // more than two pages, read in no order
	path := t.TempDir()
	s := open(t, func(c *dir.Config) { c.Path = path })
	if err := os.Mkdir(filepath.Join(path, "masters"), 0o750); err != nil {
		t.Fatal(err)
	}
	for i := range objects {
		name := filepath.Join(path, "masters", fmt.Sprintf("%05d", i*7919%objects))
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	next := 0
	for info, err := range s.List(t.Context(), "masters/") {
		if want := fmt.Sprintf("masters/%05d", next); err != nil || info.Key != want {
			t.Fatalf("object %d is %q, %v; want %q", next, info.Key, err, want)
		}
		next++
	}
	if next != objects {
		t.Errorf("listed %d objects, want %d", next, objects)
	}
}

func TestTwoProcessesRaceForOneKey(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	stores := []*dir.Store{
		open(t, func(c *dir.Config) { c.Path = path }),
		open(t, func(c *dir.Config) { c.Path = path }),
	}
	for round := range 50 {
		var won atomic.Int32
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				_, err := stores[i%2].Put(t.Context(), fmt.Sprintf("race/%d/k", round), strings.NewReader("x"), 1, objectstore.PutOptions{IfAbsent: true})
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, melodyud.ErrConflict) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			t.Errorf("round %d: %d winners", round, won.Load())
		}
	}
}

func TestAFullDiskIsUnavailableAndHarmsNothing(t *testing.T) { // A7
	t.Parallel()
	path := t.TempDir()
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("needs the right to mount a small file system: %v", err)
	}
	defer syscall.Unmount(path, 0)
	s, err := dir.Open(dir.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	body := bytes.Repeat([]byte("x"), 1<<20)
	if _, err := s.Put(t.Context(), "first", bytes.NewReader(body), -1, objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{-1, 2 << 20} {
		_, err := s.Put(t.Context(), "second", bytes.NewReader(append(body, body...)), size, objectstore.PutOptions{})
		if !errors.Is(err, melodyud.ErrUnavailable) {
			t.Errorf("Put on a full disk = %v, want ErrUnavailable", err)
		}
	}
	if info, err := s.Stat(t.Context(), "first"); err != nil || info.Size != 1<<20 {
		t.Errorf("the acknowledged object: %+v, %v", info, err)
	}
	if _, err := s.Put(t.Context(), "third", bytes.NewReader(body[:1<<19]), -1, objectstore.PutOptions{}); err != nil {
		t.Errorf("the failed put kept its space: %v", err)
	}
}

func TestAnOpenReaderSurvivesReplacementAndDeletion(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	put := func(body string) {
		if _, err := s.Put(t.Context(), "k", strings.NewReader(body), -1, objectstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	put("the first version")
	r, _, err := s.Open(t.Context(), "k", 4, 5)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	put("another")
	if err := s.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || string(b) != "first" {
		t.Errorf("read %q, %v", b, err)
	}
}

func TestARangeIsCopiedToASocketWhole(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	body := bytes.Repeat([]byte("0123456789"), 100_000)
	if _, err := s.Put(t.Context(), "k", bytes.NewReader(body), -1, objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	sent := make(chan error, 1)
	go func() { sent <- send(t.Context(), s, listener) }()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	got, err := io.ReadAll(conn)
	if err != nil || !bytes.Equal(got, body[12_345:12_345+900_001]) {
		t.Errorf("the socket got %d bytes, %v", len(got), err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func send(ctx context.Context, s *dir.Store, l net.Listener) error {
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	r, _, err := s.Open(ctx, "k", 12_345, 900_001)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(conn, r)
	return err
}

func TestAConfigurationThatCannotWorkIsInvalid(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, cfg := range []dir.Config{
		{},
		{Path: t.TempDir(), Secret: []byte("short")},
		{Path: t.TempDir(), BaseURL: "music.example/objects"},
		{Path: t.TempDir(), BaseURL: "ftp://music.example"},
		{Path: t.TempDir(), BaseURL: "https://music.example/?a=b"},
	} {
		if _, err := dir.Open(cfg); !errors.Is(err, melodyud.ErrInvalid) {
			t.Errorf("Open(%+v) = %v, want ErrInvalid", cfg, err)
		}
	}
	if _, err := dir.Open(dir.Config{Path: file}); err == nil {
		t.Error("a file was opened as a directory")
	}
}
