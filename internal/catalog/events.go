package catalog

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/catalog/feed"
	"github.com/melodyud/melodyud/internal/database"
)

const eventsText = "Server-sent events (text/event-stream): `event: track`, data is a Track. First comes the present state, " +
	"then every change, the latest if several came at once. Comment lines keep the connection alive. " +
	"A client that reads too slowly is cut off and finds the present state when it comes back, as browsers do by themselves."

func (s *Service) registerEvents(r *api.Router) {
	all := api.Operation("tracks", "follow-tracks", http.MethodGet, "/v1/events", "Follow your tracks",
		eventsText+" The first events are your tracks still being worked on and those that changed a moment ago.", 401, 403, 429)
	one := api.Operation("tracks", "follow-track", http.MethodGet, "/v1/tracks/{id}/events", "Follow one of your tracks",
		eventsText+" The stream ends once the track is published, refused or withdrawn.", 401, 403, 404, 429)
	for _, op := range []*huma.Operation{&all, &one} {
		op.Responses = map[string]*huma.Response{"200": {
			Description: "The events, until the client goes.",
			Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}},
		}}
	}
	huma.Register(r.API, all, s.followTracks)
	huma.Register(r.API, one, s.followTrack)
}

type followInput struct {
	LastEventID string `header:"Last-Event-ID" maxLength:"32" doc:"Sent by browsers that come back."`
}

func (s *Service) followTracks(ctx context.Context, in *followInput) (*huma.StreamResponse, error) {
	who, err := api.Require(ctx, api.RoleCreator)
	if err != nil {
		return nil, api.Fail(err)
	}
	return s.follow(who.User, "", func(ctx context.Context) ([]feed.Change, error) {
		return s.changes(ctx, `WHERE t.owner = ? AND (t.state = ? OR t.updated >= ?)
			ORDER BY t.updated DESC LIMIT ?`, string(who.User), string(melodyud.StateReceived),
			database.Millis(s.since(in.LastEventID)), feed.Room)
	})
}

// since is how far back a new stream begins: a minute, or where a broken one left
// off, and the clocks' disagreement before that.
func (s *Service) since(lastEventID string) time.Time {
	from := s.c.Now().Add(-time.Minute)
	if ms, err := strconv.ParseInt(lastEventID, 10, 64); err == nil && ms > 0 && ms < database.Millis(from) {
		from = database.Time(ms)
	}
	return from.Add(-feed.Overlap)
}

func (s *Service) followTrack(ctx context.Context, in *trackInput) (*huma.StreamResponse, error) {
	who, err := creator(ctx)
	if err != nil {
		return nil, api.Fail(err)
	}
	if _, err := s.own(ctx, s.c.Database, who, in.id()); err != nil {
		return nil, api.Fail(err)
	}
	return s.follow(who.User, in.id(), func(ctx context.Context) ([]feed.Change, error) {
		return s.changes(ctx, `WHERE t.id = ?`, in.ID)
	})
}

// follow opens a stream; present reads what it begins with.
func (s *Service) follow(user melodyud.UserID, id melodyud.TrackID, present feed.Present) (*huma.StreamResponse, error) {
	st, err := s.feed.Open(user, id)
	if err != nil {
		return nil, api.Fail(err)
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		defer st.Close()
		r, w := humago.Unwrap(ctx)
		st.Serve(w, r, present)
	}}, nil
}

// changes reads tracks in the form of the feed.
func (s *Service) changes(ctx context.Context, where string, args ...any) ([]feed.Change, error) {
	rows, err := loadAll(ctx, s.c.Database, where, args...)
	all := make([]feed.Change, len(rows))
	for i, r := range rows {
		all[i] = feed.Change{Track: r.Track, Version: r.version}
	}
	return all, err
}

func (s *Service) changed(ctx context.Context, since time.Time, limit int) ([]feed.Change, error) {
	return s.changes(ctx, `WHERE t.updated >= ? ORDER BY t.updated, t.id LIMIT ?`, database.Millis(since), limit)
}

// Run tells the event streams about changes until ctx ends, and ends them then. It
// is called once. A database that is away for a while only delays it.
func (s *Service) Run(ctx context.Context) error { return s.feed.Run(ctx) }
