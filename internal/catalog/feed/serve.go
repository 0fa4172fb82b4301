package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
)

// Present reads the tracks that a stream begins with, as they are now.
type Present func(context.Context) ([]Change, error)

// Serve answers r with the present state and then every change, until the client
// goes or the stream ends.
func (st *Stream) Serve(w http.ResponseWriter, r *http.Request, present Present) {
	rows, err := present(r.Context())
	if err != nil {
		api.WriteProblem(w, r, err)
		return
	}
	out := newEventWriter(w, st.feed.c.Show)
	out.begin()
	_ = st.write(r.Context(), out, rows, present) // the client's going is the usual end
}

// write writes events until the client goes or the one track it follows has
// reached its end.
//
// At each heartbeat it looks for itself, should the feed have missed something,
// and ends if the client's key was revoked or its session closed.
func (st *Stream) write(ctx context.Context, out *eventWriter, rows []Change, present Present) error {
	beat := time.NewTicker(st.feed.c.Heartbeat)
	defer beat.Stop()
	for fits := true; ; {
		if err := out.send(rows); err != nil || !fits {
			return err
		}
		if st.track != "" && slices.ContainsFunc(rows, func(r Change) bool { return r.State.Terminal() && r.Progress.Stage == melodyud.StageDone }) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-st.feed.done:
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
	show func(melodyud.Track) any
	told map[melodyud.TrackID]int64 // versions the client has
}

const (
	writePatience = 10 * time.Second // for a client that does not read
	toldRoom      = 4096
)

func newEventWriter(w http.ResponseWriter, show func(melodyud.Track) any) *eventWriter {
	return &eventWriter{w: w, show: show, ctl: http.NewResponseController(w), told: map[melodyud.TrackID]int64{}}
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

func (e *eventWriter) send(rows []Change) error {
	slices.SortFunc(rows, func(a, b Change) int { return a.Updated.Compare(b.Updated) })
	var buf bytes.Buffer
	for _, r := range rows {
		if e.told[r.ID] >= r.Version {
			continue
		}
		if len(e.told) >= toldRoom {
			clear(e.told) // telling something twice is harmless
		}
		e.told[r.ID] = r.Version
		if err := e.event(&buf, r); err != nil {
			return err
		}
	}
	if buf.Len() == 0 {
		return nil
	}
	return e.write(buf.Bytes())
}

func (e *eventWriter) event(w io.Writer, r Change) error {
	data, err := json.Marshal(e.show(r.Track))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "event: track\nid: %d\ndata: %s\n\n", r.Updated.UnixMilli(), data)
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
