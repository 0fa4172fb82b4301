// Package resumable speaks the IETF's Resumable Uploads for HTTP
// (draft-ietf-httpbis-resumable-upload) on top of package ingest: a second dialect of
// the same uploads. It knows the interop versions 5 (draft 03), 6 (04, 05) and 8 (from
// 09), which clients name in Upload-Draft-Interop-Version. A request without any of
// the draft's headers is an upload too: curl --data-binary @song.flac is enough.
//
// All bytes of a declared length complete an upload, whether or not the client has
// said Upload-Complete: ?1 with the last of them.
package resumable

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/ingest"
	"github.com/melodyud/melodyud/internal/api"
)

const (
	rootPath   = "/v1/resumable"
	uploadPath = rootPath + "/{id}"

	partialType      = "application/partial-upload"
	statusResumption = 104
	interopHeader    = "Upload-Draft-Interop-Version"
)

// uploads is the state machine of package ingest.
type uploads interface {
	Begin(ctx context.Context, a ingest.Announcement) (ingest.View, error)
	Settle(ctx context.Context, owner melodyud.UserID, id string) (ingest.View, error)
	Write(ctx context.Context, owner melodyud.UserID, id string, c ingest.Chunk) (ingest.View, error)
	Cancel(ctx context.Context, owner melodyud.UserID, id string) error
}

// Config configures a Dialect.
type Config struct {
	Uploads     uploads       // required
	MaxSize     int64         // what Upload-Limit tells, in bytes; default 2 GiB, as in package ingest
	ReadTimeout time.Duration // the longest silence of a client in mid-body; default 30 s
	Now         func() time.Time
}

// Dialect answers the requests. Safe for concurrent use.
type Dialect struct{ config Config }

// New returns a dialect that keeps nothing itself.
func New(c Config) (*Dialect, error) {
	if c.Uploads == nil {
		return nil, errors.New("resumable: Config needs Uploads")
	}
	if c.MaxSize == 0 {
		c.MaxSize = 2 << 30
	}
	if c.ReadTimeout == 0 {
		c.ReadTimeout = 30 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Dialect{config: c}, nil
}

// Register hangs the dialect on r.
func (d *Dialect) Register(r *api.Router) {
	for pattern, h := range map[string]handler{
		"POST " + rootPath: d.create, "PUT " + rootPath: d.create,
		"HEAD " + uploadPath: d.head, "PATCH " + uploadPath: d.append, "DELETE " + uploadPath: d.cancel,
	} {
		r.Mux.HandleFunc(pattern, d.verb(h))
	}
	r.Mux.HandleFunc("OPTIONS "+rootPath, d.options)
	r.Mux.HandleFunc("OPTIONS "+uploadPath, d.options)
	document(r)
}

type handler func(w http.ResponseWriter, r *http.Request, owner melodyud.UserID) error

// verb wraps a handler with what every answer and request has.
func (d *Dialect) verb(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		d.greet(w, r)
		who, err := api.Require(r.Context(), api.RoleCreator)
		if err == nil {
			err = h(w, r, who.User)
		}
		if err != nil {
			fail(w, r, err)
		}
	}
}

func (d *Dialect) greet(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Upload-Limit", "max-size="+strconv.FormatInt(d.config.MaxSize, 10))
	if r.Header.Get("Origin") != "" {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Expose-Headers", "Location, Upload-Offset, Upload-Complete, Upload-Length, Upload-Limit, "+
			interopHeader+", Repr-Digest, Melodyud-Track, X-Request-ID, Retry-After")
	}
}

// options tells that uploads may be resumed, and the limits.
func (d *Dialect) options(w http.ResponseWriter, r *http.Request) {
	d.greet(w, r)
	h := w.Header()
	h.Set("Accept-Patch", partialType)
	h.Set("Access-Control-Allow-Methods", "POST, PUT, HEAD, PATCH, OPTIONS, DELETE")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Content-Disposition, Content-Digest, Repr-Digest, Upload-Offset, "+
		"Upload-Complete, Upload-Length, Upload-Metadata, Upload-Defer-Length, X-Requested-With, X-Request-ID, "+interopHeader)
	h.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}

// create opens an upload and takes the bytes that come with the request.
func (d *Dialect) create(w http.ResponseWriter, r *http.Request, owner melodyud.UserID) error {
	in, err := d.read(w, r)
	if err != nil {
		return err
	}
	in.resumable = in.told
	in.complete = in.complete || !in.told // an ordinary request has the whole file
	announced, err := in.announcement(r, owner)
	if err != nil {
		return err
	}
	if announced.Length > d.config.MaxSize || in.size() > d.config.MaxSize {
		return errTooLarge
	}
	v, err := d.config.Uploads.Begin(r.Context(), announced)
	if err != nil {
		return err
	}
	w.Header().Set("Location", rootPath+"/"+string(v.ID))
	w.Header().Set("Melodyud-Track", string(v.Track))
	if r.ContentLength != 0 {
		in.announce(w)
		if v, err = d.take(r, owner, v, in); err != nil {
			return err
		}
	}
	d.state(w, v)
	w.WriteHeader(http.StatusCreated)
	return nil
}

