package ingest

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
)

const (
	uploadsPath = "/v1/uploads"
	uploadPath  = "/v1/uploads/{id}"
)

// Register hangs the upload protocol and the upload's description on r.
func (s *Service) Register(r *api.Router) {
	t := tus{s}
	r.Mux.HandleFunc("OPTIONS "+uploadsPath, t.options)
	r.Mux.HandleFunc("OPTIONS "+uploadPath, t.options)
	r.Mux.HandleFunc("POST "+uploadsPath, t.verb(t.post))
	r.Mux.HandleFunc("POST "+uploadPath, t.verb(t.override))
	r.Mux.HandleFunc("HEAD "+uploadPath, t.verb(t.head))
	r.Mux.HandleFunc("PATCH "+uploadPath, t.verb(t.patch))
	r.Mux.HandleFunc("DELETE "+uploadPath, t.verb(t.delete))
	huma.Register(r.API, huma.Operation{
		OperationID: "upload", Method: http.MethodGet, Path: uploadPath, Summary: "Describe one of your uploads", Tags: []string{"uploads"},
		Description: "Says what became of the upload once all bytes have arrived.",
		Security:    []map[string][]string{{"key": {}}, {"session": {}}},
		Middlewares: huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
			ctx.SetHeader("Access-Control-Allow-Origin", "*")
			next(ctx)
		}},
	}, s.getUpload)
	s.documentTus(r)
}

// Other sites' pages may upload with a key of their own in the Authorization
// header; cookies are never used across origins.

func allowOrigin(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Origin") == "" {
		return
	}
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Access-Control-Expose-Headers", "Upload-Offset, Location, Upload-Length, Tus-Version, Tus-Resumable, Tus-Max-Size, "+
		"Tus-Extension, Tus-Checksum-Algorithm, Upload-Metadata, Upload-Defer-Length, Upload-Concat, Upload-Expires, Melodyud-Track, "+
		"X-Request-ID, Retry-After")
}

func preflight(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "POST, HEAD, PATCH, OPTIONS, GET, DELETE")
	h.Set("Access-Control-Allow-Headers", "Authorization, Origin, X-Requested-With, X-Request-ID, X-HTTP-Method-Override, Content-Type, "+
		"Upload-Length, Upload-Offset, Tus-Resumable, Upload-Metadata, Upload-Defer-Length, Upload-Concat, Upload-Checksum")
	h.Set("Access-Control-Max-Age", "86400")
}

// View is an upload as its creator sees it.
type View struct {
	ID       melodyud.UploadID `json:"id"`
	Track    melodyud.TrackID  `json:"track" doc:"The id of the track this becomes; reserved from the start."`
	State    State             `json:"state" enum:"open,complete,stored,duplicate,received,refused"`
	Offset   int64             `json:"offset" doc:"Bytes that are stored for good."`
	Length   *int64            `json:"length,omitempty" doc:"Bytes of the whole file, once declared."`
	FileName string            `json:"file_name"`
	SHA256   string            `json:"sha256,omitempty" doc:"Of the whole file, once all of it has arrived."`
	Created  time.Time         `json:"created"`
	Expires  *time.Time        `json:"expires,omitempty" doc:"When an unfinished upload is given up."`
	Refusal  *ViewRefusal      `json:"refusal,omitempty"`

	DuplicateOf melodyud.TrackID `json:"duplicate_of,omitempty" doc:"Your track of the very same file, while this upload waits for your decision."`
}

// ViewRefusal says why an upload did not become a track.
type ViewRefusal struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

func viewOf(u upload) View {
	v := View{
		ID: u.ID, Track: u.Track, State: u.State, Offset: u.Offset, FileName: u.Metadata.fileName, SHA256: u.SHA256, Created: u.Created,
	}
	if u.State == StateOpen {
		v.SHA256 = ""
	}
	if u.Length != unknown {
		v.Length = &u.Length
	}
	if u.expires() {
		v.Expires = &u.Due
	}
	if u.State == StateDuplicate {
		v.DuplicateOf = melodyud.TrackID(u.Reason)
	}
	if u.State == StateRefused {
		v.Refusal = &ViewRefusal{Code: u.Code, Text: u.Reason}
	}
	return v
}

type uploadInput struct {
	ID string `path:"id" maxLength:"64"`
}

type uploadOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         View
}

func (s *Service) getUpload(ctx context.Context, in *uploadInput) (*uploadOutput, error) {
	who, err := api.Require(ctx, api.RoleCreator)
	if err != nil {
		return nil, api.Fail(err)
	}
	u, err := s.find(ctx, who.User, in.ID)
	if refusal, ok := melodyud.AsRefusal(err); ok && refusal == errGone {
		return nil, api.WithStatus(err, http.StatusGone)
	}
	if err != nil {
		return nil, api.Fail(err)
	}
	return &uploadOutput{CacheControl: "no-store", Body: viewOf(u)}, nil
}

// documentTus names the protocol's requests in the OpenAPI document, which has no
// words for their streaming bodies.
func (s *Service) documentTus(r *api.Router) {
	for _, one := range []struct{ id, method, path, summary, answers string }{
		{"create-upload", http.MethodPost, uploadsPath, "Start a resumable upload (tus 1.0.0)", "201 400 401 403 412 413 429 503 507"},
		{"discover-uploads", http.MethodOptions, uploadsPath, "What the upload server can do (tus 1.0.0)", "204"},
		{"upload-offset", http.MethodHead, uploadPath, "Where an upload stands (tus 1.0.0)", "200 401 404 410 412"},
		{"append-upload", http.MethodPatch, uploadPath, "Send the upload's next bytes (tus 1.0.0)", "204 400 401 404 409 410 412 413 415 423 460 503 507"},
		{"cancel-upload", http.MethodDelete, uploadPath, "Cancel an upload (tus 1.0.0)", "204 401 404 410 412"},
	} {
		op := &huma.Operation{
			OperationID: one.id, Method: one.method, Path: one.path, Summary: one.summary, Tags: []string{"uploads"},
			Description: "See https://tus.io/protocols/resumable-upload. Extensions: " + strings.ReplaceAll(tusExtensions, ",", ", ") + ".",
			Responses:   map[string]*huma.Response{},
		}
		if one.path == uploadPath {
			op.Parameters = []*huma.Param{{Name: "id", In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}}}
		}
		for status := range strings.FieldsSeq(one.answers) {
			op.Responses[status] = &huma.Response{Description: tusAnswers[status]}
		}
		r.API.OpenAPI().AddOperation(op)
	}
}

var tusAnswers = map[string]string{
	"200": "The offset is in Upload-Offset.", "201": "Created: see Location and Melodyud-Track.", "204": "Done: see the headers.",
	"400": "A header is missing or malformed.", "401": "Not signed in.", "403": "Not a creator.", "404": "No such upload of yours.",
	"409": "The upload stands at another offset.", "410": "Expired or cancelled.", "412": "Not tus 1.0.0.",
	"413": "Larger than allowed or than declared.", "415": "Not application/offset+octet-stream.", "423": "Another request writes it.",
	"429": "Too many unfinished uploads.", "460": "The checksum differs.", "503": "Busy or stopping: try again soon.",
	"507": "The storage is full: go on once there is room.",
}
