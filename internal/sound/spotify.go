package sound

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
)

// viewVersion changes with the form of the views: it is part of their tags.
const viewVersion = "1"

// What the views say of what is not known, since their numbers cannot be null.
const (
	noKey      = -1
	noTempo    = 0
	usualMeter = 4
	faintest   = -60.0 // dB
)

// audioFeatures is the object that Spotify's GET /audio-features/{id} answers with.
type audioFeatures struct {
	Danceability     float64 `json:"danceability" minimum:"0" maximum:"1"`
	Energy           float64 `json:"energy" minimum:"0" maximum:"1"`
	Key              int     `json:"key" minimum:"-1" maximum:"11" doc:"Semitones from C; -1: none was found."`
	Loudness         float64 `json:"loudness" doc:"dB (LUFS), mostly -60 to 0."`
	Mode             int     `json:"mode" minimum:"0" maximum:"1" doc:"1 major, 0 minor."`
	Speechiness      float64 `json:"speechiness" minimum:"0" maximum:"1"`
	Acousticness     float64 `json:"acousticness" minimum:"0" maximum:"1"`
	Instrumentalness float64 `json:"instrumentalness" minimum:"0" maximum:"1"`
	Liveness         float64 `json:"liveness" minimum:"0" maximum:"1"`
	Valence          float64 `json:"valence" minimum:"0" maximum:"1"`
	Tempo            float64 `json:"tempo" doc:"Beats a minute; 0: none was found."`
	Type             string  `json:"type" enum:"audio_features"`
	ID               string  `json:"id"`
	URI              string  `json:"uri"`
	TrackHref        string  `json:"track_href"`
	AnalysisURL      string  `json:"analysis_url"`
	DurationMS       int64   `json:"duration_ms"`
	TimeSignature    int     `json:"time_signature" minimum:"3" maximum:"7"`
}

func featuresView(t melodyud.Track, f *melodyud.Features) audioFeatures {
	p := f.Perceptual
	return audioFeatures{
		Danceability: score(p.Danceability), Energy: score(p.Energy), Speechiness: score(p.Speechiness),
		Acousticness: score(p.Acousticness), Instrumentalness: score(p.Instrumentalness),
		Liveness: score(p.Liveness), Valence: score(p.Valence),
		Key: or(f.Tonal.Key, noKey), Mode: or(f.Tonal.Mode, 0),
		Loudness: or(f.Loudness.Integrated, faintest), Tempo: or(f.Rhythm.Tempo, noTempo),
		TimeSignature: or(f.Rhythm.Meter, usualMeter), DurationMS: int64(math.Round(f.Duration * 1000)),
		Type: "audio_features", ID: string(t.ID), URI: "melodyud:track:" + string(t.ID),
		TrackHref: "/v1/tracks/" + string(t.ID), AnalysisURL: "/v1/audio-analysis/" + string(t.ID),
	}
}

func score(s melodyud.Score) float64 { return or(s.Value, 0) }

func or[T any](v *T, unknown T) T {
	if v == nil {
		return unknown
	}
	return *v
}

// audioAnalysis is the object that Spotify's GET /audio-analysis/{id} answers with.
type audioAnalysis struct {
	Meta     analysisMeta    `json:"meta"`
	Track    analysisTrack   `json:"track"`
	Bars     []interval      `json:"bars"`
	Beats    []interval      `json:"beats"`
	Sections []sectionView   `json:"sections"`
	Segments []analysisPiece `json:"segments"`
	Tatums   []interval      `json:"tatums"`
}

type analysisMeta struct {
	AnalyzerVersion string  `json:"analyzer_version"`
	Platform        string  `json:"platform"`
	DetailedStatus  string  `json:"detailed_status"`
	StatusCode      int     `json:"status_code"`
	Timestamp       int64   `json:"timestamp" doc:"When the release was published, in Unix seconds."`
	AnalysisTime    float64 `json:"analysis_time"`
	InputProcess    string  `json:"input_process"`
}

