package direct

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/ingest"
	"github.com/melodyud/melodyud/internal/api"
)

const (
	all = "/v1/direct"
	one = "/v1/direct/{id}"
)

// Register hangs the operations on r.
func (s *Service) Register(r *api.Router) {
	for path, methods := range map[string]string{all: "POST", one: "GET, DELETE", one + "/parts": "POST", one + "/complete": "POST"} {
		r.Mux.HandleFunc("OPTIONS "+path, func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			h.Set("Access-Control-Allow-Origin", "*")
			h.Set("Access-Control-Allow-Methods", methods+", OPTIONS")
			h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
			h.Set("Access-Control-Max-Age", "86400")
			w.WriteHeader(http.StatusNoContent)
		})
	}
	create := operation("create-direct", http.MethodPost, all, "Start an upload straight to the bucket",
		"For large numbers of files: PUT each part at the address that "+one+"/parts gives for it, keep the ETags of the answers, and complete the upload. "+
			"What became of it then, /v1/uploads/{id} and the track tell.")
	create.DefaultStatus = http.StatusCreated
	huma.Register(r.API, create, s.postCreate)
	huma.Register(r.API, operation("sign-direct", http.MethodPost, one+"/parts", "Addresses for parts",
		"Up to 100 at once. Each takes one PUT body of exactly the size told and is valid until the time told; ask again for more time. "+
			"An address may be relative to this server's."), s.postSign)
	huma.Register(r.API, operation("get-direct", http.MethodGet, one, "Which parts have arrived", "Go on from here after an interruption."), s.getDirect)
	complete := operation("complete-direct", http.MethodPost, one+"/complete", "All parts are there",
		"Number, size and ETag of every part are checked. May be repeated when the answer was lost.")
	complete.DefaultStatus = http.StatusAccepted
	complete.MaxBodyBytes = 2 << 20 // 10,000 parts
	huma.Register(r.API, complete, s.postComplete)
	abort := operation("abort-direct", http.MethodDelete, one, "Give an upload up", "Its parts are deleted.")
	abort.DefaultStatus = http.StatusNoContent
	huma.Register(r.API, abort, s.deleteDirect)
}

func operation(id, method, path, summary, description string) huma.Operation {
	o := api.Operation("uploads", id, method, path, summary, description, 400, 401, 403, 404, 409, 413, 422, 429)
	o.Middlewares = huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
		ctx.SetHeader("Access-Control-Allow-Origin", "*")
		next(ctx)
	}}
	return o
}

// Off answers for a server that has no bucket for this.
func Off(r *api.Router) {
	r.Mux.HandleFunc("POST "+all, func(w http.ResponseWriter, r *http.Request) { api.WriteProblem(w, r, errOff) })
}

type createInput struct {
	Body struct {
		_        struct{} `additionalProperties:"false"`
		FileName string   `json:"file_name" maxLength:"2000" example:"Morning Light.wav"`
		Size     int64    `json:"size" minimum:"0" doc:"Bytes of the whole file." example:"50000000"`
		SHA256   string   `json:"sha256,omitempty" maxLength:"64" doc:"Of the whole file, in hexadecimal; what arrives is held against it."`
		Title    string   `json:"title,omitempty" maxLength:"2000"`
		Artist   string   `json:"artist,omitempty" maxLength:"2000"`
		Album    string   `json:"album,omitempty" maxLength:"2000"`
		Disc     int      `json:"disc,omitempty" minimum:"0" maximum:"9999"`
		Number   int      `json:"number,omitempty" minimum:"0" maximum:"9999"`
		KeepBoth bool     `json:"keep_both,omitempty" doc:"Take the file even if you have published it already. Asked only with sha256."`
	}
}

// DirectUpload is an upload as its creator sees it.
type DirectUpload struct {
	ID       melodyud.UploadID `json:"id"`
	Track    melodyud.TrackID  `json:"track" doc:"The id of the track this becomes; reserved from the start."`
	State    string            `json:"state" enum:"open,joining,complete,received,refused"`
	PartSize int64             `json:"part_size" doc:"Bytes of every part but the last."`
	Parts    int               `json:"part_count"`
	Arrived  []DirectPart      `json:"arrived" doc:"Parts that are in the bucket."`
	Expires  *time.Time        `json:"expires,omitempty" doc:"When an unfinished upload is given up."`
}

// DirectPart is a part that has arrived.
type DirectPart struct {
	Number int    `json:"number" minimum:"1" maximum:"10000"`
	Size   int64  `json:"size,omitempty"`
	ETag   string `json:"etag" maxLength:"200"`
}

