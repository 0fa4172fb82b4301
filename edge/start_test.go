package edge_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge"
	"github.com/melodyud/melodyud/internal/ticket"
)

// starter is an edge that answers nobody but us.
func (s *stage) starter(t *testing.T) *edge.Edge {
	t.Helper()
	e, err := edge.New(edge.Config{Store: s.shelf, Tickets: s.keys, Now: func() time.Time { return time.Unix(0, s.now.Load()) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func TestAStartIsWhatItsAddressesAnswer(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	e := s.starter(t)
	for _, c := range []struct {
		tier      ticket.Tier
		lossless  bool
		bandwidth int
		want      []string
	}{
		{ticket.Premium, true, 0, []string{"hifi.m3u8", "flac/index.m3u8", "flac/init.mp4", "flac/s/0.m4s"}},
		{ticket.Premium, false, 0, []string{"index.m3u8", "aac-64/index.m3u8", "aac-64/init.mp4", "aac-64/s/0.m4s"}},
		{ticket.Free, true, 1 << 30, []string{"index.m3u8", "aac-64/index.m3u8", "aac-64/init.mp4", "aac-64/s/0.m4s"}},
	} {
		got, err := e.Start(context.Background(), edge.StartWish{
			Claims: ticket.Claims{Tier: c.tier}, Track: s.track, Release: s.release, Lossless: c.lossless, Bandwidth: c.bandwidth,
		})
		if err != nil {
			t.Fatal(err)
		}
		var paths []string
		for _, f := range got.Files {
			paths = append(paths, f.Path)
			whole := body(t, s.get(t, s.base(t, c.tier)+f.Path))
			if !bytes.HasPrefix(whole, f.Data) || int64(len(whole)) != f.Size || len(f.Data) == 0 {
				t.Errorf("%s: %d bytes of %d are not the beginning of the %d at the address", f.Path, len(f.Data), f.Size, len(whole))
			}
		}
		if !slices.Equal(paths, c.want) {
			t.Errorf("%s: %v, want %v", c.tier, paths, c.want)
		}
	}
}

func TestThereIsNoStartOfWhatIsGoneOrClosed(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	e := s.starter(t)
	for name, w := range map[string]edge.StartWish{
		"an unknown release": {Claims: ticket.Claims{Tier: ticket.Premium}, Release: melodyud.NewReleaseID(start.Add(time.Hour))},
		"a ticket for other renditions": {
			Claims: ticket.Claims{Tier: ticket.Premium, Renditions: ticket.RenditionsOf("aac-999")}, Track: s.track, Release: s.release},
	} {
		if got, err := e.Start(context.Background(), w); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}