type analysisTrack struct {
	Samples           int64   `json:"num_samples"`
	Duration          float64 `json:"duration"`
	MD5               string  `json:"sample_md5"`
	Offset            int     `json:"offset_seconds"`
	Window            int     `json:"window_seconds"`
	SampleRate        int     `json:"analysis_sample_rate"`
	Channels          int     `json:"analysis_channels"`
	FadeInEnd         float64 `json:"end_of_fade_in"`
	FadeOutStart      float64 `json:"start_of_fade_out"`
	Loudness          float64 `json:"loudness"`
	Tempo             float64 `json:"tempo"`
	TempoConfidence   float64 `json:"tempo_confidence"`
	Meter             int     `json:"time_signature"`
	MeterConfidence   float64 `json:"time_signature_confidence"`
	Key               int     `json:"key"`
	KeyConfidence     float64 `json:"key_confidence"`
	Mode              int     `json:"mode"`
	ModeConfidence    float64 `json:"mode_confidence"`
	Codestring        string  `json:"codestring"`
	CodeVersion       float64 `json:"code_version"`
	Echoprint         string  `json:"echoprintstring"`
	EchoprintVersion  float64 `json:"echoprint_version"`
	Synchstring       string  `json:"synchstring"`
	SynchVersion      float64 `json:"synch_version"`
	Rhythmstring      string  `json:"rhythmstring"`
	RhythmstringVersn float64 `json:"rhythm_version"`
}

// interval is a bar, a beat or a tatum.
type interval struct {
	Start      float64 `json:"start"`
	Duration   float64 `json:"duration"`
	Confidence float64 `json:"confidence" minimum:"0" maximum:"1"`
}

type sectionView struct {
	Start           float64 `json:"start"`
	Duration        float64 `json:"duration"`
	Confidence      float64 `json:"confidence" minimum:"0" maximum:"1"`
	Loudness        float64 `json:"loudness"`
	Tempo           float64 `json:"tempo"`
	TempoConfidence float64 `json:"tempo_confidence"`
	Key             int     `json:"key"`
	KeyConfidence   float64 `json:"key_confidence"`
	Mode            int     `json:"mode"`
	ModeConfidence  float64 `json:"mode_confidence"`
	Meter           int     `json:"time_signature"`
	MeterConfidence float64 `json:"time_signature_confidence"`
}

type analysisPiece struct {
	Start           float64   `json:"start"`
	Duration        float64   `json:"duration"`
	Confidence      float64   `json:"confidence" minimum:"0" maximum:"1"`
	LoudnessStart   float64   `json:"loudness_start"`
	LoudnessMax     float64   `json:"loudness_max"`
	LoudnessMaxTime float64   `json:"loudness_max_time"`
	LoudnessEnd     float64   `json:"loudness_end"`
	Pitches         []float64 `json:"pitches"`
	Timbre          []float64 `json:"timbre"`
}

// analysisRate is what rhythm and timbre are heard at, in Hz.
const analysisRate = 22050

func analysisView(t melodyud.Track, f *melodyud.Features, a *melodyud.Analysis) audioAnalysis {
	r := f.Rhythm
	confidence := or(r.TempoConfidence, 0)
	return audioAnalysis{
		Meta: analysisMeta{
			AnalyzerVersion: "melodyud " + f.Version, Platform: "MelodyUD", DetailedStatus: "OK",
			Timestamp: t.Release.Published.Unix(), InputProcess: "mean of the channels",
		},
		Track:    trackView(f),
		Bars:     between(barStarts(r), f.Duration, or(r.MeterConfidence, 0)),
		Beats:    between(r.Beats, f.Duration, confidence),
		Tatums:   between(a.Tatums, f.Duration, confidence),
		Sections: sectionViews(f), Segments: segmentViews(a),
	}
}

func trackView(f *melodyud.Features) analysisTrack {
	return analysisTrack{
		Samples: int64(math.Round(f.Duration * analysisRate)), Duration: f.Duration, SampleRate: analysisRate, Channels: 1,
		FadeInEnd: or(f.Quality.SilenceHead, 0), FadeOutStart: max(0, f.Duration-or(f.Quality.SilenceTail, 0)),
		Loudness: or(f.Loudness.Integrated, faintest),
		Tempo:    or(f.Rhythm.Tempo, noTempo), TempoConfidence: or(f.Rhythm.TempoConfidence, 0),
		Meter: or(f.Rhythm.Meter, usualMeter), MeterConfidence: or(f.Rhythm.MeterConfidence, 0),
		Key: or(f.Tonal.Key, noKey), KeyConfidence: or(f.Tonal.KeyConfidence, 0),
		Mode: or(f.Tonal.Mode, 0), ModeConfidence: or(f.Tonal.KeyConfidence, 0),
	}
}

func barStarts(r melodyud.Rhythm) []float64 {
	var starts []float64
	for _, i := range r.Downbeats {
		if i >= 0 && i < len(r.Beats) {
			starts = append(starts, r.Beats[i])
		}
	}
	return starts
}

// between makes intervals of where each begins; the last one is as long as the one
// before it, or ends with the track.
func between(starts []float64, end, confidence float64) []interval {
	all := make([]interval, len(starts))
	for i, start := range starts {
		length := end - start
		switch {
		case i+1 < len(starts):
			length = starts[i+1] - start
		case i > 0:
			length = min(length, start-starts[i-1])
		}
		all[i] = interval{start, tenThousandths(max(0, length)), confidence}
	}
	return all
}

