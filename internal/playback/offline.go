package playback

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/ticket"
)

func (s *Service) registerOffline(r *api.Router) {
	huma.Register(r.API, api.Operation("tracks", "keep-track", http.MethodPost, "/v1/tracks/{id}/offline", "Keep a track on a device",
		"For premium listeners. The file at url is encrypted for one account and device; the key opens it and must not be "+
			"used after expires. Ask again, with the same device and rendition, for another period: the key stays the same as long as "+
			"release and key_id do, and the file need not be fetched again. A withdrawn track or an ended plan gets no further period.",
		400, 401, 403, 404, 409, 422), s.keepTrack)
}

type keepInput struct {
	ID   string `path:"id" maxLength:"64" doc:"The track's id." example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
	Body struct {
		_         struct{} `additionalProperties:"false"`
		Device    string   `json:"device" minLength:"1" maxLength:"64" doc:"Names the device among those of the account: letters, digits, - and _." example:"noras-phone"`
		Rendition string   `json:"rendition,omitempty" maxLength:"64" doc:"Which quality; default: the best AAC." example:"flac"`
		KeyID     string   `json:"key_id,omitempty" maxLength:"64" doc:"To renew: the key_id the file came with; default: the newest." example:"m20260301-120000"`
	}
}

type offline struct {
	URL       string             `json:"url" doc:"The encrypted file; ranges are served." example:"/p/djEK.b2s/trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X/rel_01J9ZQ9B2C4D6E8F0G2H4J6K8M/offline/v1/m1/kJ3x/aac-256.mud"`
	FetchBy   time.Time          `json:"fetch_by" doc:"The URL stops working then."`
	Format    string             `json:"format" enum:"MUDOFF1" doc:"How the file is encrypted: AES-256-GCM in chunks, see the guide."`
	Key       string             `json:"key" doc:"32 bytes in base64. Keep it apart from the file, where nothing else reads it."`
	KeyID     string             `json:"key_id" doc:"The secret that the key depends on."`
	Expires   time.Time          `json:"expires" doc:"The file must not be played later, unless the period was renewed."`
	Device    string             `json:"device"`
	Release   melodyud.ReleaseID `json:"release"`
	Rendition string             `json:"rendition"`
	Size      int64              `json:"size" doc:"Bytes of the clear file, an MP4."`
	SHA256    string             `json:"sha256" doc:"Of the clear file."`
	Track     api.Track          `json:"track"`
}

type offlineOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         offline
}

var (
	errOfflineNone = melodyud.Refuse(melodyud.ErrInvalid, "offline.not-offered",
		"This server does not offer listening offline.")
	errDevice = melodyud.Refuse(melodyud.ErrInvalid, "offline.device",
		"Name the device with 1 to 64 letters, digits, dashes and underscores.")
	errRetired = melodyud.Refuse(melodyud.ErrConflict, "offline.key-retired",
		"The key of this file is no longer in use. Fetch the track again, without key_id.")
	errRendition = melodyud.Refuse(melodyud.ErrNotFound, "offline.rendition",
		"This track has no such quality. Leave rendition out for the best AAC.")
)

func (s *Service) keepTrack(ctx context.Context, in *keepInput) (*offlineOutput, error) {
	who, r, err := s.playable(ctx, in.ID)
	if err != nil {
		return nil, api.Fail(err)
	}
	o, err := s.keep(ctx, who, r, wish{in.Body.Device, in.Body.Rendition, in.Body.KeyID})
	if err != nil {
		return nil, api.Fail(err)
	}
	return &offlineOutput{CacheControl: "private, no-store", Body: o}, nil
}

// wish is what a listener wants to keep; empty fields leave the choice to us.
type wish struct{ device, rendition, keyID string }

// keep makes the key of a file on one of who's devices (HLS-94).
func (s *Service) keep(ctx context.Context, who api.Principal, r melodyud.Track, w wish) (offline, error) {
	switch {
	case who.Tier != ticket.Premium:
		return offline{}, ticket.ErrOfflineTier
	case s.c.MediaKeys == nil:
		return offline{}, errOfflineNone
	case !ticket.Device(w.device):
		return offline{}, errDevice
	}
	c, allowance, err := s.admit(ctx, who, w.device, r)
	if err != nil {
		return offline{}, err
	}
	m, err := s.manifest(ctx, r)
	if err != nil {
		return offline{}, err
	}
	found, err := choose(m, w.rendition)
	if err != nil {
		return offline{}, err
	}
	as := s.cipherOf(r)
	if w.keyID != "" {
		as.KeyID = w.keyID
	}
	binding, known := s.c.MediaKeys.Binding(as.KeyID, who.User, w.device)
	key, ok := s.c.MediaKeys.OfflineKey(as, binding, found.Name)
	if !known || !ok {
		return offline{}, errRetired
	}
	c.Prefix = ticket.OfflinePrefix(as, binding)
	a, err := s.sign(c, allowance)
	if err != nil {
		return offline{}, fmt.Errorf("offline file of track %s: %w", r.ID, err)
	}
	return offline{
		URL: s.folder(a) + found.Name + ".mud", FetchBy: a.claims.Expires, Format: "MUDOFF1",
		Key: base64.StdEncoding.EncodeToString(key), KeyID: as.KeyID,
		Expires: s.c.Now().Add(s.c.OfflineFor).Truncate(time.Second).UTC(), Device: w.device,
		Release: r.Release.ID, Rendition: found.Name, Size: found.Size, SHA256: found.SHA256, Track: api.TrackOf(r, false),
	}, nil
}

// choose returns the rendition called name, or the best AAC for an empty name.
func choose(m *melodyud.Manifest, name string) (*melodyud.Rendition, error) {
	if name != "" {
		if found, ok := m.Rendition(name); ok {
			return found, nil
		}
		return nil, errRendition
	}
	best := &m.Renditions[0] // lowest first, lossless last
	for i := range m.Renditions {
		if m.Renditions[i].Codec == melodyud.CodecAAC {
			best = &m.Renditions[i]
		}
	}
	return best, nil
}
