package cache_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/melodyud/melodyud/edge/cache"
)

// onDisk gives a cache a directory and little memory: four blocks may wait to be
// written.
func onDisk(dir string, bytes int64) func(*cache.Config) {
	return func(c *cache.Config) {
		c.Bytes = 256 * kib
		c.Disk = cache.DiskConfig{Dir: dir, Bytes: bytes, Free: -1}
	}
}

// settled waits until the disk tier has read its directory and written n blocks.
func (s *stage) settled(t *testing.T, n float64) {
	t.Helper()
	until(t, "disk opened", func() bool { return s.log.count("disk cache opened") == 1 })
	until(t, fmt.Sprint(n, " blocks written"), func() bool { return s.meter(t, "disk_writes_total", "written") >= n })
}

// wish reads an object and waits until the cache has done with it.
func (s *stage) wish(t *testing.T, key string, size int64) {
	t.Helper()
	s.read(t, key, size)
	until(t, "done", func() bool { return s.meter(t, "filling", "") == 0 })
}

// files are the paths below a directory and their sizes together.
func files(t *testing.T, dir string) (paths []string, bytes int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		paths, bytes = append(paths, path), bytes+info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths, bytes
}

func TestBlocksOnDiskSurviveARestart(t *testing.T) {
	t.Parallel()
	dir, origin := filepath.Join(t.TempDir(), "cache"), &shelf{size: 10*kib + 1}
	first := build(t, origin, onDisk(dir, 1<<20))
	first.settled(t, 0)
	first.read(t, "k", origin.size)
	first.settled(t, 3)
	first.stop()
	if err := os.WriteFile(filepath.Join(dir, "half.new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	paths, _ := files(t, dir)
	half := paths[0] + ".new"
	if err := os.WriteFile(half, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	origin.fail(errAway)
	second := build(t, origin, onDisk(dir, 1<<20))
	second.settled(t, 0)
	if got := second.read(t, "k", origin.size); got.Tier != cache.Disk || got.Header("e") != "e; hit" {
		t.Errorf("%+v", got)
	}
	if n := origin.opens.Load(); n != 3 {
		t.Errorf("the store was asked %d times for three blocks", n)
	}
	if _, err := os.Stat(half); err == nil {
		t.Error("half a file was kept")
	}
}

func TestTheDiskTierStaysBelowItsBytes(t *testing.T) {
	t.Parallel()
	const limit = 128 * kib
	dir, origin := t.TempDir(), &shelf{size: 4 * kib}
	s := build(t, origin, onDisk(dir, limit))
	s.settled(t, 0)
	until(t, "evictions", func() bool { // an hour apart: all of them are worth keeping
		for i := range 100 {
			s.read(t, fmt.Sprint("k", i), origin.size)
		}
		s.clock.advance(time.Hour)
		return s.meter(t, "disk_evictions_total", "") > 0
	})
	s.stop()
	paths, bytes := files(t, dir)
	if bytes > limit || len(paths) < 10 {
		t.Errorf("%d bytes in %d files, %d are allowed", bytes, len(paths), limit)
	}
	smaller := build(t, origin, onDisk(dir, limit/4))
	smaller.settled(t, 0)
	if _, bytes := files(t, dir); bytes > limit/4 {
		t.Errorf("%d bytes after the limit was lowered", bytes)
	}
}

func TestDamagedFilesAreFoundAndFetchedAnew(t *testing.T) {
	t.Parallel()
	damages := map[string]func(path string, data []byte) error{
		"one bit":    func(path string, data []byte) error { data[100] ^= 1; return os.WriteFile(path, data, 0o600) },
		"last bit":   func(path string, data []byte) error { data[len(data)-1] ^= 1; return os.WriteFile(path, data, 0o600) },
		"truncated":  func(path string, data []byte) error { return os.Truncate(path, 1000) },
		"no trailer": func(path string, data []byte) error { return os.Truncate(path, 4*kib) },
		"empty":      func(path string, data []byte) error { return os.Truncate(path, 0) },
		"longer":     func(path string, data []byte) error { return os.WriteFile(path, append(data, 0), 0o600) },
		"gone":       func(path string, _ []byte) error { return os.Remove(path) },
		"a folder":   func(path string, _ []byte) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, origin := t.TempDir(), &shelf{size: 4 * kib}
			first := build(t, origin, onDisk(dir, 1<<20))
			first.settled(t, 0)
			first.read(t, "k", origin.size)
			first.settled(t, 1)
			first.stop()
			paths, _ := files(t, dir)
			data, err := os.ReadFile(paths[0])
			if err != nil || len(paths) != 1 {
				t.Fatal(err, paths)
			}
			if err := damage(paths[0], data); err != nil {
				t.Fatal(err)
			}
			second := build(t, origin, onDisk(dir, 1<<20))
			second.settled(t, 0)
			if got := second.read(t, "k", origin.size); got.Tier != cache.Origin {
				t.Errorf("%+v", got)
			}
			if n := second.meter(t, "disk_corrupt_total", ""); (n == 1) == (name == "gone") {
				t.Errorf("%v files found damaged", n)
			}
			if name != "a folder" {
				second.settled(t, 1) // kept again
			}
		})
	}
}

func TestAFileOfAnotherBlockIsNotServed(t *testing.T) {
	t.Parallel()
	dir, origin := t.TempDir(), &shelf{size: 4 * kib}
	first := build(t, origin, onDisk(dir, 1<<20))
	first.settled(t, 0)
	first.read(t, "a", origin.size)
	first.read(t, "b", origin.size)
	first.settled(t, 2)
	first.stop()
	paths, _ := files(t, dir)
	swap := paths[0] + ".tmp"
	for _, move := range [][2]string{{paths[0], swap}, {paths[1], paths[0]}, {swap, paths[1]}} {
		if err := os.Rename(move[0], move[1]); err != nil {
			t.Fatal(err)
		}
	}
	second := build(t, origin, onDisk(dir, 1<<20))
	second.settled(t, 0)
	second.read(t, "a", origin.size)
	second.read(t, "b", origin.size)
	if n := second.meter(t, "disk_corrupt_total", ""); n != 2 {
		t.Errorf("%v files found to be others", n)
	}
}

func TestAScanDoesNotWashTheDiskOut(t *testing.T) {
	t.Parallel()
	const hot = 20
	dir, origin := t.TempDir(), &shelf{size: 4 * kib}
	s := build(t, origin, onDisk(dir, (hot+10)*8*kib)) // a file takes two pages
	s.settled(t, 0)
	for i := range hot {
		s.wish(t, fmt.Sprint("hot", i), origin.size)
		s.settled(t, float64(i+1))
	}
	for range 3 {
		s.clock.advance(time.Hour)
		for i := range hot {
			s.wish(t, fmt.Sprint("hot", i), origin.size)
		}
	}
	s.clock.advance(time.Hour)
	for i := range 3 * 20 * hot {
		s.wish(t, fmt.Sprint("scan", i/3), origin.size) // as one listener does, segment by segment
	}
	s.stop()
	cold := build(t, origin, onDisk(dir, (hot+10)*8*kib))
	cold.settled(t, 0)
	before := origin.opens.Load()
	for i := range hot {
		cold.read(t, fmt.Sprint("hot", i), origin.size)
	}
	if n := origin.opens.Load() - before; n != 0 {
		t.Errorf("%d of %d blocks that many want were washed out", n, hot)
	}
}

func TestWhatIsWantedAgainGetsOntoAFullDisk(t *testing.T) {
	t.Parallel()
	dir, origin := t.TempDir(), &shelf{size: 4 * kib}
	s := build(t, origin, onDisk(dir, 10*8*kib))
	s.settled(t, 0)
	for i := range 10 {
		s.wish(t, fmt.Sprint("old", i), origin.size)
		s.settled(t, float64(i+1))
	}
	s.wish(t, "new", origin.size)
	s.clock.advance(time.Hour)
	s.wish(t, "new", origin.size) // from memory: it counts all the same
	s.settled(t, 11)
	if n := s.meter(t, "disk_evictions_total", ""); n != 1 {
		t.Errorf("%v blocks had to leave", n)
	}
}

func TestWhatIsWantedOftenOutstaysWhatIsWantedTwice(t *testing.T) {
	t.Parallel()
	const hot = 5
	dir, origin := t.TempDir(), &shelf{size: 4 * kib}
	s := build(t, origin, onDisk(dir, 4*hot*8*kib))
	s.settled(t, 0)
	want := func(name string, n int) {
		for i := range n {
			s.wish(t, fmt.Sprint(name, i), origin.size)
		}
		s.clock.advance(time.Hour)
	}
	written := 0.0
	for _, name := range []string{"hot", "filler0-", "filler1-", "filler2-"} { // until it is full
		for i := range hot {
			s.wish(t, fmt.Sprint(name, i), origin.size)
			written++
			s.settled(t, written)
		}
	}
	s.clock.advance(time.Hour)
	for round := range 60 {
		want("hot", hot)
		key := fmt.Sprint("other", round)
		until(t, key+" is kept", func() bool { // each of them comes onto the disk
			s.read(t, key, origin.size)
			s.clock.advance(2 * time.Minute)
			return s.meter(t, "disk_writes_total", "written") > written
		})
		written++
	}
	if n := s.meter(t, "disk_writes_total", "written"); n != written {
		t.Errorf("%v blocks were written again after they had left", n-written)
	}
	s.stop()
	cold := build(t, origin, onDisk(dir, 4*hot*8*kib))
	cold.settled(t, 0)
	before := origin.opens.Load()
	for i := range hot {
		cold.read(t, fmt.Sprint("hot", i), origin.size)
	}
	if n := origin.opens.Load() - before; n != 0 {
		t.Errorf("%d of %d that were wanted all the time had to leave", n, hot)
	}
}

func TestAFullDiskIsNoListenersTrouble(t *testing.T) { // A7
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("needs the right to mount a small file system: %v", err)
	}
	defer syscall.Unmount(dir, 0)
	foreign, origin := filepath.Join(dir, "foreign"), &shelf{size: 4 * kib}
	_ = os.WriteFile(foreign, make([]byte, 2<<20), 0o600) // to the last byte
	s := build(t, origin, onDisk(filepath.Join(dir, "cache"), 64<<20))
	defer s.stop()
	until(t, "opened", func() bool { return s.log.count("disk cache opened") == 1 })
	for i := range 50 {
		s.wish(t, fmt.Sprint("k", i), origin.size)
		s.clock.advance(time.Minute)
	}
	until(t, "it is said", func() bool { return s.log.count("takes nothing at present") == 1 })
	if err := os.Remove(foreign); err != nil {
		t.Fatal(err)
	}
	s.clock.advance(time.Hour)
	s.read(t, "later", origin.size)
	until(t, "it is well again", func() bool { return s.log.count("takes blocks again") == 1 })
	if n := s.log.count("takes nothing at present"); n != 1 {
		t.Errorf("said %d times", n)
	}
}

func TestTheDiskTierLeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("needs the right to mount a small file system: %v", err)
	}
	defer syscall.Unmount(dir, 0)
	origin := &shelf{size: 4 * kib}
	s := build(t, origin, func(c *cache.Config) {
		onDisk(filepath.Join(dir, "cache"), 64<<20)(c)
		c.Disk.Free = 512 * kib
	})
	defer s.stop()
	s.settled(t, 0)
	wish := func(name string, n int) {
		for i := range n {
			s.read(t, fmt.Sprint(name, i), origin.size)
		}
		s.clock.advance(time.Hour)
	}
	until(t, "some are kept", func() bool {
		wish("k", 200)
		return s.meter(t, "bytes", "disk") >= 256*kib
	})
	if err := os.WriteFile(filepath.Join(dir, "foreign"), make([]byte, 400*kib), 0o600); err != nil {
		t.Fatalf("others have no room: %v", err)
	}
	until(t, "it has made room", func() bool {
		wish("k", 200)
		return free(t, dir) >= 512*kib
	})
}

func free(t *testing.T, dir string) int64 {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		t.Fatal(err)
	}
	return int64(s.Bavail) * s.Bsize
}

func TestADirectoryThatCannotBeIsOnlyLogged(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := build(t, &shelf{size: kib}, onDisk(filepath.Join(file, "cache"), 1<<20))
	s.read(t, "k", kib)
	until(t, "it is said", func() bool { return s.log.count("takes nothing at present") == 1 })
}
