package playback

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/plain"
	"github.com/melodyud/melodyud/internal/ticket"
)

func (s *Service) registerRevocations(r *api.Router) {
	o := api.Operation("ops", "revoke-playback", http.MethodPost, "/v1/revocations", "Void playback URLs before they expire",
		"For operators. All URLs given out until now for one thing stop at every edge within 2 seconds: of a play session, of a "+
			"listener (by the account that tickets and facts name, or by user), of a track, or of a signing key. Who may still listen can ask for new ones.",
		400, 401, 403, 404, 422)
	o.DefaultStatus = http.StatusAccepted
	huma.Register(r.API, o, s.postRevocation)
}

type revokeInput struct {
	Body struct {
		_       struct{} `additionalProperties:"false"`
		Session string   `json:"session,omitempty" maxLength:"64" doc:"Of a playback answer." example:"ses_GF2M5N3XK7QJ4T6R2B8V0W1Y9Z"`
		Account string   `json:"account,omitempty" maxLength:"64" doc:"As tickets and facts name a listener." example:"acc_kJ3x0vTn9yQ2b7w1eX5zGg"`
		User    string   `json:"user,omitempty" maxLength:"64" doc:"As the list of keys names a listener." example:"usr_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
		Track   string   `json:"track,omitempty" maxLength:"64" example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
		Key     string   `json:"key,omitempty" maxLength:"64" doc:"A key that signs tickets." example:"k20260301-120000"`
		Reason  string   `json:"reason,omitempty" maxLength:"200" doc:"A sentence for the listener; default: one that says nothing more."`
	}
}

type revocationOutput struct {
	Body struct {
		Scope  melodyud.NoticeScope `json:"scope" enum:"session,account,track,key"`
		ID     string               `json:"id"`
		Before time.Time            `json:"before" doc:"URLs given out until then are void."`
	}
}

var (
	errRevokeWhat = melodyud.Refuse(melodyud.ErrInvalid, "revocation.what",
		"Name one thing to revoke: a session, an account, a user, a track or a key.")
	errRevokeName = melodyud.Refuse(melodyud.ErrInvalid, "revocation.name",
		"This is no name of a session, account, user or key: they have letters, digits, dashes and underscores only.")
)

// errRevoked is what listeners hear if the operator gives no reason.
var errRevoked = melodyud.Refuse(melodyud.ErrForbidden, "playback.revoked", "The operator has ended this playback.")

func (s *Service) postRevocation(ctx context.Context, in *revokeInput) (*revocationOutput, error) {
	who, err := api.Require(ctx, api.RoleOps)
	if err != nil {
		return nil, api.Fail(err)
	}
	n, err := s.noticeOf(ctx, who, in)
	if err != nil {
		return nil, api.Fail(err)
	}
	n.Code, n.Text = errRevoked.Code, cmp.Or(plain.Line(in.Body.Reason), errRevoked.Text)
	if n, err = s.post(ctx, n); err != nil {
		return nil, api.Fail(err)
	}
	s.c.Logger.InfoContext(ctx, "playback revoked", "scope", n.Scope, "id", n.ID, "by", who.User)
	out := &revocationOutput{}
	out.Body.Scope, out.Body.ID, out.Body.Before = n.Scope, n.ID, n.Before
	return out, nil
}

// noticeOf reads what one thing a revocation names.
func (s *Service) noticeOf(ctx context.Context, who api.Principal, in *revokeInput) (n melodyud.Notice, err error) {
	b := in.Body
	account := b.Account
	if b.User != "" {
		account = s.c.Names.Account(melodyud.UserID(b.User))
	}
	for scope, id := range map[melodyud.NoticeScope]string{
		melodyud.NoticeSession: b.Session, melodyud.NoticeAccount: account, melodyud.NoticeTrack: b.Track, melodyud.NoticeKey: b.Key,
	} {
		if id == "" {
			continue
		}
		if n.ID != "" {
			return n, errRevokeWhat
		}
		n.Scope, n.ID = scope, id
	}
	switch {
	case n.ID == "" || b.User != "" && b.Account != "":
		return n, errRevokeWhat
	case !ticket.Device(n.ID) || b.User != "" && !ticket.Device(b.User):
		return n, errRevokeName
	case n.Scope == melodyud.NoticeTrack:
		n.Releases, err = s.releasesOf(ctx, who, melodyud.TrackID(n.ID))
	}
	return n, err
}

// releasesOf returns the releases that tickets for a track may name.
func (s *Service) releasesOf(ctx context.Context, who api.Principal, id melodyud.TrackID) ([]melodyud.ReleaseID, error) {
	_, all, err := s.c.Library.Releases(ctx, who, id)
	if err != nil {
		return nil, err
	}
	ids := make([]melodyud.ReleaseID, len(all))
	for i, r := range all {
		ids[i] = r.ID
	}
	return ids, nil
}

// post has every edge refuse what n names and was given out until now.
func (s *Service) post(ctx context.Context, n melodyud.Notice) (melodyud.Notice, error) {
	now := s.c.Now()
	n.Before = now.Truncate(time.Millisecond).UTC()
	err := s.c.Database.InTx(ctx, func(tx database.Tx) error {
		return tx.Emit(ctx, melodyud.TopicRights, melodyud.NewNotice(now, n))
	})
	if err != nil {
		return n, fmt.Errorf("post notice for %s %s: %w", n.Scope, n.ID, err)
	}
	return n, nil
}
