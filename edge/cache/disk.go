package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	melodyud "github.com/melodyud/melodyud"
)

// DiskConfig is the disk tier's part of a Config.
type DiskConfig struct {
	// Dir is a directory of the tier's own, made when absent; empty: no disk tier.
	Dir string
	// Bytes is the most it takes; default 4 GiB.
	Bytes int64
	// Free is how many bytes of the file system are left to others: the tier gives its
	// own away for them. Default a twentieth of the file system; negative: none.
	Free int64
	// Apart is how long two wishes for a block have to lie apart to count as two
	// listeners'; default 1 minute, whole seconds. One listener wants a block several
	// times in a row.
	Apart time.Duration
	// Retry is how long the tier leaves a disk alone that took nothing; default 30 s.
	Retry time.Duration
}

const (
	defaultDisk  = 4 << 30
	defaultApart = time.Minute
	defaultRetry = 30 * time.Second
	freePart     = 20 // of the file system stays free
)

func (d DiskConfig) withDefaults() DiskConfig {
	if d.Bytes == 0 {
		d.Bytes = defaultDisk
	}
	if d.Apart == 0 {
		d.Apart = defaultApart
	}
	if d.Retry == 0 {
		d.Retry = defaultRetry
	}
	return d
}

// disk is the disk tier. All of its methods work on nil, which keeps nothing. A disk
// that fails costs listeners nothing: blocks then come from elsewhere.
type disk struct {
	config  DiskConfig
	block   int64
	apart   int64 // seconds
	log     *slog.Logger
	meters  *meters
	now     func() time.Time
	parcels chan parcel

	mu     sync.Mutex
	open   bool // the directory has been read
	shelf  *shelf
	ghosts ghosts
	queued map[id]bool
	quiet  time.Time // nothing is written before; zero: the disk is well
}

// parcel is a block on its way to the disk.
type parcel struct {
	id     id
	block  block
	entry  *entry
	prized bool
}

func newDisk(c Config, m *meters) (*disk, error) {
	if c.Disk.Dir == "" {
		return nil, nil
	}
	if c.Disk.Bytes < 0 || c.Disk.Apart < 0 || c.Disk.Retry < 0 {
		return nil, fmt.Errorf("%w: the size and times of a disk cache cannot be negative", melodyud.ErrInvalid)
	}
	return &disk{
		config: c.Disk, block: c.Block, apart: int64(c.Disk.Apart / time.Second), log: c.Logger, meters: m, now: c.Now,
		parcels: make(chan parcel, max(c.Bytes/writePart/c.Block, 1)),
		shelf:   newShelf(c.Disk.Bytes), ghosts: newGhosts(2 * c.Disk.Bytes / c.Block), queued: map[id]bool{},
	}, nil
}

// pending is the most memory that parcels take, in bytes.
func (d *disk) pending() int64 {
	if d == nil {
		return 0
	}
	return int64(cap(d.parcels)) * d.block
}

func (d *disk) bytes() int64 {
	if d == nil {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shelf.used
}

// has reports whether there is a file for a block.
func (d *disk) has(b block) bool {
	if d == nil {
		return false
	}
	name := idOf(b, d.block)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shelf.known[name] != nil
}

// read fills f from its file, if there is a sound one.
func (d *disk) read(f *fill) bool {
	i := d.find(idOf(f.block, d.block))
	if i == nil {
		return false
	}
	err := errCorrupt
	if int(i.data) == len(f.data) {
		err = readBlock(d.path(i), f.block, &entry{data: f.data, size: f.size})
	}
	if err != nil {
		d.drop(i, err)
		return false
	}
	f.advance(int64(len(f.data)), Status{Tier: Disk})
	return true
}

func (d *disk) find(name id) *item {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.shelf.known[name]
	if i != nil {
		i.wish()
	}
	return i
}

func (d *disk) path(i *item) string { return filepath.Join(d.config.Dir, i.id.fileName(i.data)) }

// drop forgets a file that cannot be used.
func (d *disk) drop(i *item, err error) {
	d.mu.Lock()
	d.shelf.remove(i)
	d.mu.Unlock()
	d.remove(i)
	if errors.Is(err, fs.ErrNotExist) {
		return // somebody tidied up
	}
	d.meters.diskCorrupt.Inc()
	d.log.Warn("a file of the disk cache was damaged and is fetched anew", slog.String("file", i.id.fileName(i.data)), slog.Any("error", err))
}

func (d *disk) remove(gone ...*item) {
	for _, i := range gone {
		_ = os.Remove(d.path(i)) // what stays is found by the next start
	}
}

// offer has a block written, unless it is there, was wanted for the first time by a
// tier that is full, or the disk is too busy. It never waits.
func (d *disk) offer(b block, e *entry, now int64) {
	name := idOf(b, d.block)
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := d.shelf.known[name]; i != nil {
		i.wish()
		return
	}
	again := d.ghosts.seen(name, now, d.apart)
	if !d.open || d.queued[name] || !again && !d.shelf.fits(onDisk(int64(len(e.data)))) || d.now().Before(d.quiet) {
		return
	}
	select {
	case d.parcels <- parcel{name, b, e, again}:
		d.queued[name] = true
	default:
		d.meters.diskWrites.WithLabelValues("dropped").Inc()
	}
}

// run reads the directory, then writes what is offered, until ctx ends.
func (d *disk) run(ctx context.Context) {
	d.load(ctx)
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case p := <-d.parcels:
			d.store(p)
		case <-look.C:
			d.giveWay(0)
		case <-ctx.Done():
			return
		}
	}
}