// append takes further bytes.
func (d *Dialect) append(w http.ResponseWriter, r *http.Request, owner melodyud.UserID) error {
	in, err := d.read(w, r)
	if err != nil {
		return err
	}
	if in.version != 5 && !isPartial(r) {
		return errType
	}
	if !in.told || in.chunk.Offset < 0 {
		return errHeaders
	}
	v, err := d.config.Uploads.Settle(r.Context(), owner, r.PathValue("id"))
	if err != nil {
		return err
	}
	if in.chunk.Offset != v.Offset {
		return mismatch(v.Offset, in.chunk.Offset)
	}
	if v, err = d.take(r, owner, v, in); err != nil {
		if refusal, ok := melodyud.AsRefusal(err); ok && refusal.Code == errOffset.Code { // somebody was faster
			return mismatch(v.Offset, in.chunk.Offset)
		}
		return err
	}
	d.state(w, v)
	if in.version == 5 && v.State == ingest.StateOpen {
		w.WriteHeader(http.StatusCreated) // draft 03, section 5: not done yet
	} else {
		w.WriteHeader(http.StatusNoContent)
	}
	return nil
}

// take stores a request's bytes. Those of a body of unknown size that is said to be
// the last tell the length by their end.
func (d *Dialect) take(r *http.Request, owner melodyud.UserID, v ingest.View, in *request) (ingest.View, error) {
	if in.complete && in.chunk.Size >= 0 && in.chunk.Length == ingest.Unknown {
		in.chunk.Length = in.chunk.Offset + in.chunk.Size
	}
	if in.complete && in.chunk.Size >= 0 && in.chunk.Offset+in.chunk.Size != in.chunk.Length {
		return v, errInconsistent
	}
	after, err := d.config.Uploads.Write(r.Context(), owner, string(v.ID), in.chunk)
	if err != nil {
		return after, err
	}
	if !in.complete || after.State != ingest.StateOpen {
		return after, nil
	}
	if after.Length != nil {
		return after, errInconsistent
	}
	return d.config.Uploads.Write(r.Context(), owner, string(v.ID), ingest.Chunk{
		Offset: after.Offset, Length: after.Offset, Body: http.NoBody, Deadline: in.chunk.Deadline,
	})
}

// head tells where an upload stands.
func (d *Dialect) head(w http.ResponseWriter, r *http.Request, owner melodyud.UserID) error {
	w.Header().Set("Cache-Control", "no-store")
	v, err := d.config.Uploads.Settle(r.Context(), owner, r.PathValue("id"))
	if err != nil {
		return err
	}
	d.state(w, v)
	w.Header().Set("Melodyud-Track", string(v.Track))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (d *Dialect) cancel(w http.ResponseWriter, r *http.Request, owner melodyud.UserID) error {
	if err := d.config.Uploads.Cancel(r.Context(), owner, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// state puts where an upload stands into the answer's headers.
func (d *Dialect) state(w http.ResponseWriter, v ingest.View) {
	h := w.Header()
	h.Set("Upload-Offset", strconv.FormatInt(v.Offset, 10))
	h.Set("Upload-Complete", "?1")
	if v.State == ingest.StateOpen {
		h.Set("Upload-Complete", "?0")
	}
	if v.Length != nil {
		h.Set("Upload-Length", strconv.FormatInt(*v.Length, 10))
	}
	if v.Expires != nil {
		left := max(0, int64(v.Expires.Sub(d.config.Now())/time.Second))
		h.Set("Upload-Limit", h.Get("Upload-Limit")+", max-age="+strconv.FormatInt(left, 10))
	}
	if digest := reprDigest(v.SHA256); digest != "" {
		h.Set("Repr-Digest", digest)
	}
}

// announce tells in an interim answer where the upload may be resumed, and from now
// on up to where its bytes are durable.
func (in *request) announce(w http.ResponseWriter) {
	if in.version == 0 || !in.resumable {
		return
	}
	w.Header().Set(interopHeader, strconv.Itoa(in.version))
	w.WriteHeader(statusResumption)
	location := w.Header().Values("Location")
	in.chunk.Stored = func(offset int64) {
		w.Header().Set("Upload-Offset", strconv.FormatInt(offset, 10))
		w.Header().Del("Location")
		w.WriteHeader(statusResumption)
		w.Header()["Location"] = location
	}
}

// document names the requests in the OpenAPI document.
func document(r *api.Router) {
	for _, one := range []struct{ id, method, path, summary, answers string }{
		{"resumable-create", http.MethodPost, rootPath, "Start an upload (IETF resumable uploads)", "201 400 401 403 413 422 429 503 507"},
		{"resumable-offset", http.MethodHead, uploadPath, "Where an upload stands (IETF resumable uploads)", "204 401 404 410"},
		{"resumable-append", http.MethodPatch, uploadPath, "Send the upload's next bytes (IETF resumable uploads)", "204 400 401 404 409 410 413 415 423 503 507"},
		{"resumable-cancel", http.MethodDelete, uploadPath, "Cancel an upload (IETF resumable uploads)", "204 401 404 410"},
	} {
		op := &huma.Operation{
			OperationID: one.id, Method: one.method, Path: one.path, Summary: one.summary, Tags: []string{"uploads"},
			Description: "See draft-ietf-httpbis-resumable-upload, interop versions 5, 6 and 8.",
			Responses:   map[string]*huma.Response{},
		}
		if one.path == uploadPath {
			op.Parameters = []*huma.Param{{Name: "id", In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}}}
		}
		for status := range strings.FieldsSeq(one.answers) {
			n, _ := strconv.Atoi(status)
			op.Responses[status] = &huma.Response{Description: http.StatusText(n)}
		}
		r.API.OpenAPI().AddOperation(op)
	}
}
