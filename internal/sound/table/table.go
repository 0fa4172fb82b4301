// Package table writes what was heard of tracks as Parquet, for batch engines: one
// row a track, flat columns, null where nothing is known.
package table

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"

	melodyud "github.com/melodyud/melodyud"
)

// Row is one track as it was heard once. Units are those of melodyud.Features.
type Row struct {
	Told         time.Time `parquet:"told,timestamp(millisecond)"` // of several rows of a track the latest counts
	Track        string    `parquet:"track"`
	Release      string    `parquet:"release"`
	Owner        string    `parquet:"owner"`
	Title        string    `parquet:"title"`
	FeaturesHash string    `parquet:"features_hash"`

	Schema          string  `parquet:"schema"`
	AnalyzerVersion int64   `parquet:"analyzer_version"`
	ParamsHash      string  `parquet:"params_hash"`
	SourceSHA256    string  `parquet:"source_sha256"`
	Duration        float64 `parquet:"duration_s"`
	SampleRate      int64   `parquet:"sample_rate"`
	Channels        int64   `parquet:"channels"`
	BitDepth        int64   `parquet:"bit_depth"`

	Integrated   *float64 `parquet:"integrated_lufs,optional"`
	Range        *float64 `parquet:"range_lu,optional"`
	TruePeak     *float64 `parquet:"true_peak_dbtp,optional"`
	SamplePeak   *float64 `parquet:"sample_peak_dbfs,optional"`
	MaxMomentary *float64 `parquet:"max_momentary_lufs,optional"`
	MaxShortTerm *float64 `parquet:"max_short_term_lufs,optional"`

	ClippedRatio *float64 `parquet:"clipped_ratio,optional"`
	Bandwidth    *float64 `parquet:"bandwidth_hz,optional"`
	FakeLossless *bool    `parquet:"fake_lossless,optional"`
	Correlation  *float64 `parquet:"stereo_correlation,optional"`
	SilenceHead  *float64 `parquet:"silence_head_s,optional"`
	SilenceTail  *float64 `parquet:"silence_tail_s,optional"`
	Remarks      []string `parquet:"remarks,list"`

	Tempo           *float64 `parquet:"tempo_bpm,optional"`
	TempoConfidence *float64 `parquet:"tempo_confidence,optional"`
	TempoAlt        *float64 `parquet:"tempo_alt_bpm,optional"`
	TempoStability  *float64 `parquet:"tempo_stability,optional"`
	Meter           *int64   `parquet:"time_signature,optional"`
	MeterConfidence *float64 `parquet:"time_signature_confidence,optional"`
	Beats           int64    `parquet:"beats"` // how many
	OnsetRate       *float64 `parquet:"onset_rate_hz,optional"`
	BeatStrength    *float64 `parquet:"beat_strength,optional"`
	RhythmReason    string   `parquet:"rhythm_reason"`

	Key           *int64    `parquet:"key,optional"`
	Mode          *int64    `parquet:"mode,optional"`
	KeyConfidence *float64  `parquet:"key_confidence,optional"`
	Camelot       string    `parquet:"camelot"`
	TuningCents   *float64  `parquet:"tuning_cents,optional"`
	Chroma        []float64 `parquet:"chroma_mean,list"`
	TonalReason   string    `parquet:"tonal_reason"`

	MFCCMean  []float64 `parquet:"mfcc_mean,list"`
	MFCCStd   []float64 `parquet:"mfcc_std,list"`
	Centroid  *float64  `parquet:"centroid_hz,optional"`
	Rolloff85 *float64  `parquet:"rolloff85_hz,optional"`
	Flatness  *float64  `parquet:"flatness,optional"`
	Contrast  []float64 `parquet:"contrast,list"`
	ZCR       *float64  `parquet:"zcr,optional"`
	Flux      *float64  `parquet:"flux,optional"`

	Energy           *float64 `parquet:"energy,optional"`
	Danceability     *float64 `parquet:"danceability,optional"`
	Acousticness     *float64 `parquet:"acousticness,optional"`
	Instrumentalness *float64 `parquet:"instrumentalness,optional"`
	Valence          *float64 `parquet:"valence,optional"`
	Speechiness      *float64 `parquet:"speechiness,optional"`
	Liveness         *float64 `parquet:"liveness,optional"`

	Sections    []Section   `parquet:"sections,list"`
	Chromaprint string      `parquet:"chromaprint"`
	SimHash     int64       `parquet:"simhash32"`
	Embeddings  []Embedding `parquet:"embeddings,list"`
}

// Section is a stretch of a track that sounds alike.
type Section struct {
	Start      float64  `parquet:"start"`
	Duration   float64  `parquet:"duration"`
	Confidence float64  `parquet:"confidence"`
	Loudness   *float64 `parquet:"loudness,optional"`
	Key        *int64   `parquet:"key,optional"`
	Mode       *int64   `parquet:"mode,optional"`
}

// Embedding is a track's place in the space of a model.
type Embedding struct {
	Model   string    `parquet:"model_id"`
	Licence string    `parquet:"licence"`
	Vector  []float32 `parquet:"vector,list"`
}

