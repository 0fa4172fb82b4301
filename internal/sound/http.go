package sound

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// Register hangs the service's operations on r.
func (s *Service) Register(r *api.Router) {
	schemas := r.API.OpenAPI().Components.Schemas
	show := func(id, path, summary, description string, body any, handle func(context.Context, *assetInput) (*huma.StreamResponse, error)) {
		op := operation(id, path, summary, description, 401, 403, 404, 409)
		schema := schemas.Schema(reflect.TypeOf(body), true, "")
		op.Responses = map[string]*huma.Response{
			"200": {Description: summary, Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}},
			"304": notModified(),
		}
		huma.Register(r.API, op, handle)
	}
	show("get-features", "/v1/tracks/{id}/features", "Get what was heard of a track",
		"Loudness, rhythm, key, timbre, scores, sections, fingerprint and embeddings, measured on the file as it was sent. "+
			"What cannot be said is null, with a reason.", melodyud.Features{}, s.stored(featuresFile))
	show("get-analysis", "/v1/tracks/{id}/analysis", "Get the long lists of what was heard",
		"Segments, tatums and the raw fingerprint of the whole track.", melodyud.Analysis{}, s.stored(analysisFile))
	for _, path := range []string{"/v1/tracks/{id}/audio-features", "/v1/audio-features/{id}"} {
		show("get-audio-features"+alias(path), path, "Get the features in Spotify's form",
			"Field names, types and ranges are those of Spotify's audio features, so that clients written for them work. "+
				"What is not known is key -1, tempo 0, loudness -60, time signature 4 and 0 for scores.", audioFeatures{}, s.audioFeatures)
	}
	for _, path := range []string{"/v1/tracks/{id}/audio-analysis", "/v1/audio-analysis/{id}"} {
		show("get-audio-analysis"+alias(path), path, "Get the analysis in Spotify's form",
			"Bars, beats, tatums, sections and segments in the form of Spotify's audio analysis.", audioAnalysis{}, s.audioAnalysis)
	}
	huma.Register(r.API, operation("list-audio-features", "/v1/audio-features", "Get the features of several tracks in Spotify's form",
		"In the order of ids; null for a track that you may not hear or that nobody listened to.", 401, 403, 422), s.severalAudioFeatures)
	s.registerAlbums(r)
	s.registerPictures(r)
	s.registerOps(r)
}

// alias tells the second path of an operation from the first.
func alias(path string) string {
	if bytes.HasPrefix([]byte(path), []byte("/v1/tracks/")) {
		return ""
	}
	return "-by-id"
}

func (s *Service) registerPictures(r *api.Router) {
	cover := operation("get-cover", "/v1/tracks/{id}/cover", "Get the cover picture",
		"The front picture found in the file, made anew as a JPEG.", 401, 403, 404, 409, 422)
	cover.Responses = bytesOf("The picture.", "image/jpeg")
	huma.Register(r.API, cover, s.cover)
	waveform := operation("get-waveform", "/v1/tracks/{id}/waveform", "Get the waveform",
		"For drawing: audiowaveform data, version 2, 8 bits, in binary or as JSON.", 401, 403, 404, 409, 422)
	waveform.Responses = bytesOf("The peaks.", "application/octet-stream", "application/json")
	huma.Register(r.API, waveform, s.waveform)
}

func operation(id, path, summary, description string, errors ...int) huma.Operation {
	return api.Operation("sound", id, http.MethodGet, path, summary, description, errors...)
}

type assetInput struct {
	ID          string `path:"id" maxLength:"64" doc:"The track's id." example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
	IfNoneMatch string `header:"If-None-Match" maxLength:"2000" doc:"The ETag of what the client has."`
}

// The objects under features/<hash>/.
const (
	featuresFile = "features.json"
	analysisFile = "analysis.json"
	detailFile   = "waveform.dat"
	overviewFile = "overview.dat"

	maxDocument = 16 << 20 // bytes
)

var (
	errUnheard = melodyud.Refuse(melodyud.ErrNotFound, "features.not-yet",
		"Nobody has listened to this track yet: it was published by an older version. An operator can have that done with: melodyud reanalyze.")
	errNoPicture = melodyud.Refuse(melodyud.ErrNotFound, "track.no-picture", "This track has no such picture.")
)

// stored answers with an object of a track's features as it is.
func (s *Service) stored(name string) func(context.Context, *assetInput) (*huma.StreamResponse, error) {
	return func(ctx context.Context, in *assetInput) (*huma.StreamResponse, error) {
		t, err := s.audible(ctx, in.ID)
		if err != nil {
			return nil, api.Fail(err)
		}
		a, err := s.open(ctx, t, "application/json", featureFolder(t)+name)
		if errors.Is(err, melodyud.ErrNotFound) {
			err = errUnheard
		}
		if err != nil {
			return nil, api.Fail(err)
		}
		return a.answer(in.IfNoneMatch), nil
	}
}

// featureFolder is where t's features are, as far as it has any.
func featureFolder(t melodyud.Track) string {
	if t.Release.FeaturesHash == "" {
		return "features/none/"
	}
	return "features/" + t.Release.FeaturesHash + "/"
}

// open returns an object of t. Its key is its tag, for it never changes.
func (s *Service) open(ctx context.Context, t melodyud.Track, contentType, key string) (asset, error) {
	body, info, err := s.c.Store.Open(ctx, key, 0, -1)
	if err != nil {
		return asset{}, fmt.Errorf("open %s of track %s: %w", key, t.ID, err)
	}
	return asset{contentType: contentType, tag: key, size: info.Size, body: body}, nil
}

// read decodes the features of t into out.
func (s *Service) read(ctx context.Context, t melodyud.Track, name string, out any) error {
	err := objectstore.ReadJSON(ctx, s.c.Store, featureFolder(t)+name, maxDocument, out)
	if errors.Is(err, melodyud.ErrNotFound) {
		return errUnheard
	}
	if err != nil {
		return fmt.Errorf("features of track %s: %w", t.ID, err)
	}
	return nil
}

type coverInput struct {
	ID          string `path:"id" maxLength:"64" doc:"The track's id." example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
	IfNoneMatch string `header:"If-None-Match" maxLength:"2000" doc:"The ETag of what the client has."`
	Size        string `query:"size" enum:"150,600,1200" default:"600" doc:"Longest side, in pixels. A smaller original is not blown up."`
}

func (s *Service) cover(ctx context.Context, in *coverInput) (*huma.StreamResponse, error) {
	t, err := s.audible(ctx, in.ID)
	if err != nil {
		return nil, api.Fail(err)
	}
	a, err := s.open(ctx, t, "image/jpeg", fmt.Sprintf("media/%s/cover-%s.jpg", t.Release.RenderHash, in.Size))
	if errors.Is(err, melodyud.ErrNotFound) {
		err = errNoPicture
	}
	if err != nil {
		return nil, api.Fail(err)
	}
	return a.answer(in.IfNoneMatch), nil
}