func viewOf(v ingest.View, r row) DirectUpload {
	d := DirectUpload{ID: v.ID, Track: v.Track, State: string(v.State), Arrived: []DirectPart{}, Expires: v.Expires}
	if r.Upload != "" {
		d.PartSize, d.Parts = r.PartSize, r.parts()
		if v.State == ingest.StateOpen && r.State != open {
			d.State, d.Expires = string(joining), nil
		}
	}
	return d
}

type output struct {
	CacheControl string `header:"Cache-Control"`
	Body         DirectUpload
}

func answer(v ingest.View, r row) *output {
	return &output{CacheControl: "no-store", Body: viewOf(v, r)}
}

func (s *Service) postCreate(ctx context.Context, in *createInput) (*output, error) {
	who, err := api.Require(ctx, api.RoleCreator)
	if err != nil {
		return nil, api.Fail(err)
	}
	b := in.Body
	v, r, err := s.create(ctx, ingest.Arrival{
		Via: "direct", Owner: who.User, Size: b.Size, SHA256: strings.ToLower(b.SHA256), FileName: b.FileName,
		Tags:     melodyud.Tags{Title: b.Title, Artist: b.Artist, Album: b.Album, Disc: b.Disc, Number: b.Number},
		KeepBoth: b.KeepBoth,
	})
	if err != nil {
		return nil, api.Fail(err)
	}
	return answer(v, r), nil
}

type directInput struct {
	ID string `path:"id" maxLength:"64"`
}

// owned finds the caller's upload.
func (s *Service) owned(ctx context.Context, id string) (ingest.View, row, error) {
	who, err := api.Require(ctx, api.RoleCreator)
	if err != nil {
		return ingest.View{}, row{}, err
	}
	return s.find(ctx, who.User, id)
}

func (s *Service) getDirect(ctx context.Context, in *directInput) (*output, error) {
	v, r, err := s.owned(ctx, in.ID)
	if err != nil {
		return nil, api.Fail(err)
	}
	out := answer(v, r)
	parts, err := s.arrived(ctx, r)
	if err != nil {
		return nil, api.Fail(err)
	}
	for _, p := range parts {
		out.Body.Arrived = append(out.Body.Arrived, DirectPart{p.Number, p.Size, p.ETag})
	}
	return out, nil
}

type signInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		_       struct{} `additionalProperties:"false"`
		Numbers []int    `json:"numbers" minItems:"1" maxItems:"100" uniqueItems:"true" doc:"Which parts; the first is 1."`
	}
}

// DirectAddress is where to put a part.
type DirectAddress struct {
	Number int    `json:"number"`
	Size   int64  `json:"size" doc:"Bytes of the body: neither more nor fewer are taken."`
	URL    string `json:"url"`
}

type signOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		Parts   []DirectAddress `json:"parts"`
		Expires time.Time       `json:"expires"`
	}
}

func (s *Service) postSign(ctx context.Context, in *signInput) (*signOutput, error) {
	_, r, err := s.owned(ctx, in.ID)
	if err != nil {
		return nil, api.Fail(err)
	}
	out := &signOutput{CacheControl: "no-store"}
	out.Body.Expires = s.config.Now().Add(s.config.SignFor).UTC().Truncate(time.Second)
	parts, err := s.sign(ctx, r, in.Body.Numbers)
	if err != nil {
		return nil, api.Fail(err)
	}
	for _, p := range parts {
		out.Body.Parts = append(out.Body.Parts, DirectAddress{p.number, p.size, p.url})
	}
	return out, nil
}

type completeInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		_     struct{}     `additionalProperties:"false"`
		Parts []DirectPart `json:"parts" minItems:"1" maxItems:"10000" doc:"Number and ETag of every part."`
	}
}

func (s *Service) postComplete(ctx context.Context, in *completeInput) (*output, error) {
	v, r, err := s.owned(ctx, in.ID)
	if err != nil {
		return nil, api.Fail(err)
	}
	if r.Upload == "" {
		return answer(v, r), nil // said twice
	}
	etags := make(map[int]string, len(in.Body.Parts))
	for _, p := range in.Body.Parts {
		etags[p.Number] = p.ETag
	}
	if err := s.complete(ctx, r, etags); err != nil {
		return nil, api.Fail(err)
	}
	r.State = joining
	return answer(v, r), nil
}

func (s *Service) deleteDirect(ctx context.Context, in *directInput) (*struct{}, error) {
	who, err := api.Require(ctx, api.RoleCreator)
	if err != nil {
		return nil, api.Fail(err)
	}
	_, r, err := s.find(ctx, who.User, in.ID)
	if err == nil {
		err = s.config.Uploads.Cancel(ctx, who.User, in.ID)
	}
	if err != nil {
		return nil, api.Fail(err)
	}
	if r.Upload != "" {
		if err := s.free(context.WithoutCancel(ctx), r); err != nil {
			s.config.Logger.Info("parts are left to the janitor", "upload", in.ID, "error", err)
		}
	}
	return nil, nil
}