// Subject is whom a row is about.
type Subject struct {
	Track        melodyud.TrackID
	Release      melodyud.ReleaseID
	Owner        melodyud.UserID
	Title        string
	FeaturesHash string
	Told         time.Time
}

// Of returns the row of a track's features.
func Of(s Subject, f *melodyud.Features) Row {
	version, _ := strconv.ParseInt(f.Version, 10, 64) // 0 for what is no number
	r := Row{
		Told: s.Told.UTC(), Track: string(s.Track), Release: string(s.Release), Owner: string(s.Owner), Title: s.Title, FeaturesHash: s.FeaturesHash,
		Schema: f.Schema, AnalyzerVersion: version, ParamsHash: f.ParamsHash, SourceSHA256: f.SourceSHA256,
		Duration: f.Duration, SampleRate: int64(f.SampleRate), Channels: int64(f.Channels), BitDepth: int64(f.BitDepth),
		Integrated: f.Loudness.Integrated, Range: f.Loudness.Range, TruePeak: f.Loudness.TruePeak, SamplePeak: f.Loudness.SamplePeak,
		MaxMomentary: f.Loudness.MaxMomentary, MaxShortTerm: f.Loudness.MaxShortTerm,
		Chromaprint: f.Fingerprint.Chromaprint, SimHash: int64(f.Fingerprint.SimHash),
	}
	r.quality(&f.Quality)
	r.rhythm(&f.Rhythm)
	r.tonal(&f.Tonal)
	r.timbre(&f.Timbre)
	r.scores(&f.Perceptual)
	for _, one := range f.Structure.Sections {
		r.Sections = append(r.Sections, Section{one.Start, one.Duration, one.Confidence, one.Loudness, wide(one.Key), wide(one.Mode)})
	}
	for _, e := range f.Embedding {
		r.Embeddings = append(r.Embeddings, Embedding{e.Model, e.Licence, e.Vector})
	}
	return r
}

func (r *Row) quality(q *melodyud.Quality) {
	r.ClippedRatio, r.Bandwidth, r.FakeLossless, r.Correlation = q.ClippedRatio, q.Bandwidth, q.FakeLossless, q.StereoCorrelation
	r.SilenceHead, r.SilenceTail = q.SilenceHead, q.SilenceTail
	for _, one := range q.Remarks {
		r.Remarks = append(r.Remarks, one.Code)
	}
}

func (r *Row) rhythm(h *melodyud.Rhythm) {
	r.Tempo, r.TempoConfidence, r.TempoAlt, r.TempoStability = h.Tempo, h.TempoConfidence, h.TempoAlt, h.TempoStability
	r.Meter, r.MeterConfidence, r.Beats = wide(h.Meter), h.MeterConfidence, int64(len(h.Beats))
	r.OnsetRate, r.BeatStrength, r.RhythmReason = h.OnsetRate, h.BeatStrength, h.Reason
}

func (r *Row) tonal(t *melodyud.Tonal) {
	r.Key, r.Mode, r.KeyConfidence, r.Camelot = wide(t.Key), wide(t.Mode), t.KeyConfidence, t.Camelot
	r.TuningCents, r.Chroma, r.TonalReason = t.TuningCents, t.Chroma, t.Reason
}

func (r *Row) timbre(t *melodyud.Timbre) {
	r.MFCCMean, r.MFCCStd, r.Centroid, r.Rolloff85 = t.MFCCMean, t.MFCCStd, t.Centroid, t.Rolloff85
	r.Flatness, r.Contrast, r.ZCR, r.Flux = t.Flatness, t.Contrast, t.ZCR, t.Flux
}

func (r *Row) scores(p *melodyud.Perceptual) {
	r.Energy, r.Danceability, r.Acousticness = p.Energy.Value, p.Danceability.Value, p.Acousticness.Value
	r.Instrumentalness, r.Valence = p.Instrumentalness.Value, p.Valence.Value
	r.Speechiness, r.Liveness = p.Speechiness.Value, p.Liveness.Value
}

func wide(v *int) *int64 {
	if v == nil {
		return nil
	}
	return new(int64(*v))
}

// group is how many rows are held until they are written.
const group = 1000

// Writer writes rows as one Parquet file, compressed with Zstandard. Memory is
// bounded by a group of rows.
type Writer struct {
	w       *parquet.GenericWriter[Row]
	waiting int
}

// NewWriter returns a Writer to w, which it does not close.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: parquet.NewGenericWriter[Row](w, parquet.Compression(&parquet.Zstd), parquet.CreatedBy("MelodyUD", "1", ""))}
}

// Write adds a row.
func (w *Writer) Write(r Row) error {
	if _, err := w.w.Write([]Row{r}); err != nil {
		return fmt.Errorf("write row of track %s: %w", r.Track, err)
	}
	if w.waiting++; w.waiting < group {
		return nil
	}
	w.waiting = 0
	return w.w.Flush()
}

// Close ends the file.
func (w *Writer) Close() error { return w.w.Close() }

// Read returns the rows of a file of size bytes.
func Read(r io.ReaderAt, size int64) ([]Row, error) {
	rows, err := parquet.Read[Row](r, size)
	if err != nil {
		return nil, fmt.Errorf("read rows: %w", err)
	}
	return rows, nil
}
