package workers

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/fault"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/packager"
	"github.com/melodyud/melodyud/transcode"
)

const maxManifest = 64 << 20 // bytes

// contentTypes are those of the objects under media/ (HLS-81).
var contentTypes = map[string]string{
	".mp4": "audio/mp4", ".m3u8": "application/vnd.apple.mpegurl", ".mpd": "application/dash+xml",
	".json": "application/json", ".dat": "application/octet-stream", ".jpg": "image/jpeg", ".png": "image/png",
}

// item is one file to store.
type item struct {
	name string
	size int64
	rank int
}

// rank orders items so that whatever is there only refers to what is there: sound,
// then playlists and the rest, the manifest last (A10).
func rank(name string) int {
	switch {
	case name == packager.ManifestFile:
		return 2
	case strings.HasSuffix(name, ".mp4"):
		return 0
	}
	return 1
}

// pointBefore names the fault point that is passed once before items of a rank.
var pointBefore = map[int]string{1: "store.media", 2: "store.playlist"}

func itemsIn(dir string) (items []item, total int64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, 0, err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, 0, err
		}
		if strings.HasPrefix(e.Name(), ".") || !info.Mode().IsRegular() || slices.Contains(featureFiles, e.Name()) {
			continue // a spool, or what has a folder of its own
		}
		items = append(items, item{e.Name(), info.Size(), rank(e.Name())})
		total += info.Size()
	}
	slices.SortFunc(items, func(a, b item) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.name, b.name))
	})
	return items, total, nil
}

// storeAll puts the files in dir under media/<hash>/.
func (w *worker) storeAll(ctx context.Context, dir, hash string, progress func(float64)) error {
	items, total, err := itemsIn(dir)
	if err != nil {
		return fmt.Errorf("list what was rendered: %w", err)
	}
	var done int64
	last := 0
	for _, it := range items {
		if it.rank != last {
			last = it.rank
			if err := fault.Point(pointBefore[it.rank]); err != nil {
				return err
			}
		}
		if err := w.storeFile(ctx, filepath.Join(dir, it.name), "media/"+hash+"/"+it.name, it); err != nil {
			return fmt.Errorf("store %s: %w", it.name, err)
		}
		done += it.size
		progress(float64(done) / float64(max(total, 1)))
	}
	return nil
}

// storeFile puts one file, unless the object is there already with the same bytes:
// one with others was damaged and is written again.
func (w *worker) storeFile(ctx context.Context, path, key string, it item) error {
	if it.rank == 0 {
		if err := fault.Point("store.segment"); err != nil {
			return err
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return onDisk(err)
	}
	defer f.Close()
	same, err := w.same(ctx, f, key, it.size)
	if err != nil || same {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err = w.c.Store.Put(ctx, key, f, it.size, objectstore.PutOptions{ContentType: contentTypes[filepath.Ext(key)]})
	return err
}

func (w *worker) same(ctx context.Context, f io.Reader, key string, size int64) (bool, error) {
	info, err := w.c.Store.Stat(ctx, key)
	if errors.Is(err, melodyud.ErrNotFound) {
		return false, nil
	}
	if err != nil || info.Size != size {
		return false, err
	}
	r, _, err := w.c.Store.Open(ctx, key, 0, -1)
	if err != nil {
		return false, err
	}
	defer r.Close()
	here, err := digest(ctx, f)
	if err != nil {
		return false, err
	}
	there, err := digest(ctx, r)
	return bytes.Equal(here, there), err
}

func digest(ctx context.Context, r io.Reader) ([]byte, error) {
	hash := sha256.New()
	_, err := io.Copy(hash, &attentive{ctx, r})
	return hash.Sum(nil), err
}

// stored reports whether media/<hash>/ is complete and whole. A damaged one is
// made again.
func (w *worker) stored(ctx context.Context, hash string) (bool, error) {
	_, _, err := w.readBack(ctx, hash)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, melodyud.ErrNotFound):
		return false, nil
	case errors.Is(err, melodyud.ErrUnavailable), errors.Is(err, melodyud.ErrLimited), ctx.Err() != nil:
		return false, err
	}
	w.c.Logger.WarnContext(ctx, "stored render is damaged", "render", hash, "error", err)
	return false, nil
}

// readBack reads the manifest of media/<hash>/ and holds every object to it.
func (w *worker) readBack(ctx context.Context, hash string) (*melodyud.Manifest, []byte, error) {
	raw, err := w.readAll(ctx, "media/"+hash+"/"+packager.ManifestFile)
	if err != nil {
		return nil, nil, fmt.Errorf("read manifest of %s: %w", hash, err)
	}
	var m melodyud.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, nil, fmt.Errorf("read manifest of %s: %w", hash, err)
	}
	if m.RenderHash != hash {
		return nil, nil, fmt.Errorf("the manifest of %s says %q", hash, m.RenderHash)
	}
	defer w.metrics.stage("verify")()
	err = packager.Prove(ctx, func(name string, offset, length int64) (io.ReadCloser, error) {
		r, _, err := w.c.Store.Open(ctx, "media/"+hash+"/"+name, offset, length)
		return r, err
	}, &m, transcode.Frames)
	if err != nil {
		return nil, nil, fmt.Errorf("verify render %s: %w", hash, err)
	}
	return &m, raw, nil
}

func (w *worker) readAll(ctx context.Context, key string) ([]byte, error) {
	r, info, err := w.c.Store.Open(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if info.Size > maxManifest {
		return nil, fmt.Errorf("it has %d bytes", info.Size)
	}
	return io.ReadAll(r)
}
