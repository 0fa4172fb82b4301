package sound

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
)

type waveformInput struct {
	ID          string `path:"id" maxLength:"64" doc:"The track's id." example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
	Level       string `query:"level" enum:"detail,overview" default:"detail" doc:"All peaks, or 1,000 of them for the whole track."`
	Format      string `query:"format" enum:"dat,json" doc:"Default: what Accept asks for, or else dat."`
	Accept      string `header:"Accept" maxLength:"1000"`
	IfNoneMatch string `header:"If-None-Match" maxLength:"2000" doc:"The ETag of what the client has."`
}

// json reports whether the peaks are wanted as JSON.
func (in *waveformInput) json() bool {
	if in.Format != "" {
		return in.Format == "json"
	}
	asJSON := strings.Index(in.Accept, "application/json")
	asBytes := strings.Index(in.Accept, "application/octet-stream")
	return asJSON >= 0 && (asBytes < 0 || asJSON < asBytes)
}

func (s *Service) waveform(ctx context.Context, in *waveformInput) (*huma.StreamResponse, error) {
	t, err := s.audible(ctx, in.ID)
	if err != nil {
		return nil, api.Fail(err)
	}
	a, err := s.peaks(ctx, t, in.Level)
	if err == nil && in.json() {
		a, err = asJSON(a)
	}
	if err != nil {
		return nil, api.Fail(err)
	}
	a.vary = "Accept"
	return a.answer(in.IfNoneMatch), nil
}

// peaks opens a level of t's waveform. Tracks of older versions have the detail
// only, beside their renditions.
func (s *Service) peaks(ctx context.Context, t melodyud.Track, level string) (asset, error) {
	const contentType = "application/octet-stream"
	if level == "overview" {
		a, err := s.open(ctx, t, contentType, featureFolder(t)+overviewFile)
		if errors.Is(err, melodyud.ErrNotFound) {
			err = errUnheard
		}
		return a, err
	}
	a, err := s.open(ctx, t, contentType, featureFolder(t)+detailFile)
	if errors.Is(err, melodyud.ErrNotFound) {
		a, err = s.open(ctx, t, contentType, "media/"+t.Release.RenderHash+"/"+detailFile)
	}
	if errors.Is(err, melodyud.ErrNotFound) {
		err = errNoPicture
	}
	return a, err
}

// waveformJSON is the JSON twin of audiowaveform's binary form.
type waveformJSON struct {
	Version         int32  `json:"version"`
	Channels        int32  `json:"channels"`
	SampleRate      int32  `json:"sample_rate"`
	SamplesPerPixel int32  `json:"samples_per_pixel"`
	Bits            int    `json:"bits"`
	Length          int32  `json:"length"` // pairs of each channel
	Data            []int8 `json:"data"`   // lowest and highest in turn
}

const maxPeaks = 1 << 20 // bytes

// asJSON reads the binary form of a and returns the same peaks as JSON.
func asJSON(a asset) (asset, error) {
	defer a.body.Close()
	var w waveformJSON
	var flags int32
	body := io.LimitReader(a.body, maxPeaks)
	for _, field := range []*int32{&w.Version, &flags, &w.SampleRate, &w.SamplesPerPixel, &w.Length, &w.Channels} {
		if err := binary.Read(body, binary.LittleEndian, field); err != nil {
			return asset{}, fmt.Errorf("read %s: %w", a.tag, err)
		}
	}
	if w.Version != 2 || flags != 1 || w.Length < 0 || w.Channels < 1 || int64(w.Length)*int64(w.Channels) > maxPeaks/2 {
		return asset{}, fmt.Errorf("%s is no waveform of version 2 with 8 bits", a.tag)
	}
	w.Bits, w.Data = 8, make([]int8, 2*w.Length*w.Channels)
	if err := binary.Read(body, binary.LittleEndian, w.Data); err != nil {
		return asset{}, fmt.Errorf("read %s: %w", a.tag, err)
	}
	out, err := json.Marshal(w)
	if err != nil {
		return asset{}, err
	}
	return made("application/json", a.tag+".json", out), nil
}
