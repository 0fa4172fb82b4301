package edge

import (
	"fmt"

	"github.com/maypok86/otter/v2"

	"github.com/melodyud/melodyud/edge/wire"
)

const (
	defaultCacheBytes = 256 << 20
	filesPart         = 4        // one in so many bytes of the cache is for files
	leastFile         = 64 << 10 // bytes counted for each: they are open files, of which there may be so many
	leastSent         = 32 << 10 // bytes for which another call of the system costs less than copying

	// wantedOften is how often a segment is answered from the cache of blocks before it
	// gets a file, so that a listener who walks through an album takes nobody's room.
	// Every so often it is tried again.
	wantedOften, tryAgain = 3, 64

	hearEvery = 8
)

// files are the segments that are wanted most, a second time, as files in memory: the
// kernel sends them without copying.
type files struct {
	dir  string
	kept *otter.Cache[stretch, *wire.File]
}

func newFiles(dir string, bytes int64) (*files, error) {
	kept, err := otter.New(&otter.Options[stretch, *wire.File]{
		MaximumWeight:    uint64(max(bytes, leastFile)),
		Weigher:          func(_ stretch, f *wire.File) uint32 { return uint32(max(f.Size(), leastFile)) },
		OnAtomicDeletion: func(e otter.DeletionEvent[stretch, *wire.File]) { e.Value.Release() },
	})
	if err != nil {
		return nil, fmt.Errorf("cache of files: %w", err)
	}
	return &files{dir, kept}, nil
}

// close lets go of all files.
func (f *files) close() {
	f.kept.InvalidateAll()
	f.kept.CleanUp()
	f.kept.StopAllGoroutines()
}

// get returns the file of an answer, held for the caller; nil if there is none. What
// decides on who stays hears of some of the wishes, which tells it as much as all.
func (f *files) get(a *hotAnswer) *wire.File {
	if one := a.file.Load(); one != nil && a.asked.Add(1)%hearEvery != 0 && one.Hold() {
		return one
	}
	one, ok := f.kept.GetIfPresent(*a.stretch)
	if ok && one.Hold() {
		a.file.Store(one)
		return one
	}
	a.file.Store(nil)
	return nil
}

// put makes a file of a stretch. Where that does not work, blocks serve as well.
func (f *files) put(s *stretch, parts [][]byte) {
	if s.length < leastSent || s.length > leastFile<<6 { // a few seconds of lossless sound have 2 MB
		return
	}
	if one, err := wire.NewFile(f.dir, parts); err == nil {
		f.kept.Set(*s, one)
	}
}
