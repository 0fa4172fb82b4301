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
	"github.com/melodyud/melodyud/packager/packagertest"
)

func TestAStartIsWhatItsAddressesAnswer(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	e, _ := s.another(t, edge.Config{})
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

func TestTheStartOfAListIsWhatItsAddressesAnswer(t *testing.T) {
	t.Parallel()
	d := newDisc(t, packagertest.Track{Samples: 50_000}, packagertest.Track{Rate: 48_000, Samples: 60_000})
	e, _ := d.another(t, edge.Config{})
	base := d.address(t, ticket.Premium) + "exact/"
	for lossless, want := range map[bool]string{true: "flac", false: "aac-96"} {
		got, err := e.Start(context.Background(), edge.StartWish{Claims: ticket.Claims{Tier: ticket.Premium}, List: d.ids, Lossless: lossless})
		if err != nil || got.Rendition != want || len(got.Files) != 3 {
			t.Fatalf("%s with %d files, %v", got.Rendition, len(got.Files), err)
		}
		for _, f := range got.Files {
			if whole := body(t, d.get(t, base+f.Path)); !bytes.Equal(whole, f.Data) || f.Size != int64(len(whole)) {
				t.Errorf("%s differs", f.Path)
			}
		}
	}
}

func TestThereIsNoStartOfWhatIsGoneOrClosed(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	e, _ := s.another(t, edge.Config{})
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
