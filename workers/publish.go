package workers

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/fault"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/transcode"
)

// publish lets listeners hear a rendered track, once every byte of it has been read
// back from the store. The manifest is copied under the release's name, where the
// edge finds it without any row.
func (w *worker) publish(ctx context.Context, l *lease) error {
	l.show(melodyud.StagePublishing, 0)
	c := l.claim
	m, raw, err := w.readBack(ctx, c.RenderHash)
	if err != nil {
		return err
	}
	cover, err := w.hasCover(ctx, c.RenderHash)
	if err != nil {
		return err
	}
	if c.FeaturesHash != "" {
		heard, err := w.heard(ctx, c.FeaturesHash)
		if err == nil && !heard {
			err = errUnheard
		}
		if err != nil {
			return err
		}
	}
	key := "releases/" + string(c.Release) + "/manifest.json"
	_, err = w.c.Store.Put(ctx, key, bytes.NewReader(raw), int64(len(raw)), objectstore.PutOptions{ContentType: contentTypes[".json"]})
	if err != nil {
		return fmt.Errorf("store manifest of release %s: %w", c.Release, err)
	}
	if err := l.end(ctx); err != nil {
		return err
	}
	if err := fault.Point("publish.flip"); err != nil {
		return err
	}
	rel := melodyud.Release{ID: c.Release, RenderHash: c.RenderHash, FeaturesHash: c.FeaturesHash, Duration: m.Duration(), HasCover: cover}
	if _, err := w.c.Catalog.Publish(ctx, c, rel); err != nil {
		return err
	}
	return fault.Point("publish.flipped")
}

// errUnheard sends a track back to rendering, which listens again.
var errUnheard = errors.New("the features are not stored")

func (w *worker) hasCover(ctx context.Context, hash string) (bool, error) {
	_, err := w.c.Store.Stat(ctx, "media/"+hash+"/"+coverFile(transcode.CoverSizes[0]))
	if errors.Is(err, melodyud.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for a cover of %s: %w", hash, err)
	}
	return true, nil
}
