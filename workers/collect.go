package workers

import (
	"context"
	"fmt"
)

const deleteBatch = 100

// collect deletes what a withdrawn track leaves. Manifests go first: what nobody
// can find any more may go piece by piece.
func (w *worker) collect(ctx context.Context, l *lease) error {
	defer w.metrics.stage("collect")()
	left, err := w.c.Catalog.Collect(ctx, l.claim)
	if err != nil {
		return err
	}
	var folders []string
	for _, id := range left.Releases {
		folders = append(folders, "releases/"+string(id)+"/")
	}
	for _, hash := range left.RenderHashes {
		folders = append(folders, "media/"+hash+"/")
	}
	for _, hash := range left.FeatureSets {
		folders = append(folders, "features/"+hash+"/")
	}
	for _, folder := range folders {
		if err := w.deleteAll(ctx, folder); err != nil {
			return fmt.Errorf("delete %s: %w", folder, err)
		}
	}
	for _, sha := range left.Masters {
		if err := w.c.Store.Delete(ctx, "masters/"+sha); err != nil {
			return fmt.Errorf("delete master %s: %w", sha, err)
		}
	}
	if err := l.end(ctx); err != nil {
		return err
	}
	return w.c.Catalog.Collected(ctx, l.claim, left)
}

func (w *worker) deleteAll(ctx context.Context, folder string) error {
	var keys []string
	for info, err := range w.c.Store.List(ctx, folder) {
		if err != nil {
			return err
		}
		keys = append(keys, info.Key)
	}
	for len(keys) > 0 {
		n := min(len(keys), deleteBatch)
		if err := w.c.Store.Delete(ctx, keys[:n]...); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}
