package ads

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// HouseKey is the object that tells edges which ads can be heard.
const HouseKey = "ads/house.json"

const (
	houseVersion = 1
	maxHouse     = 1 << 20 // bytes
)

// house is the content of HouseKey.
type house struct {
	Version int             `json:"version"`
	Ads     []melodyud.Spot `json:"ads"`
}

// tell writes HouseKey, unless this process wrote the same before. Processes that
// write differently at the same time agree at their next look.
func (s *Service) tell(ctx context.Context, ready []melodyud.Spot) error {
	raw, err := json.Marshal(house{houseVersion, ready})
	if err != nil {
		return fmt.Errorf("encode house ads: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wrote == nil && len(ready) == 0 {
		if _, err := s.c.Store.Stat(ctx, HouseKey); errors.Is(err, melodyud.ErrNotFound) {
			return nil // there never was an ad
		}
	}
	if bytes.Equal(raw, s.wrote) {
		return nil
	}
	_, err = s.c.Store.Put(ctx, HouseKey, bytes.NewReader(raw), int64(len(raw)), objectstore.PutOptions{ContentType: "application/json"})
	if err != nil {
		return fmt.Errorf("store house ads: %w", err)
	}
	s.wrote = raw
	return nil
}

// opener is the store as an edge sees it.
type opener interface {
	Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, objectstore.Info, error)
}

// HouseConfig configures a House.
type HouseConfig struct {
	Store  opener        // required
	Every  time.Duration // how often HouseKey is read; default 3 s
	Logger *slog.Logger  // default: discards
}

// House decides breaks from the house ads, without any row. It is safe for
// concurrent use and answers from memory, which Run keeps fresh.
type House struct {
	c   HouseConfig
	ads atomic.Pointer[[]melodyud.Spot]
}

// NewHouse returns a House that knows no ads yet. A missing store is ErrInvalid.
func NewHouse(c HouseConfig) (*House, error) {
	if c.Store == nil {
		return nil, fmt.Errorf("%w: the house needs a store", melodyud.ErrInvalid)
	}
	if c.Every <= 0 {
		c.Every = 3 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	h := &House{c: c}
	h.ads.Store(&[]melodyud.Spot{})
	return h, nil
}

// Run reads the ads again and again until ctx ends. While the store is away the last
// ones count.
func (h *House) Run(ctx context.Context) error {
	for {
		if err := h.Read(ctx); err != nil && ctx.Err() == nil {
			h.c.Logger.WarnContext(ctx, "house ads not read", "error", err)
		}
		timer := time.NewTimer(h.c.Every)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

const readTimeout = 10 * time.Second

// Read reads the ads once.
func (h *House) Read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var in house
	err := objectstore.ReadJSON(ctx, h.c.Store, HouseKey, maxHouse, &in)
	if errors.Is(err, melodyud.ErrNotFound) {
		h.ads.Store(&[]melodyud.Spot{})
		return nil
	}
	if err != nil {
		return err
	}
	if in.Version != houseVersion {
		return fmt.Errorf("house ads of version %d, this edge reads %d", in.Version, houseVersion)
	}
	h.ads.Store(&in.Ads)
	return nil
}

// Break returns what is heard in b, in order: one ad, if there is any. As long as the
// ads stay the same, so does the answer, on every edge; when they change, it mostly
// does.
func (h *House) Break(b melodyud.Break) []melodyud.Spot {
	ads := *h.ads.Load()
	if len(ads) == 0 {
		return nil
	}
	return []melodyud.Spot{slices.MaxFunc(ads, func(x, y melodyud.Spot) int {
		return cmp.Or(cmp.Compare(draw(b, x), draw(b, y)), cmp.Compare(x.Track, y.Track))
	})}
}

// draw is the best of as many numbers as a spot has weight: whoever has the highest
// is heard.
func draw(b melodyud.Break, s melodyud.Spot) (best uint64) {
	h := fnv.New64a()
	_, _ = io.WriteString(h, b.Session+"\n"+b.ID+"\n"+string(s.Track))
	seed := h.Sum64()
	for range min(max(s.Weight, 1), maxWeight) {
		seed += 0x9E3779B97F4A7C15 // SplitMix64
		z := (seed ^ seed>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		best = max(best, z^z>>31)
	}
	return best
}