func tenThousandths(x float64) float64 { return math.Round(x*1e4) / 1e4 }

func sectionViews(f *melodyud.Features) []sectionView {
	all := make([]sectionView, len(f.Structure.Sections))
	for i, s := range f.Structure.Sections {
		v := sectionView{
			Start: s.Start, Duration: s.Duration, Confidence: s.Confidence, Loudness: or(s.Loudness, faintest),
			Tempo: or(s.Tempo, or(f.Rhythm.Tempo, noTempo)), TempoConfidence: or(f.Rhythm.TempoConfidence, 0),
			Key: or(s.Key, noKey), Mode: or(s.Mode, 0),
			Meter: or(f.Rhythm.Meter, usualMeter), MeterConfidence: or(f.Rhythm.MeterConfidence, 0),
		}
		if s.Key != nil {
			v.KeyConfidence = or(f.Tonal.KeyConfidence, 0)
			v.ModeConfidence = v.KeyConfidence
		}
		all[i] = v
	}
	return all
}

func segmentViews(a *melodyud.Analysis) []analysisPiece {
	all := make([]analysisPiece, len(a.Segments))
	for i, s := range a.Segments {
		all[i] = analysisPiece{
			Start: s.Start, Duration: s.Duration, Confidence: s.Confidence,
			LoudnessStart: s.LoudnessStart, LoudnessMax: s.LoudnessMax, LoudnessMaxTime: s.LoudnessMaxTime, LoudnessEnd: s.LoudnessEnd,
			Pitches: s.Pitches, Timbre: s.Timbre,
		}
	}
	return all
}

// trackID takes ids also without their prefix: some clients let only letters and
// digits pass.
func trackID(id string) string {
	if strings.HasPrefix(id, "trk_") {
		return id
	}
	return "trk_" + id
}

func (s *Service) audioFeatures(ctx context.Context, in *assetInput) (*huma.StreamResponse, error) {
	t, err := s.audible(ctx, trackID(in.ID))
	if err != nil {
		return nil, api.Fail(err)
	}
	var f melodyud.Features
	if err := s.read(ctx, t, featuresFile, &f); err != nil {
		return nil, api.Fail(err)
	}
	return s.view(t, "audio-features", featuresView(t, &f), in.IfNoneMatch)
}

func (s *Service) audioAnalysis(ctx context.Context, in *assetInput) (*huma.StreamResponse, error) {
	t, err := s.audible(ctx, trackID(in.ID))
	if err != nil {
		return nil, api.Fail(err)
	}
	var f melodyud.Features
	var a melodyud.Analysis
	for name, out := range map[string]any{featuresFile: &f, analysisFile: &a} {
		if err := s.read(ctx, t, name, out); err != nil {
			return nil, api.Fail(err)
		}
	}
	return s.view(t, "audio-analysis", analysisView(t, &f, &a), in.IfNoneMatch)
}

func (s *Service) view(t melodyud.Track, name string, v any, ifNoneMatch string) (*huma.StreamResponse, error) {
	raw, err := encode(v)
	if err != nil {
		return nil, api.Fail(err)
	}
	tag := strings.Join([]string{name, viewVersion, string(t.Release.ID), t.Release.FeaturesHash}, "-")
	return made("application/json", tag, raw).answer(ifNoneMatch), nil
}

func encode(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return out.Bytes(), err
}

type severalInput struct {
	IDs []string `query:"ids" required:"true" minItems:"1" maxItems:"100" doc:"Ids of tracks, separated by commas."`
}

type severalOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		AudioFeatures []*audioFeatures `json:"audio_features"`
	}
}

func (s *Service) severalAudioFeatures(ctx context.Context, in *severalInput) (*severalOutput, error) {
	if _, err := anybody(ctx); err != nil {
		return nil, api.Fail(err)
	}
	out := &severalOutput{CacheControl: assetCache}
	out.Body.AudioFeatures = make([]*audioFeatures, len(in.IDs))
	for i, id := range in.IDs {
		t, err := s.audible(ctx, trackID(id))
		var f melodyud.Features
		if err == nil {
			err = s.read(ctx, t, featuresFile, &f)
		}
		switch {
		case errors.Is(err, melodyud.ErrNotFound), errors.Is(err, melodyud.ErrConflict):
			continue
		case err != nil:
			return nil, api.Fail(err)
		}
		v := featuresView(t, &f)
		out.Body.AudioFeatures[i] = &v
	}
	return out, nil
}
