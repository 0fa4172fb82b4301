package playback

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/ticket"
)

func (s *Service) registerPlayback(r *api.Router) {
	huma.Register(r.API, api.Operation("tracks", "play-track", http.MethodPost, "/v1/tracks/{id}/playback", "Ask for playback URLs",
		"Each answer is good for one listener and one session. Give url to any HLS player or dash_url to any DASH player; "+
			"a path without a host is on this server. The URLs stop working at expires: ask again then.",
		401, 403, 404, 409, 422), s.playTrack)
}

type playback struct {
	URL     string    `json:"url" doc:"HLS, AAC renditions." example:"/p/djEK.b2s/trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X/rel_01J9ZQ9B2C4D6E8F0G2H4J6K8M/index.m3u8"`
	HiFiURL string    `json:"hifi_url,omitempty" doc:"HLS, lossless; premium listeners only."`
	DASHURL string    `json:"dash_url,omitempty" doc:"MPEG-DASH; not of encrypted playback."`
	Base    string    `json:"base" doc:"What all addresses of this playback begin with. It changes when the playback is renewed." example:"/p/djEK.b2s/"`
	Renew   time.Time `json:"renew" doc:"From then on, renew the playback if it is still wanted."`
	Expires time.Time `json:"expires" doc:"The URLs stop working then."`
	Session string    `json:"session" doc:"Names this play session in telemetry."`
	Track   api.Track `json:"track"`
	Start   *Start    `json:"start,omitempty" doc:"What the player asks for first; only if you asked for it with inline."`
}

type playbackOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         playback
}

type playInput struct {
	ID      string `path:"id" maxLength:"64" doc:"The track's id." example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
	Encrypt bool   `query:"encrypt" doc:"Ask for encrypted HLS (AES-128); the server may give nothing else."`
	Device  string `query:"device" maxLength:"64" doc:"Names the device among those of the account: letters, digits, - and _." example:"noras-phone"`

	Inline    bool `query:"inline" doc:"Send along what a player asks for first: playlists, an init segment and the beginning of the first segment. It spares players three round trips. Clear streams only."`
	HiFi      bool `query:"hifi" doc:"With inline: the player begins with hifi_url."`
	Bandwidth int  `query:"bandwidth" minimum:"0" doc:"With inline: what the player expects of its connection, in bits per second; 0: it has no idea."`
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
	if in.Device != "" && !ticket.Device(in.Device) {
		return nil, api.Fail(errDevice)
	}
	p, err := s.play(ctx, who, r, wishes{in.Encrypt || s.c.Encrypt, in.Device, inlined{in.Inline, in.HiFi, in.Bandwidth}})
	if err != nil {
		return nil, api.Fail(err)
	}
	return &playbackOutput{CacheControl: "private, no-store", Body: p}, nil
}

var errNoEncryption = melodyud.Refuse(melodyud.ErrInvalid, "playback.no-encryption",
	"This server has no encrypted streams. Ask without encrypt.")

// play signs a ticket that outlives the track by the tier's pause allowance: an
// expired ticket in mid-track is fatal to players (TOK-4).
func (s *Service) play(ctx context.Context, who api.Principal, r melodyud.Track, w wishes) (playback, error) {
	c, allowance, err := s.admit(ctx, who, w.device, r)
	if err != nil {
		return playback{}, err
	}
	c.Ads = s.adsFor(ctx, who, c, r)
	c.Prefix = ticket.ReleasePrefix(r.ID, r.Release.ID)
	if w.encrypt {
		if s.c.MediaKeys == nil {
			return playback{}, errNoEncryption
		}
		c.Prefix = ticket.EncryptedPrefix(s.cipherOf(r))
	}
	a, err := s.sign(c, r.Release.Duration+allowance)
	if err != nil {
		return playback{}, fmt.Errorf("track %s: %w", r.ID, err)
	}
	p := s.addresses(a)
	p.Track = api.TrackOf(r, false)
	p.Start = s.start(ctx, w.start, a.claims, r)
	return p, nil
}

// wishes are what a listener asks for besides a track.
type wishes struct {
	encrypt bool
	device  string
	start   inlined
}

// addresses are where a ticket for one track plays it.
func (s *Service) addresses(a admission) playback {
	folder := s.folder(a)
	p := playback{
		Base: s.base("p", a), URL: folder + "index.m3u8", Expires: a.claims.Expires, Renew: a.renew, Session: a.claims.Session,
	}
	if a.claims.Tier == ticket.Premium {
		p.HiFiURL = folder + "hifi.m3u8"
	}
	if !strings.Contains(a.claims.Prefix, "/encrypted/") {
		p.DASHURL = folder + "manifest.mpd"
	}
	return p
}

// cipherOf is what is encrypted with the newest secret when r's release is.
func (s *Service) cipherOf(r melodyud.Track) ticket.Stream {
	return ticket.Stream{KeyID: s.c.MediaKeys.Newest(), Track: r.ID, Release: r.Release.ID}
}
