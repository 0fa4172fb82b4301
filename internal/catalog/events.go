package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/database"
)

const eventsText = "Server-sent events (text/event-stream): `event: track`, data is a Track. First comes the present state, " +
	"then every change, the latest if several came at once. Comment lines keep the connection alive. " +
	"A client that reads too slowly is cut off and finds the present state when it comes back, as browsers do by themselves."

func (s *Service) registerEvents(r *api.Router) {
	all := operation("follow-tracks", http.MethodGet, "/v1/events", "Follow your tracks",
		eventsText+" The first events are your tracks still being worked on and those that changed a moment ago.", 401, 403, 429)
	one := operation("follow-track", http.MethodGet, "/v1/tracks/{id}/events", "Follow one of your tracks",
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
	return s.follow(who.User, "", func(ctx context.Context) ([]*row, error) {
		return loadAll(ctx, s.c.Database, `WHERE t.owner = ? AND (t.state = ? OR t.updated >= ?)
			ORDER BY t.updated DESC LIMIT ?`, string(who.User), string(melodyud.StateReceived),
			database.Millis(s.since(in.LastEventID)), streamRoom)
	})
}

// since is how far back a new stream begins: a minute, or where a broken one left
// off, and the clocks' disagreement before that.
func (s *Service) since(lastEventID string) time.Time {
	from := s.c.Now().Add(-time.Minute)
	if ms, err := strconv.ParseInt(lastEventID, 10, 64); err == nil && ms > 0 && ms < database.Millis(from) {
		from = database.Time(ms)
	}
	return from.Add(-overlap)
}

func (s *Service) followTrack(ctx context.Context, in *trackInput) (*huma.StreamResponse, error) {
	who, err := creator(ctx)
	if err != nil {
		return nil, api.Fail(err)
	}
	if _, err := s.own(ctx, s.c.Database, who, in.id()); err != nil {
		return nil, api.Fail(err)
	}
	return s.follow(who.User, in.id(), func(ctx context.Context) ([]*row, error) {
		r, err := load(ctx, s.c.Database, in.id())
		if err != nil {
			return nil, err
		}
		return []*row{r}, nil
	})
}

// reader reads the rows a stream is about.
type reader func(context.Context) ([]*row, error)

// follow opens a stream; present reads what it begins with.
func (s *Service) follow(user melodyud.UserID, id melodyud.TrackID, present reader) (*huma.StreamResponse, error) {
	st, err := s.feed.open(user, id)
	if err != nil {
		return nil, api.Fail(err)
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		defer s.feed.close(st)
		req, w := humago.Unwrap(ctx)
		out := newEventWriter(w)
		rows, err := present(req.Context())
		if err != nil {
			api.WriteProblem(w, req, err)
			return
		}
		out.begin()
		_ = s.stream(req.Context(), st, out, rows, present) // the client's going is the usual end
	}}, nil
}

// stream writes events until the client goes or the one track it follows has
// reached its end.
//
// At each heartbeat it looks for itself, should the feed have missed something,
// and ends if the client's key was revoked or its session closed.
func (s *Service) stream(ctx context.Context, st *stream, out *eventWriter, rows []*row, present reader) error {
	beat := time.NewTicker(s.c.EventHeartbeat)
	defer beat.Stop()
	for fits := true; ; {
		if err := out.send(rows); err != nil || !fits {
			return err
		}
		if st.track != "" && slices.ContainsFunc(rows, func(r *row) bool { return r.State.Terminal() }) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.feed.done:
			return nil
		case <-st.wake:
			rows, fits = st.take()
		case <-beat.C:
			if err := api.StillSignedIn(ctx); errors.Is(err, melodyud.ErrUnauthenticated) {
				return err
			}
			if err := out.beat(); err != nil {
				return err
			}
			rows, _ = present(ctx) // the next heartbeat looks again
		}
	}
}

// eventWriter writes server-sent events (HTML Living Standard §9.2).
type eventWriter struct {
	w    http.ResponseWriter
	ctl  *http.ResponseController
	told map[melodyud.TrackID]int64 // versions the client has
}

const (
	writePatience = 10 * time.Second // for a client that does not read
	toldRoom      = 4096
)

func newEventWriter(w http.ResponseWriter) *eventWriter {
	return &eventWriter{w: w, ctl: http.NewResponseController(w), told: map[melodyud.TrackID]int64{}}
}

func (e *eventWriter) begin() {
	h := e.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "private, no-store")
	h.Set("X-Accel-Buffering", "no") // proxies must not hold events back
	e.w.WriteHeader(http.StatusOK)
	_ = e.write([]byte("retry: 2000\n\n")) // the next write meets the same error
}

func (e *eventWriter) beat() error { return e.write([]byte(": still here\n\n")) }

func (e *eventWriter) send(rows []*row) error {
	slices.SortFunc(rows, func(a, b *row) int { return a.Updated.Compare(b.Updated) })
	var buf bytes.Buffer
	for _, r := range rows {
		if e.told[r.ID] >= r.version {
			continue
		}
		if len(e.told) >= toldRoom {
			clear(e.told) // telling something twice is harmless
		}
		e.told[r.ID] = r.version
		if err := writeEvent(&buf, r); err != nil {
			return err
		}
	}
	if buf.Len() == 0 {
		return nil
	}
	return e.write(buf.Bytes())
}

func writeEvent(w io.Writer, r *row) error {
	data, err := json.Marshal(viewOf(r.Track, true))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "event: track\nid: %d\ndata: %s\n\n", database.Millis(r.Updated), data)
	return err
}

// write gives the client a while to take b. The deadline is taken back afterwards:
// over HTTP/2 it would end an idle stream.
func (e *eventWriter) write(b []byte) error {
	_ = e.ctl.SetWriteDeadline(time.Now().Add(writePatience)) // not every writer has one
	defer func() { _ = e.ctl.SetWriteDeadline(time.Time{}) }()
	if _, err := e.w.Write(b); err != nil {
		return err
	}
	return e.ctl.Flush()
}
