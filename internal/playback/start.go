package playback

import (
	"context"
	"log/slog"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/ticket"
)

// starts knows what addresses of the edge answer.
type starts interface {
	// Start returns what a player with these claims asks for first.
	Start(ctx context.Context, w StartWish) (Start, error)
}

// StartWish says what a player is going to ask for.
type StartWish struct {
	Claims    ticket.Claims // of its ticket
	Track     melodyud.TrackID
	Release   melodyud.ReleaseID
	List      []melodyud.ReleaseID // of tracks that play as one; nil: Release alone
	Lossless  bool                 // begin in the lossless playlist, where the claims open it
	Bandwidth int                  // bits per second that the player expects; 0: it has no idea
}

// Start is what the addresses that a player asks for first answer.
type Start struct {
	Rendition string      `json:"rendition" doc:"The rendition that the files are of." example:"aac-160"`
	Files     []StartFile `json:"files" doc:"What addresses answer: give it to your player instead of asking for them."`
}

// StartFile is what one address answers.
type StartFile struct {
	Path string `json:"path" doc:"Below the folder of url." example:"aac-160/index.m3u8"`
	Text string `json:"text,omitempty" doc:"Of a playlist."`
	Data []byte `json:"data,omitempty" contentEncoding:"base64" doc:"Of everything else."`
	Size int64  `json:"size" doc:"Bytes of the whole file, of which data may be the beginning only: ask for the rest with Range."`
}

// startPatience is how long an answer waits for a start: a player asks for itself as
// fast.
const startPatience = 250 * time.Millisecond

// inlined is what a playback request says about its start.
type inlined struct {
	wanted    bool
	hifi      bool
	bandwidth int
}

// start returns what goes with a playback of t; nothing where that is not at hand.
func (s *Service) start(ctx context.Context, in inlined, c ticket.Claims, t melodyud.Track) *Start {
	if c.Prefix != ticket.ReleasePrefix(t.ID, t.Release.ID) {
		return nil // encrypted
	}
	return s.startOf(ctx, in, StartWish{Claims: c, Track: t.ID, Release: t.Release.ID})
}

func (s *Service) startOf(ctx context.Context, in inlined, w StartWish) *Start {
	if !in.wanted || s.c.Starts == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	w.Lossless, w.Bandwidth = in.hifi && w.Claims.Tier == ticket.Premium, in.bandwidth
	found, err := s.c.Starts.Start(ctx, w)
	if err != nil {
		s.c.Logger.WarnContext(ctx, "playback without a start", slog.String("session", w.Claims.Session), slog.Any("error", err))
		return nil
	}
	return &found
}
