package playback_test

import (
	"context"
	"sync"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/playback"
	"github.com/melodyud/melodyud/internal/ticket"
)

// beginnings knows one start, and what it was asked for.
type beginnings struct {
	mu    sync.Mutex
	asked []playback.StartWish
	fault error
	hangs bool
}

func (b *beginnings) Start(ctx context.Context, w playback.StartWish) (playback.Start, error) {
	b.mu.Lock()
	b.asked = append(b.asked, w)
	b.mu.Unlock()
	if b.hangs {
		<-ctx.Done()
		return playback.Start{}, ctx.Err()
	}
	return playback.Start{Rendition: "flac", Files: []playback.StartFile{
		{Path: "hifi.m3u8", Text: "#EXTM3U", Size: 7}, {Path: "flac/s/0.m4s", Data: []byte{0, 1}, Size: 9},
	}}, b.fault
}

type started struct {
	URL   string `json:"url"`
	Start *struct {
		Rendition string
		Files     []struct {
			Path, Text string
			Data       []byte
			Size       int64
		}
	}
}

func TestAStartComesWithATicketForThoseWhoAsk(t *testing.T) {
	t.Parallel()
	b := &beginnings{}
	w, _ := protected(t, func(c *playback.Config) { c.Starts = b })
	track := w.Finish(w.Upload(nora).ID)
	server := w.serve()
	path := "/v1/tracks/" + string(track.ID) + "/playback"
	for _, query := range []string{"", "?hifi=true", "?inline=true&encrypt=true"} {
		var got started
		if w.ask(server, "Paul", path+query, "", &got); got.Start != nil || len(b.asked) > 0 {
			t.Errorf("%q: %+v", query, got.Start)
		}
	}
	var got started
	w.ask(server, "Paul", path+"?inline=true&hifi=true&bandwidth=900000", "", &got)
	if s := got.Start; s == nil || s.Rendition != "flac" || s.Files[0].Text != "#EXTM3U" || len(s.Files[1].Data) != 2 || s.Files[1].Size != 9 {
		t.Errorf("got %+v", got.Start)
	}
	asked := b.asked[0]
	if !asked.Lossless || asked.Bandwidth != 900_000 || asked.Release != track.Release.ID || asked.Claims.Session != w.claims(got.URL).Session {
		t.Errorf("asked for %+v", asked)
	}
	w.ask(server, "Lisa", path+"?inline=true&hifi=true", "", &got)
	if asked := b.asked[1]; asked.Lossless || asked.Claims.Tier != ticket.Free {
		t.Errorf("for a free listener it asked for %+v", asked)
	}
}

func TestAStartThatCannotBeHadHoldsUpNobody(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]*beginnings{"gone": {fault: melodyud.ErrUnavailable}, "slow": {hangs: true}} {
		w := newWorld(t, func(c *playback.Config) { c.Starts = b })
		track := w.Finish(w.Upload(nora).ID)
		var got started
		w.ask(w.serve(), "Lisa", "/v1/tracks/"+string(track.ID)+"/playback?inline=true", "", &got)
		if got.URL == "" || got.Start != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
