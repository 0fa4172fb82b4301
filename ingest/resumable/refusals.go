package resumable

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
)

var (
	errHeaders = melodyud.Refuse(melodyud.ErrInvalid, "resumable.headers",
		"A PATCH needs Upload-Complete: ?0 or ?1 and Upload-Offset: a whole number.")
	errType = melodyud.Refuse(melodyud.ErrInvalid, "resumable.content-type",
		"The body of a PATCH must be application/partial-upload.")
	errInconsistent = melodyud.Refuse(melodyud.ErrInvalid, "upload.length",
		"The upload's length is malformed or differs from what was declared or sent before.")
	errTooLarge = melodyud.Refuse(melodyud.ErrTooLarge, "upload.too-large",
		"The file is larger than allowed. Send a shorter or compressed (FLAC) version.")
	errDigestForm = melodyud.Refuse(melodyud.ErrInvalid, "resumable.digest",
		"A digest is written as in sha-256=:<base64>: (RFC 9530).")
	errOffset = melodyud.Refuse(melodyud.ErrConflict, "upload.offset",
		"The upload stands at another offset. Ask for the offset and go on from there.")
)

// statuses are those that the kinds of package melodyud do not give.
var statuses = map[string]int{
	errType.Code:          http.StatusUnsupportedMediaType,
	"upload.gone":         http.StatusGone,
	"upload.locked":       http.StatusLocked,
	"upload.taken-over":   http.StatusLocked,
	"upload.storage-full": http.StatusInsufficientStorage,
}

const registry = "https://iana.org/assignments/http-problem-types#"

// types are the problem types that the draft registers.
var types = map[string]string{
	errOffset.Code:       registry + "mismatching-upload-offset",
	errInconsistent.Code: registry + "inconsistent-upload-length",
	"upload.overflow":    registry + "inconsistent-upload-length",
}

// offsets is a refusal with the two members that the draft adds to its problem.
type offsets struct {
	error
	expected, provided int64
}

func (o offsets) Unwrap() error { return o.error }

func mismatch(expected, provided int64) error { return offsets{errOffset, expected, provided} }

// problem is api.Problem with a type and members of the draft's.
type problem struct {
	*api.Problem
	Type     string `json:"type"`
	Expected *int64 `json:"expected-offset,omitempty"`
	Provided *int64 `json:"provided-offset,omitempty"`
}

func fail(w http.ResponseWriter, r *http.Request, err error) {
	refusal, ok := melodyud.AsRefusal(err)
	if !ok {
		api.WriteProblem(w, r, err)
		return
	}
	if status := statuses[refusal.Code]; status != 0 {
		err = api.WithStatus(err, status)
	}
	if types[refusal.Code] == "" || r.Method == http.MethodHead {
		api.WriteProblem(w, r, err)
		return
	}
	p := problem{Type: types[refusal.Code]}
	if o, ok := errors.AsType[offsets](err); ok {
		p.Expected, p.Provided = &o.expected, &o.provided
		w.Header().Set("Upload-Offset", strconv.FormatInt(o.expected, 10))
		w.Header().Set("Upload-Complete", "?0")
	}
	body := &bodyOf{ResponseWriter: w}
	api.WriteProblem(body, r, err)
	if json.Unmarshal(body.text, &p) == nil {
		p.Type = types[refusal.Code]
		_ = json.NewEncoder(w).Encode(p) // The connection is all that can fail.
	}
}

// bodyOf keeps an answer's body back.
type bodyOf struct {
	http.ResponseWriter
	text []byte
}

func (b *bodyOf) Write(p []byte) (int, error) {
	b.text = append(b.text, p...)
	return len(p), nil
}
