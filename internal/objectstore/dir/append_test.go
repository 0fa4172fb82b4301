package dir_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/objectstore/dir"
)

var _ objectstore.Grower = (*dir.Store)(nil)

func read(t *testing.T, s *dir.Store, key string) string {
	t.Helper()
	r, _, err := s.Open(t.Context(), key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func grow(t *testing.T, s *dir.Store, key, text string, offset int64) {
	t.Helper()
	if n, err := s.Append(t.Context(), key, offset, strings.NewReader(text)); err != nil || n != int64(len(text)) {
		t.Fatalf("%d, %v", n, err)
	}
}

func TestAnObjectGrowsOnlyAtItsEnd(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	grow(t, s, "u/x/0-A", "one ", 0)
	grow(t, s, "u/x/0-A", "two", 4)
	for _, offset := range []int64{0, 3, 8} {
		body := strings.NewReader("x")
		if _, err := s.Append(t.Context(), "u/x/0-A", offset, body); !errors.Is(err, melodyud.ErrConflict) || body.Len() != 1 {
			t.Errorf("at %d: %v, %d bytes left", offset, err, body.Len())
		}
	}
	if _, err := s.Append(t.Context(), "u/x/absent", 5, strings.NewReader("x")); !errors.Is(err, melodyud.ErrConflict) {
		t.Errorf("absent: %v", err)
	}
	if _, err := s.Append(t.Context(), "../x", 0, strings.NewReader("x")); !errors.Is(err, melodyud.ErrInvalid) {
		t.Errorf("bad key: %v", err)
	}
	if got := read(t, s, "u/x/0-A"); got != "one two" {
		t.Errorf("%q", got)
	}
}

func TestWhatWasAppendedCanBeTakenBack(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	grow(t, s, "k", "keep", 0)
	grow(t, s, "k", "drop", 4)
	if err := s.Cut(t.Context(), "k", 4, 2); !errors.Is(err, melodyud.ErrConflict) {
		t.Errorf("others' bytes were cut: %v", err)
	}
	if err := s.Cut(t.Context(), "k", 8, 4); err != nil || read(t, s, "k") != "keep" {
		t.Errorf("%v, %q", err, read(t, s, "k"))
	}
	if err := s.Cut(t.Context(), "k", 4, 0); err != nil {
		t.Error(err)
	}
	if _, err := s.Stat(t.Context(), "k"); !errors.Is(err, melodyud.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

type failing struct{ io.Reader }

func (f failing) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err == io.EOF {
		err = errors.New("cut")
	}
	return n, err
}

func TestAFailedAppendAddsNothing(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	grow(t, s, "k", "whole", 0)
	if _, err := s.Append(t.Context(), "k", 5, failing{strings.NewReader("half")}); err == nil {
		t.Error("no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Append(ctx, "k", 5, strings.NewReader("late")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	grow(t, s, "k", "!", 5)
	if got := read(t, s, "k"); got != "whole!" {
		t.Errorf("%q", got)
	}
}

func TestOneOfManyAppendsAtAnOffsetWins(t *testing.T) { // faults.md A2
	t.Parallel()
	path := t.TempDir()
	stores := []*dir.Store{open(t, func(c *dir.Config) { c.Path = path }), open(t, func(c *dir.Config) { c.Path = path })}
	grow(t, stores[0], "k", "0", 0)
	for round := range int64(50) {
		var won atomic.Int32
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				switch _, err := stores[i%2].Append(t.Context(), "k", 1+round, strings.NewReader("x")); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, melodyud.ErrConflict):
					t.Error(err)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			t.Fatalf("round %d: %d winners", round, won.Load())
		}
	}
}

func TestPartsAreJoinedInOrderAndLinkedWhenAlone(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	s := open(t, func(c *dir.Config) { c.Path = path })
	grow(t, s, "u/a", "first, never acknowledged", 0)
	grow(t, s, "u/b", "second", 0)
	for _, c := range []struct {
		parts  []objectstore.Span
		want   string
		linked bool
	}{
		{[]objectstore.Span{{Key: "u/a", Size: 5}, {Key: "u/b", Size: 6}, {Key: "u/b", Size: 3}}, "firstsecondsec", false},
		{[]objectstore.Span{{Key: "u/a", Size: 5}}, "first", false},
		{[]objectstore.Span{{Key: "u/b", Size: 6}}, "second", true},
		{[]objectstore.Span{{Key: "u/b", Size: 6}}, "second", true}, // again, as after a crash
	} {
		if err := s.Join(t.Context(), "masters/m", c.parts); err != nil || read(t, s, "masters/m") != c.want {
			t.Fatalf("%v: %v, %q", c.parts, err, read(t, s, "masters/m"))
		}
		master, _ := os.Stat(filepath.Join(path, "masters", "m"))
		part, err := os.Stat(filepath.Join(path, filepath.FromSlash(c.parts[0].Key)))
		if err != nil || os.SameFile(master, part) != c.linked {
			t.Errorf("%v: linked %v, %v", c.parts, !c.linked, err)
		}
	}
	if err := s.Delete(t.Context(), "u/a", "u/b"); err != nil || read(t, s, "masters/m") != "second" {
		t.Errorf("the master went with its part: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(path, "~tmp")); err != nil || len(left) != 0 {
		t.Errorf("temporary files %v, %v", left, err)
	}
}

func TestWhatWasLinkedNeverGrowsAgain(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	grow(t, s, "u/a", "master", 0)
	if err := s.Join(t.Context(), "masters/m", []objectstore.Span{{Key: "u/a", Size: 6}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), "u/a", 6, strings.NewReader(" of a late writer")); !errors.Is(err, melodyud.ErrConflict) {
		t.Error(err)
	}
	if err := s.Cut(t.Context(), "u/a", 6, 3); !errors.Is(err, melodyud.ErrConflict) {
		t.Error(err)
	}
	if got := read(t, s, "masters/m"); got != "master" {
		t.Errorf("%q", got)
	}
}

func TestPartsThatCannotBeJoinedLeaveNoObject(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	grow(t, s, "u/a", "short", 0)
	for _, parts := range [][]objectstore.Span{
		{{Key: "u/a", Size: 6}}, {{Key: "u/none", Size: 1}}, {{Key: "u/a", Size: 5}, {Key: "u/none", Size: 1}}, {{Key: "../etc", Size: 1}},
	} {
		if err := s.Join(t.Context(), "masters/m", parts); melodyud.Kind(err) == nil {
			t.Errorf("%v: %v", parts, err)
		}
	}
	if _, err := s.Stat(t.Context(), "masters/m"); !errors.Is(err, melodyud.ErrNotFound) {
		t.Error(err)
	}
}

func TestAnAppendToAFullDiskAddsNothing(t *testing.T) { // A7
	t.Parallel()
	path := t.TempDir()
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("needs the right to mount a small file system: %v", err)
	}
	defer syscall.Unmount(path, 0)
	s, err := dir.Open(dir.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	grow(t, s, "k", "kept", 0)
	if _, err := s.Append(t.Context(), "k", 4, strings.NewReader(strings.Repeat("x", 2<<20))); !errors.Is(err, melodyud.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	grow(t, s, "k", ", and more", 4)
	if got := read(t, s, "k"); got != "kept, and more" {
		t.Errorf("%q", got)
	}
}

func TestAChildThatIsBeingStartedLocksNothing(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	grow(t, s, "k", "0", 0)
	ctx, stop := context.WithCancel(t.Context())
	var children sync.WaitGroup
	for range 4 {
		children.Go(func() {
			for ctx.Err() == nil {
				_ = exec.Command("true").Run()
			}
		})
	}
	for i := range int64(200) {
		grow(t, s, "k", "x", 1+i)
	}
	stop()
	children.Wait()
}
