package ingest

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
)

// What this file speaks: tus 1.0.0 (https://tus.io/protocols/resumable-upload).
const (
	tusVersion    = "1.0.0"
	tusExtensions = "creation,creation-with-upload,creation-defer-length,termination,checksum,expiration,concatenation"
	offsetType    = "application/offset+octet-stream"

	statusMismatch = 460 // of the checksum extension
)

var (
	errVersion = melodyud.Refuse(melodyud.ErrInvalid, "tus.version",
		"This server speaks tus 1.0.0: send the header Tus-Resumable: 1.0.0.")
	errType = melodyud.Refuse(melodyud.ErrInvalid, "tus.content-type",
		"The body of a PATCH must be application/offset+octet-stream.")
	errOffsetForm = melodyud.Refuse(melodyud.ErrInvalid, "tus.offset",
		"The header Upload-Offset must be a whole number, 0 or more.")
	errMethod = melodyud.Refuse(melodyud.ErrInvalid, "tus.method",
		"X-HTTP-Method-Override must be PATCH, HEAD or DELETE here.")
)

// tusStatus are the statuses that tus wants and the kinds do not give.
var tusStatus = map[string]int{
	errGone.Code:      http.StatusGone,
	errVersion.Code:   http.StatusPreconditionFailed,
	errType.Code:      http.StatusUnsupportedMediaType,
	errSum.Code:       statusMismatch,
	errFull.Code:      http.StatusInsufficientStorage,
	errLocked.Code:    http.StatusLocked,
	errTakenOver.Code: http.StatusLocked,
}

// tus answers the verbs of one protocol version.
type tus struct{ s *Service }

type tusHandler func(w http.ResponseWriter, r *http.Request, who api.Principal) error

// verb wraps a handler with what every tus answer and request has.
func (t tus) verb(h tusHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		t.greet(w, r)
		if r.Header.Get("Tus-Resumable") != tusVersion {
			w.Header().Set("Tus-Version", tusVersion)
			t.fail(w, r, errVersion)
			return
		}
		who, err := api.Require(r.Context(), api.RoleCreator)
		if err == nil {
			err = h(w, r, who)
		}
		if err != nil {
			t.fail(w, r, err)
		}
	}
}

func (t tus) greet(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Tus-Resumable", tusVersion)
	allowOrigin(w, r)
}

func (t tus) fail(w http.ResponseWriter, r *http.Request, err error) {
	refusal, ok := melodyud.AsRefusal(err)
	if !ok || tusStatus[refusal.Code] == 0 {
		api.WriteProblem(w, r, err)
		return
	}
	p := api.WithStatus(err, tusStatus[refusal.Code])
	if p.Status == statusMismatch {
		p.Title = "Checksum Mismatch"
	}
	api.WriteProblem(w, r, p)
}

// options tells what is implemented, to anybody and whatever version they speak.
func (t tus) options(w http.ResponseWriter, r *http.Request) {
	t.greet(w, r)
	h := w.Header()
	h.Set("Tus-Version", tusVersion)
	h.Set("Tus-Extension", tusExtensions)
	h.Set("Tus-Max-Size", strconv.FormatInt(t.s.config.MaxSize, 10))
	h.Set("Tus-Checksum-Algorithm", algorithms)
	preflight(w)
	w.WriteHeader(http.StatusNoContent)
}

// post creates an upload, with its first bytes if the request has some, or joins
// partial ones.
func (t tus) post(w http.ResponseWriter, r *http.Request, who api.Principal) error {
	concat := strings.Join(r.Header.Values("Upload-Concat"), ",")
	if concat != "" && concat != partialUpload {
		return t.join(w, r, who, concat)
	}
	length, err := declaredLength(r.Header)
	if err != nil {
		return err
	}
	m, err := parseMetadata(r.Header.Get("Upload-Metadata"))
	if err != nil {
		return err
	}
	c := chunk{Length: unknown}
	withBytes := isOffsetType(r)
	if withBytes {
		if c, err = t.chunk(w, r, 0); err != nil {
			return err
		}
		c.Length = unknown // the upload's own already
	}
	if _, err := t.s.declare(upload{Length: length}, c); err != nil {
		return err
	}
	u, err := t.s.create(r.Context(), creation{Owner: who.User, Length: length, Metadata: m, Partial: concat != ""})
	if err != nil {
		return err
	}
	announce(w, u)
	if withBytes {
		if u, err = t.s.write(r.Context(), u, c); err != nil {
			return err
		}
		w.Header().Set("Upload-Offset", strconv.FormatInt(u.Offset, 10))
	}
	expires(w, u)
	w.WriteHeader(http.StatusCreated)
	return nil
}

