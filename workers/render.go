package workers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/fault"
	"github.com/melodyud/melodyud/transcode"
)

// render makes a track's renditions and stores them. What is in the store already
// and stands up to verification is not made again.
func (w *worker) render(ctx context.Context, l *lease) error {
	dir, err := w.scratch.job()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	l.show(melodyud.StageValidating, 0)
	master := l.claim.Track.Master
	src, facts, err := w.examine(ctx, dir, master)
	if err != nil {
		return err
	}
	defer src.Close()
	hash := w.recipe(l).hash(w.c.Engine)
	if err := w.c.Catalog.Storing(ctx, l.claim, hash); err != nil {
		return err
	}
	set := FeatureSet(w.c.Engine, master.SHA256)
	if err := w.c.Catalog.Listening(ctx, l.claim, set); err != nil {
		return err
	}
	there, err := w.stored(ctx, hash)
	if err == nil && !there {
		err = w.make(ctx, l, src, facts, filepath.Join(dir, "media"), hash, set.Hash)
	}
	if err == nil && (there || w.recipe(l).gain != 0) { // but another analyzer may have heard it
		err = w.listen(ctx, src, filepath.Join(dir, "features"), master, set, func(f float64) { l.show(melodyud.StageRendering, f) })
	}
	if err != nil {
		return err
	}
	if err := l.end(ctx); err != nil {
		return err
	}
	return w.c.Catalog.Rendered(ctx, l.claim, melodyud.Rendering{Hash: hash, FeaturesHash: set.Hash, Tags: facts.Tags})
}

func (w *worker) recipe(l *lease) recipe {
	return recipe{master: l.claim.Track.Master.SHA256, ladder: w.c.Ladder, gain: l.claim.Track.Gain}
}

// examine fetches a master and judges it by its headers.
func (w *worker) examine(ctx context.Context, dir string, m melodyud.Master) (*os.File, transcode.Facts, error) {
	done := w.metrics.stage("fetch")
	src, err := w.fetch(ctx, filepath.Join(dir, "master"), m)
	if err != nil {
		return nil, transcode.Facts{}, fmt.Errorf("fetch master %s: %w", m.SHA256, err)
	}
	done()
	done = w.metrics.stage("validate")
	facts, err := probe(ctx, w.c.Engine, src)
	if err == nil {
		err = fault.Point("render.validated")
	}
	if err != nil {
		return nil, facts, errors.Join(err, src.Close())
	}
	done()
	return src, facts, nil
}

// fetch copies a master to a file and makes sure it is what the creator sent (A4).
// If it is not, that is a fault of ours and no refusal.
func (w *worker) fetch(ctx context.Context, path string, m melodyud.Master) (f *os.File, err error) {
	r, info, err := w.c.Store.Open(ctx, "masters/"+m.SHA256, 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if info.Size != m.Size {
		return nil, fmt.Errorf("it has %d bytes in the store instead of %d", info.Size, m.Size)
	}
	f, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, onDisk(err)
	}
	defer func() {
		if err != nil {
			err = onDisk(errors.Join(err, f.Close()))
		}
	}()
	hash := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, hash), &attentive{ctx, r}); err != nil {
		return nil, err
	}
	if sum := hex.EncodeToString(hash.Sum(nil)); sum != m.SHA256 {
		return nil, fmt.Errorf("its bytes in the store have SHA-256 %s", sum)
	}
	return f, nil
}

// attentive reads until its context ends.
type attentive struct {
	ctx context.Context
	r   io.Reader
}

func (a *attentive) Read(p []byte) (int, error) {
	if err := context.Cause(a.ctx); err != nil {
		return 0, err
	}
	return a.r.Read(p)
}

// make renders into dir and stores what came out.
func (w *worker) make(ctx context.Context, l *lease, src *os.File, facts transcode.Facts, dir, hash, featuresHash string) error {
	done := w.metrics.stage("render")
	l.show(melodyud.StageRendering, 0)
	out, err := renderFile(ctx, w.c.Engine, src, facts, w.recipe(l), dir,
		func(f float64) { l.show(melodyud.StageRendering, f) })
	if err != nil {
		return fmt.Errorf("render: %w", err)
	}
	done()
	for _, text := range out.Warnings {
		w.c.Logger.InfoContext(ctx, "odd master", "track", l.claim.Track.ID, "warning", text)
	}
	defer w.metrics.stage("store")()
	l.show(melodyud.StageStoring, 0)
	if w.recipe(l).gain == 0 { // else they are of another sound than the master
		if err := w.storeFeatures(ctx, dir, featuresHash); err != nil {
			return err
		}
	}
	return w.storeAll(ctx, dir, hash, func(f float64) { l.show(melodyud.StageStoring, f) })
}
