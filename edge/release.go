package edge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"

	melodyud "github.com/melodyud/melodyud"
)

const (
	// fresh is how long a release is served without asking whether it is still
	// published: a withdrawn track stops within this time everywhere. One in demand is
	// asked about a little before, so that its listeners never wait for that.
	fresh = 2 * time.Second
	ahead = fresh * 3 / 4
	// believed is how long one is served while it is asked about as long as notices
	// come: they tell of what was withdrawn sooner than the store does.
	believed = 30 * time.Second
	// staleIfError is how long a known release is served while the store is away
	// (EDGE-3, RFC 5861 §4).
	staleIfError = 24 * time.Hour

	maxManifest    = 16 << 20 // bytes of JSON; three hours in five renditions are about 200 KB
	manifestMemory = 64 << 20 // bytes, about, for all known releases
	lookupTimeout  = 10 * time.Second
	// confirmTimeout bounds the question whether a known release is still there:
	// players that have its sound in our memory wait for the answer.
	confirmTimeout = 2 * time.Second
)

// release is a published rendering, ready to serve, or the memory that there is
// none.
type release struct {
	id       melodyud.ReleaseID
	manifest *melodyud.Manifest // nil if never seen
	gone     bool               // withdrawn, or never there
	offsets  map[string][]int64 // per rendition: where each segment starts, and the end
	checked  atomic.Int64       // when the store last confirmed it, unix nanoseconds
	failed   atomic.Int64       // when the store last failed to say, if it has not said since
	asking   atomic.Bool        // it is being confirmed ahead
}

// releases knows the manifests of what is being played.
type releases struct {
	config Config
	known  *otter.Cache[melodyud.ReleaseID, *release]
	flight singleflight.Group
	asking sync.WaitGroup
}

func newReleases(c Config) (*releases, error) {
	known, err := otter.New(&otter.Options[melodyud.ReleaseID, *release]{
		MaximumWeight: manifestMemory,
		Weigher:       func(_ melodyud.ReleaseID, r *release) uint32 { return r.weight() },
	})
	if err != nil {
		return nil, fmt.Errorf("cache of manifests: %w", err)
	}
	return &releases{config: c, known: known}, nil
}

func (r *releases) close() {
	r.asking.Wait()
	r.known.StopAllGoroutines()
}

func (r *release) weight() uint32 {
	n := 512
	for _, starts := range r.offsets {
		n += 32 * (len(starts) + 16)
	}
	return uint32(n)
}

// get returns a release that was published at most fresh ago, or staleIfError ago
// while the store is away, which is then asked only once in fresh. Many callers
// for one release ask the store once, on nobody's context (EDGE-8).
func (r *releases) get(ctx context.Context, id melodyud.ReleaseID) (*release, error) {
	old, ok := r.known.GetIfPresent(id)
	if ok && r.serves(old) {
		return old.orGone()
	}
	done := r.flight.DoChan(string(id), func() (any, error) { return r.ask(context.WithoutCancel(ctx), id) })
	select {
	case result := <-done:
		if result.Err != nil {
			return nil, result.Err
		}
		return result.Val.(*release).orGone()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// serves reports whether a release is served without waiting for the store, and has the
// store asked when it is time.
func (r *releases) serves(one *release) bool {
	age := r.since(&one.checked)
	switch {
	case age < ahead, one.gone && age < fresh:
		return true
	case r.failing(one):
		return age < staleIfError
	case age < fresh, !one.gone && age < believed && r.config.Notices != nil && r.config.Notices.Current(fresh):
		r.confirm(one)
		return true
	}
	return false
}

// failing reports whether the store was asked a moment ago and did not say.
func (r *releases) failing(one *release) bool { return r.since(&one.failed) < fresh }

// confirm asks the store about a release while it is served.
func (r *releases) confirm(one *release) {
	if !one.asking.CompareAndSwap(false, true) {
		return
	}
	r.asking.Go(func() {
		defer one.asking.Store(false)
		_, _, _ = r.flight.Do(string(one.id), func() (any, error) { return r.ask(context.Background(), one.id) }) // it notes what it hears
	})
}

// settled returns a release that was published once, without asking whether it
// still is: for its length, which a list of tracks needs even after it is gone.
func (r *releases) settled(ctx context.Context, id melodyud.ReleaseID) (*release, error) {
	if old, ok := r.known.GetIfPresent(id); ok && old.manifest != nil {
		return old, nil
	}
	return r.get(ctx, id)
}

func (r *release) orGone() (*release, error) {
	if r.gone {
		return nil, errGone
	}
	return r, nil
}

func (r *releases) since(t *atomic.Int64) time.Duration {
	return time.Duration(r.config.Now().UnixNano() - t.Load())
}

// ask is refresh for as long as it may take.
func (r *releases) ask(ctx context.Context, id melodyud.ReleaseID) (*release, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	return r.refresh(ctx, id)
}

// refresh confirms a known release or loads a new one.
func (r *releases) refresh(ctx context.Context, id melodyud.ReleaseID) (*release, error) {
	key := "releases/" + string(id) + "/manifest.json"
	old, ok := r.known.GetIfPresent(id)
	if !ok || old.gone {
		return r.load(ctx, id, key, old)
	}
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	_, err := r.config.Store.Stat(ctx, key)
	switch {
	case err == nil:
		old.failed.Store(0)
		old.checked.Store(r.config.Now().UnixNano())
		return old, nil
	case errors.Is(err, melodyud.ErrNotFound):
		return r.forget(id, old), nil
	case r.since(&old.checked) < staleIfError:
		old.failed.Store(r.config.Now().UnixNano())
		r.config.Logger.WarnContext(ctx, "release served stale", slog.String("release", string(id)), slog.Any("error", err))
		return old, nil
	}
	return nil, err
}

func (r *releases) load(ctx context.Context, id melodyud.ReleaseID, key string, old *release) (*release, error) {
	m, err := r.read(ctx, key)
	if errors.Is(err, melodyud.ErrNotFound) {
		return r.forget(id, old), nil
	}
	if err != nil {
		return nil, err
	}
	one := &release{manifest: m, offsets: make(map[string][]int64, len(m.Renditions))}
	for i := range m.Renditions {
		if one.offsets[m.Renditions[i].Name], err = m.Renditions[i].Starts(); err != nil {
			return nil, fmt.Errorf("manifest %s: %w", key, err)
		}
	}
	return r.remember(id, one), nil
}

// forget remembers that a release, known as old or not at all, is gone.
func (r *releases) forget(id melodyud.ReleaseID, old *release) *release {
	one := &release{gone: true}
	if old != nil {
		one.manifest, one.offsets = old.manifest, old.offsets
		old.checked.Store(0) // for who holds it
	}
	return r.remember(id, one)
}

func (r *releases) remember(id melodyud.ReleaseID, one *release) *release {
	one.id = id
	one.checked.Store(r.config.Now().UnixNano())
	r.known.Set(id, one)
	return one
}

func (r *releases) read(ctx context.Context, key string) (*melodyud.Manifest, error) {
	body, info, err := r.config.Store.Open(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if info.Size > maxManifest {
		return nil, fmt.Errorf("manifest %s has %d bytes", key, info.Size)
	}
	var m melodyud.Manifest
	if err := json.NewDecoder(io.LimitReader(body, maxManifest)).Decode(&m); err != nil {
		return nil, fmt.Errorf("manifest %s: %w", key, err)
	}
	if m.Version != melodyud.ManifestVersion {
		return nil, fmt.Errorf("manifest %s has version %d, this edge reads %d", key, m.Version, melodyud.ManifestVersion)
	}
	return &m, nil
}