// join makes an upload of partial ones, whose bytes are here already (TUS-5).
func (t tus) join(w http.ResponseWriter, r *http.Request, who api.Principal, concat string) error {
	if !strings.HasPrefix(concat, finalUpload) {
		return errConcat
	}
	if r.Header.Get("Upload-Length") != "" || r.Header.Get("Upload-Defer-Length") != "" {
		return errLength
	}
	if isOffsetType(r) && r.ContentLength != 0 {
		return errFinal
	}
	m, err := parseMetadata(r.Header.Get("Upload-Metadata"))
	if err != nil {
		return err
	}
	u, err := t.s.join(r.Context(), creation{Owner: who.User, Metadata: m}, concat)
	if err != nil {
		return err
	}
	announce(w, u)
	w.WriteHeader(http.StatusCreated)
	return nil
}

// announce tells where an upload is and what it becomes.
func announce(w http.ResponseWriter, u upload) {
	w.Header().Set("Location", uploadsPath+"/"+string(u.ID))
	if u.Concat != partialUpload {
		w.Header().Set("Melodyud-Track", string(u.Track))
	}
}

// override lets clients that cannot send PATCH, HEAD or DELETE send POST (TUS-3).
func (t tus) override(w http.ResponseWriter, r *http.Request, who api.Principal) error {
	method := r.Header.Get("X-HTTP-Method-Override")
	r = r.Clone(r.Context())
	r.Method = method
	switch method {
	case http.MethodPatch:
		return t.patch(w, r, who)
	case http.MethodHead:
		return t.head(w, r, who)
	case http.MethodDelete:
		return t.delete(w, r, who)
	}
	return errMethod
}

// head tells where an upload stands, after an older request that still writes it
// has stored what arrived.
func (t tus) head(w http.ResponseWriter, r *http.Request, who api.Principal) error {
	w.Header().Set("Cache-Control", "no-store")
	u, err := t.s.settle(r.Context(), who.User, r.PathValue("id"))
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Upload-Offset", strconv.FormatInt(u.Offset, 10))
	if u.Length == unknown {
		h.Set("Upload-Defer-Length", "1")
	} else {
		h.Set("Upload-Length", strconv.FormatInt(u.Length, 10))
	}
	if u.Metadata.raw != "" {
		h.Set("Upload-Metadata", u.Metadata.raw)
	}
	if u.Concat != "" {
		h.Set("Upload-Concat", u.Concat)
	}
	if u.Concat != partialUpload {
		h.Set("Melodyud-Track", string(u.Track))
	}
	expires(w, u)
	w.WriteHeader(http.StatusOK)
	return nil
}

func (t tus) patch(w http.ResponseWriter, r *http.Request, who api.Principal) error {
	if !isOffsetType(r) {
		return errType
	}
	offset, ok := wholeNumber(r.Header.Get("Upload-Offset"))
	if !ok {
		return errOffsetForm
	}
	c, err := t.chunk(w, r, offset)
	if err != nil {
		return err
	}
	u, err := t.s.find(r.Context(), who.User, r.PathValue("id"))
	if err != nil {
		return err
	}
	if u, err = t.s.write(r.Context(), u, c); err != nil {
		return err
	}
	w.Header().Set("Upload-Offset", strconv.FormatInt(u.Offset, 10))
	expires(w, u)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (t tus) delete(w http.ResponseWriter, r *http.Request, who api.Principal) error {
	u, err := t.s.settle(r.Context(), who.User, r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := t.s.end(r.Context(), u); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// chunk reads what the headers say of a body.
func (t tus) chunk(w http.ResponseWriter, r *http.Request, offset int64) (chunk, error) {
	c := chunk{Offset: offset, Length: unknown, Size: r.ContentLength, Body: r.Body}
	c.Deadline = http.NewResponseController(w).SetReadDeadline
	c.HangUp = func() { w.Header().Set("Connection", "close") }
	if c.Size != 0 {
		c.deadline(time.Now().Add(t.s.config.ReadTimeout)) // also for a body that is refused and only drained
	}
	if values := r.Header.Values("Upload-Length"); len(values) > 0 {
		n, ok := wholeNumber(values[0])
		if !ok || len(values) > 1 {
			return chunk{}, errLength
		}
		c.Length = n
	}
	if header := r.Header.Get("Upload-Checksum"); header != "" {
		sum, err := parseChecksum(header)
		if err != nil {
			return chunk{}, err
		}
		c.Sum = sum
	}
	return c, nil
}

// declaredLength reads Upload-Length or Upload-Defer-Length: exactly one of them.
func declaredLength(h http.Header) (int64, error) {
	lengths, deferred := h.Values("Upload-Length"), h.Values("Upload-Defer-Length")
	if len(lengths)+len(deferred) != 1 {
		return 0, errLength
	}
	if len(deferred) == 1 {
		if deferred[0] != "1" {
			return 0, errLength
		}
		return unknown, nil
	}
	n, ok := wholeNumber(lengths[0])
	if !ok {
		return 0, errLength
	}
	return n, nil
}

// wholeNumber reads digits only: no sign, no space.
func wholeNumber(s string) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err == nil && s[0] != '+'
}

func isOffsetType(r *http.Request) bool {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && media == offsetType
}

// expires tells until when an unfinished upload is kept.
func expires(w http.ResponseWriter, u upload) {
	if u.expires() {
		w.Header().Set("Upload-Expires", u.Due.UTC().Format(http.TimeFormat))
	}
}