// lookEvery is how often the tier sees whether others need its room.
const lookEvery = 10 * time.Second

// load makes the index from the names of the files. What is no block is removed.
func (d *disk) load(ctx context.Context) {
	folders, err := d.folders()
	if err != nil {
		d.fail(err)
	}
	for _, folder := range folders {
		if ctx.Err() != nil {
			return
		}
		if len(folder.Name()) == 2 && folder.IsDir() {
			d.loadFolder(filepath.Join(d.config.Dir, folder.Name()))
		}
	}
	d.mu.Lock()
	d.open = true
	gone := d.shelf.evict(0) // the limit may be lower than it was
	used, files := d.shelf.used, len(d.shelf.known)
	d.mu.Unlock()
	d.remove(gone...)
	d.log.Info("disk cache opened", slog.String("directory", d.config.Dir), slog.Int64("bytes", used), slog.Int("files", files))
}

func (d *disk) folders() ([]os.DirEntry, error) {
	if err := os.MkdirAll(d.config.Dir, 0o700); err != nil {
		return nil, err
	}
	return os.ReadDir(d.config.Dir)
}

func (d *disk) loadFolder(folder string) {
	files, err := os.ReadDir(folder)
	if err != nil {
		d.fail(err)
	}
	for _, f := range files {
		name, n, ok := parseFileName(f.Name())
		if !ok {
			if strings.HasSuffix(f.Name(), tempSuffix) {
				_ = os.Remove(filepath.Join(folder, f.Name()))
			}
			continue
		}
		d.mu.Lock()
		d.shelf.add(&item{id: name, data: n, bytes: onDisk(int64(n)), prized: true})
		d.mu.Unlock()
	}
}

// store writes one block and adds it to the index.
func (d *disk) store(p parcel) {
	i := &item{id: p.id, data: int32(len(p.entry.data)), bytes: onDisk(int64(len(p.entry.data))), prized: p.prized}
	welcome, err := d.makeRoom(i)
	if welcome && err == nil {
		err = d.write(d.path(i), p)
	}
	d.mu.Lock()
	delete(d.queued, p.id)
	if welcome && err == nil {
		d.shelf.add(i)
	}
	d.mu.Unlock()
	switch {
	case err != nil:
		d.fail(err)
	case welcome:
		d.well()
	}
}

// makeRoom has others leave for a prized item. One that was wanted only once is
// welcome where there is room.
func (d *disk) makeRoom(i *item) (welcome bool, err error) {
	var gone []*item
	d.mu.Lock()
	if i.prized {
		gone = d.shelf.evict(i.bytes)
	}
	fits := d.shelf.fits(i.bytes)
	d.mu.Unlock() // what asks the file system may take its time, and listeners wait for mu
	if !i.prized {
		return fits && d.lacks()+i.bytes <= 0, nil
	}
	d.evicted(gone)
	if !fits || !d.giveWay(i.bytes) {
		return true, unix.ENOSPC
	}
	return true, nil
}

func (d *disk) write(path string, p parcel) error {
	err := writeBlock(path, p.block, p.entry)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		err = writeBlock(path, p.block, p.entry)
	}
	return err
}

func (d *disk) evicted(gone []*item) {
	d.remove(gone...)
	d.meters.diskEvicted.Add(float64(len(gone)))
}

// giveWay makes the tier smaller where the file system would have less than its share
// free after n more bytes, and reports whether it has enough now.
func (d *disk) giveWay(n int64) bool {
	lacks := d.lacks() + n
	if lacks <= 0 {
		return true
	}
	d.mu.Lock()
	gone := d.shelf.shed(lacks)
	d.mu.Unlock()
	d.evicted(gone)
	return d.lacks()+n <= 0
}

// lacks is how many bytes the file system has too few free; negative: to spare.
func (d *disk) lacks() int64 {
	var s unix.Statfs_t
	if err := unix.Statfs(d.config.Dir, &s); err != nil {
		return -1 << 40 // not there yet; writing will tell
	}
	keep := d.config.Free
	switch {
	case keep < 0:
		return -1 << 40
	case keep == 0:
		keep = int64(s.Blocks) * int64(s.Bsize) / freePart //nolint:unconvert // the types differ between systems
	}
	return keep - int64(s.Bavail)*int64(s.Bsize) //nolint:unconvert
}

// fail leaves the disk alone for a while, and says so once.
func (d *disk) fail(err error) {
	d.meters.diskWrites.WithLabelValues("failed").Inc()
	d.mu.Lock()
	first := d.quiet.IsZero()
	d.quiet = d.now().Add(d.config.Retry)
	d.mu.Unlock()
	if first {
		d.log.Warn("the disk cache takes nothing at present; blocks are kept in memory only",
			slog.String("directory", d.config.Dir), slog.Any("error", err))
	}
}

func (d *disk) well() {
	d.meters.diskWrites.WithLabelValues("written").Inc()
	d.mu.Lock()
	again := !d.quiet.IsZero()
	d.quiet = time.Time{}
	d.mu.Unlock()
	if again {
		d.log.Info("the disk cache takes blocks again", slog.String("directory", d.config.Dir))
	}
}
