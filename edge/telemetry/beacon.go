package telemetry

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/ticket"
)

const (
	maxBody   = 64 << 10         // bytes (CMCD-9); what navigator.sendBeacon may send
	bodyTime  = 10 * time.Second // for a player to send it
	afterward = time.Hour        // a ticket reports for so long after it has expired
)

// tickets tells what tickets say.
type tickets interface {
	Read(token string) (ticket.Claims, error)
}

// lengths knows how long tracks are.
type lengths interface {
	// Length of a release's track; ErrNotFound if nobody knows such a release.
	Length(ctx context.Context, id melodyud.ReleaseID) (time.Duration, error)
}

// Register hangs the addresses of beacons on r: "events" beside each playlist that
// players begin with. They are for POST, with a Beacon or records of CMCD events.
func (t *Intake) Register(r *api.Router, tickets tickets, lengths lengths) {
	d := desk{t, tickets, lengths}
	const one, many, sealed = "{track}/{release}/", "{digest}/{releases}/{form}/", "encrypted/aes-128/{secret}/"
	for folder, root := range map[string]string{one: "/p/", one + sealed: "/p/", many: "/l/", sealed + many: "/l/"} {
		at := root + "{ticket}/" + folder + "events"
		r.Mux.Handle("POST "+at, d.take(root))
		r.Mux.HandleFunc("OPTIONS "+at, preflight)
	}
}

// preflight lets players on any site send other types than text.
func preflight(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "POST, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "Content-Type")
	h.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}

// desk takes in beacons.
type desk struct {
	*Intake
	tickets tickets
	lengths lengths
}

// take answers a beacon below root: 204 once what it tells is durable.
func (d desk) take(root string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		err := d.handle(w, r, root)
		d.metrics.beacons.WithLabelValues(outcome(err)).Inc()
		if err != nil {
			api.WriteProblem(w, r, err)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNoContent)
	})
}

func outcome(err error) string {
	switch {
	case err == nil:
		return "kept"
	case errors.Is(err, melodyud.ErrLimited):
		return "busy"
	case errors.Is(err, melodyud.ErrUnavailable):
		return "unavailable"
	}
	return "refused"
}

func (d desk) handle(w http.ResponseWriter, r *http.Request, root string) error {
	// Nothing is read of a stranger, and never more bodies at a time than there is
	// memory set aside for.
	teller, err := d.teller(r, root)
	if err != nil {
		return err
	}
	if wait := d.paces.Take(d.paces.Name(teller.claims.Session), teller.now); wait > 0 {
		return errOften.After(wait)
	}
	select {
	case d.reading <- struct{}{}:
		defer func() { <-d.reading }()
	default:
		return errBusy
	}
	body, err := read64K(w, r)
	if err != nil {
		return err
	}
	facts, told, err := d.understand(r.Context(), teller, body, r.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	if err := d.keep(r.Context(), facts); err != nil {
		return err
	}
	for _, one := range told {
		d.metrics.observe(one.typ, &one.fact)
	}
	return nil
}

// teller is who tells, and of what: all of it from the ticket and its address.
type teller struct {
	claims   ticket.Claims
	track    melodyud.TrackID
	releases []melodyud.ReleaseID // those that the address plays
	now      time.Time
}

// teller checks the ticket. One that has expired meanwhile may still tell what was
// heard before.
func (d desk) teller(r *http.Request, root string) (teller, error) {
	token := r.PathValue("ticket")
	claims, err := d.tickets.Read(token)
	if err != nil {
		return teller{}, err
	}
	now := d.c.Now()
	if err := claims.Opens(strings.TrimPrefix(r.URL.EscapedPath(), root+token), now.Add(-afterward)); err != nil {
		return teller{}, err
	}
	one := teller{claims: claims, track: melodyud.TrackID(r.PathValue("track")), now: now}
	if list := r.PathValue("releases"); list != "" {
		one.releases, err = ticket.ParseList(r.PathValue("digest"), list)
		return one, err
	}
	id, err := melodyud.ParseReleaseID(r.PathValue("release"))
	if err != nil {
		return teller{}, errRelease
	}
	one.releases = []melodyud.ReleaseID{id}
	return one, nil
}

var errLarge = melodyud.Refuse(melodyud.ErrTooLarge, "telemetry.too-large",
	"This report is longer than 64 KB. Send it in parts.")

func read64K(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, errLarge
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime)) // where there is no connection there is no deadline
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, long := errors.AsType[*http.MaxBytesError](err); long {
		return nil, errLarge
	}
	if err != nil {
		return nil, errBeacon.Because(err)
	}
	return body, nil
}

// understand makes facts of a body. Its type decides what it is: records of CMCD,
// or JSON, however it is labelled, as a page can send text alone without asking
// first.
func (d desk) understand(ctx context.Context, who teller, body []byte, contentType string) ([]melodyud.Event, []told, error) {
	kind, _, _ := mime.ParseMediaType(contentType)
	read := readBeacon
	if kind == "application/cmcd" || kind == "text/cmcd" {
		read = readRecords
	}
	all, err := read(body)
	if err != nil {
		return nil, nil, err
	}
	lengths, err := d.lengthsOf(ctx, who, all)
	if err != nil {
		return nil, nil, err
	}
	return d.factsOf(who, all, lengths)
}

// lengthsOf returns the lengths of the tracks that are told of, in milliseconds;
// 0 for one that is gone.
func (d desk) lengthsOf(ctx context.Context, who teller, all []report) (map[melodyud.ReleaseID]int64, error) {
	known := map[melodyud.ReleaseID]int64{}
	for i := range all {
		id, err := who.release(&all[i])
		if err != nil {
			return nil, err
		}
		if _, asked := known[id]; asked {
			continue
		}
		length, err := d.lengths.Length(ctx, id)
		if err != nil && !errors.Is(err, melodyud.ErrNotFound) {
			return nil, errAway.Because(err)
		}
		known[id] = length.Milliseconds()
	}
	return known, nil
}
