package playback

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/ticket"
)

func (s *Service) registerPlayback(r *api.Router) {
	huma.Register(r.API, operation("play-track", "/v1/tracks/{id}/playback", "Ask for playback URLs",
		"Each answer is good for one listener and one session. Give url to any HLS player or dash_url to any DASH player; "+
			"a path without a host is on this server. The URLs stop working at expires: ask again then.",
		401, 403, 404, 409, 422), s.playTrack)
}

type playback struct {
	URL     string    `json:"url" doc:"HLS, AAC renditions." example:"/p/djEK.b2s/trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X/rel_01J9ZQ9B2C4D6E8F0G2H4J6K8M/index.m3u8"`
	HiFiURL string    `json:"hifi_url,omitempty" doc:"HLS, lossless; premium listeners only."`
	DASHURL string    `json:"dash_url,omitempty" doc:"MPEG-DASH; not of encrypted playback."`
	Expires time.Time `json:"expires" doc:"The URLs stop working then."`
	Session string    `json:"session" doc:"Names this play session in telemetry."`
	Track   api.Track `json:"track"`
}

type playbackOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         playback
}

type playInput struct {
	ID      string `path:"id" maxLength:"64" doc:"The track's id." example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
	Encrypt bool   `query:"encrypt" doc:"Ask for encrypted HLS (AES-128); the server may give nothing else."`
}

// playable loads the track that a listener wants to hear.
func (s *Service) playable(ctx context.Context, id string) (api.Principal, melodyud.Track, error) {
	who, err := listener(ctx)
	if err != nil {
		return who, melodyud.Track{}, err
	}
	t, err := s.c.Library.Audible(ctx, who, melodyud.TrackID(id))
	return who, t, err
}

func (s *Service) playTrack(ctx context.Context, in *playInput) (*playbackOutput, error) {
	who, r, err := s.playable(ctx, in.ID)
	if err != nil {
		return nil, api.Fail(err)
	}
	p, err := s.play(who, r, in.Encrypt || s.c.Encrypt)
	if err != nil {
		return nil, api.Fail(err)
	}
	return &playbackOutput{CacheControl: "private, no-store", Body: p}, nil
}

var errNoEncryption = melodyud.Refuse(melodyud.ErrInvalid, "playback.no-encryption",
	"This server has no encrypted streams. Ask without encrypt.")

// play signs a ticket that outlives the track by the tier's pause allowance: an
// expired ticket in mid-track is fatal to players (TOK-4).
func (s *Service) play(who api.Principal, r melodyud.Track, encrypt bool) (playback, error) {
	tier, allowance := s.tierOf(who)
	folder := ticket.ReleasePrefix(r.ID, r.Release.ID)
	if encrypt {
		if s.c.MediaKeys == nil {
			return playback{}, errNoEncryption
		}
		folder = ticket.EncryptedPrefix(s.cipherOf(r))
	}
	t, err := s.admit(r, folder, tier, r.Release.Duration+allowance)
	if err != nil {
		return playback{}, err
	}
	p := playback{URL: t.base + "index.m3u8", Expires: t.expires, Session: t.session, Track: api.TrackOf(r, false)}
	if tier == ticket.Premium {
		p.HiFiURL = t.base + "hifi.m3u8"
	}
	if !encrypt {
		p.DASHURL = t.base + "manifest.mpd"
	}
	return p, nil
}

// cipherOf is what is encrypted with the newest secret when r's release is.
func (s *Service) cipherOf(r melodyud.Track) ticket.Stream {
	return ticket.Stream{KeyID: s.c.MediaKeys.Newest(), Track: r.ID, Release: r.Release.ID}
}

// admission is a signed ticket, and where it leads.
type admission struct {
	ticket  string
	base    string // of one track; ends in "/"
	session string
	expires time.Time
}

// admit signs a ticket for folder, which is r's, that is good for about ttl.
func (s *Service) admit(r melodyud.Track, folder string, tier ticket.Tier, ttl time.Duration) (admission, error) {
	a, err := s.sign(folder, tier, ttl)
	if err != nil {
		return admission{}, fmt.Errorf("track %s: %w", r.ID, err)
	}
	a.base = s.c.EdgeURL + "/p/" + a.ticket + folder
	return a, nil
}

// sign makes a ticket for what begins with prefix that is good for about ttl.
func (s *Service) sign(prefix string, tier ticket.Tier, ttl time.Duration) (a admission, err error) {
	a = admission{session: "ses_" + rand.Text(), expires: s.c.Now().Add(ttl + time.Second).Truncate(time.Second).UTC()}
	a.ticket, err = s.c.Tickets.Sign(ticket.Claims{Expires: a.expires, Prefix: prefix, Session: a.session, Tier: tier})
	if err != nil {
		return admission{}, fmt.Errorf("sign ticket: %w", err)
	}
	return a, nil
}
