package playback

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/ticket"
)

func (s *Service) registerLists(r *api.Router) {
	huma.Register(r.API, api.Operation("albums", "play-album", http.MethodPost, "/v1/albums/{id}/playback", "Ask for one URL that plays an album without gaps",
		"The tracks follow each other as one HLS presentation. The URLs stop working at expires: ask again then.", 401, 403, 404), s.playAlbum)
	huma.Register(r.API, api.Operation("albums", "play-list", http.MethodPost, "/v1/playlists/playback", "Ask for one URL that plays tracks one after the other",
		"Like the playback of an album, for up to 100 tracks in any order. A track may appear more than once.", 400, 401, 403, 404, 409, 422), s.playList)
}

type (
	// listPlayback is the answer for tracks that play as one.
	listPlayback struct {
		URL          string      `json:"url" doc:"HLS, AAC renditions, for any player." example:"/l/djEK.b2s/0f…/01J9…-01J9…/plain/index.m3u8"`
		HiFiURL      string      `json:"hifi_url,omitempty" doc:"HLS, lossless; premium listeners only."`
		ExactURL     string      `json:"exact_url" doc:"HLS, AAC renditions, for players on Media Source Extensions that set appendWindowStart and appendWindowEnd to the bounds of each track: joins are then exact to the sample in AAC too. Lossless joins always are."`
		ExactHiFiURL string      `json:"exact_hifi_url,omitempty" doc:"The same, lossless; premium listeners only."`
		Base         string      `json:"base" doc:"What all addresses of this playback begin with. It changes when the playback is renewed." example:"/l/djEK.b2s/"`
		Renew        time.Time   `json:"renew" doc:"From then on, renew the playback if it is still wanted."`
		Expires      time.Time   `json:"expires" doc:"The URLs stop working then."`
		Session      string      `json:"session" doc:"Names this play session in telemetry."`
		Tracks       []listTrack `json:"tracks"`
		Start        *Start      `json:"start,omitempty" doc:"What a player of exact_url asks for first; only if you asked for it with inline."`
	}
	listTrack struct {
		Start float64   `json:"start_seconds" doc:"When it begins in the presentation." example:"214.36"`
		Track api.Track `json:"track"`
	}
)

type (
	albumInput struct {
		ID        string `path:"id" maxLength:"64" doc:"The album's id." example:"alb_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
		Device    string `query:"device" maxLength:"64" doc:"Names the device among those of the account: letters, digits, - and _." example:"noras-phone"`
		Inline    bool   `query:"inline" doc:"Send along what a player of exact_url asks for first: playlists and an init segment. Clear streams only."`
		HiFi      bool   `query:"hifi" doc:"With inline: the player begins with exact_hifi_url."`
		Bandwidth int    `query:"bandwidth" minimum:"0" doc:"With inline: what the player expects of its connection, in bits per second; 0: it has no idea."`
	}
	listPlayInput struct {
		Device    string `query:"device" maxLength:"64" doc:"Names the device among those of the account: letters, digits, - and _." example:"noras-phone"`
		Inline    bool   `query:"inline" doc:"Send along what a player of exact_url asks for first: playlists and an init segment. Clear streams only."`
		HiFi      bool   `query:"hifi" doc:"With inline: the player begins with exact_hifi_url."`
		Bandwidth int    `query:"bandwidth" minimum:"0" doc:"With inline: what the player expects of its connection, in bits per second; 0: it has no idea."`
		Body      struct {
			_      struct{} `additionalProperties:"false"`
			Tracks []string `json:"tracks" minItems:"1" maxItems:"100" doc:"Ids of published tracks, in the order to play."`
		}
	}
	listPlaybackOutput struct {
		CacheControl string `header:"Cache-Control"`
		Body         listPlayback
	}
)

var errListLength = melodyud.Refuse(melodyud.ErrInvalid, "playlist.length",
	"A playlist needs at least one track and at most 100. Choose some, or play it in parts.")

func (s *Service) playAlbum(ctx context.Context, in *albumInput) (*listPlaybackOutput, error) {
	who, err := listener(ctx)
	if err != nil {
		return nil, api.Fail(err)
	}
	tracks, err := s.c.Library.AlbumTracks(ctx, who, melodyud.AlbumID(in.ID))
	if err != nil {
		return nil, api.Fail(err)
	}
	return s.playTracks(ctx, who, tracks, wishes{device: in.Device, start: inlined{in.Inline, in.HiFi, in.Bandwidth}})
}

func (s *Service) playList(ctx context.Context, in *listPlayInput) (*listPlaybackOutput, error) {
	who, err := listener(ctx)
	if err != nil {
		return nil, api.Fail(err)
	}
	var tracks []melodyud.Track
	for _, id := range in.Body.Tracks {
		t, err := s.c.Library.Audible(ctx, who, melodyud.TrackID(id))
		if err != nil {
			return nil, api.Fail(err)
		}
		tracks = append(tracks, t)
	}
	return s.playTracks(ctx, who, tracks, wishes{device: in.Device, start: inlined{in.Inline, in.HiFi, in.Bandwidth}})
}

// playTracks signs one ticket for all tracks, which outlives them together by the
// tier's pause allowance (TOK-4).
func (s *Service) playTracks(ctx context.Context, who api.Principal, tracks []melodyud.Track, w wishes) (*listPlaybackOutput, error) {
	if w.device != "" && !ticket.Device(w.device) {
		return nil, api.Fail(errDevice)
	}
	if len(tracks) == 0 || len(tracks) > ticket.MaxList {
		return nil, api.Fail(errListLength)
	}
	var p listPlayback
	var releases []melodyud.ReleaseID
	var length time.Duration
	for _, t := range tracks {
		p.Tracks = append(p.Tracks, listTrack{length.Seconds(), api.TrackOf(t, false)})
		releases = append(releases, t.Release.ID)
		length += t.Release.Duration
	}
	c, allowance, err := s.admit(ctx, who, w.device, tracks...)
	if err != nil {
		return nil, api.Fail(err)
	}
	c.Ads = s.adsFor(ctx, who, c, tracks...)
	path, prefix := ticket.List(releases)
	if s.c.Encrypt {
		path, prefix = ticket.EncryptedList(s.c.MediaKeys.Newest(), releases)
	}
	c.Prefix = prefix
	a, err := s.sign(c, length+allowance)
	if err != nil {
		return nil, api.Fail(fmt.Errorf("list of %d tracks: %w", len(tracks), err))
	}
	s.listAddresses(&p, a, path)
	if !s.c.Encrypt {
		p.Start = s.startOf(ctx, w.start, StartWish{Claims: a.claims, List: releases})
	}
	return &listPlaybackOutput{CacheControl: "private, no-store", Body: p}, nil
}

// listAddresses fills in where a ticket plays the list of path.
func (s *Service) listAddresses(p *listPlayback, a admission, path string) {
	p.Base = s.base("l", a)
	p.Expires, p.Renew, p.Session = a.claims.Expires, a.renew, a.claims.Session
	folder := p.Base + path[1:]
	p.URL, p.ExactURL = folder+"plain/index.m3u8", folder+"exact/index.m3u8"
	if a.claims.Tier == ticket.Premium {
		p.HiFiURL, p.ExactHiFiURL = folder+"plain/hifi.m3u8", folder+"exact/hifi.m3u8"
	}
}
