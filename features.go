package melodyud

// FeaturesSchema names the form of the Features document.
const FeaturesSchema = "features.v1"

// Features is what was heard of a track while it was decoded once. Anything may be
// null; the Reason beside it then says why: "silent", "too_short", "arrhythmic" or
// "atonal". No number is ever NaN or infinite. Long lists (raw fingerprint,
// segments) are kept in the side object Analysis.
type Features struct {
	Schema       string `json:"schema"`           // FeaturesSchema
	Version      string `json:"analyzer_version"` // counts up with every change of the values
	ParamsHash   string `json:"params_hash"`      // of everything that was configured: 16 hexadecimal digits
	SourceSHA256 string `json:"source_sha256,omitempty"`

	Duration   float64 `json:"duration_s"`
	SampleRate int     `json:"sample_rate"` // Hz
	Channels   int     `json:"channels"`
	BitDepth   int     `json:"bit_depth"` // significant bits; 0 for lossy sources

	Loudness    Loudness    `json:"loudness"`
	Quality     Quality     `json:"quality"`
	Rhythm      Rhythm      `json:"rhythm"`
	Tonal       Tonal       `json:"tonal"`
	Timbre      Timbre      `json:"timbre"`
	Perceptual  Perceptual  `json:"perceptual"`
	Structure   Structure   `json:"structure"`
	Fingerprint Fingerprint `json:"fingerprint"`
	Embedding   []Embedding `json:"embeddings"` // "hand-v1" first, then one of each model pack

	// PreviewStart is where a preview had best begin, in seconds; nil where nothing
	// stands out: silence, or a track shorter than a preview.
	PreviewStart *float64 `json:"preview_start_seconds,omitempty"`
}

// FeatureSet is one analysis of one master: the folder features/<hash>/.
type FeatureSet struct {
	Hash    string // 32 hexadecimal digits, of the master, the version and the parameters
	Version int    // of the analyzer
}

// Rhythm is a track's pulse, in its first hour.
type Rhythm struct {
	Tempo           *float64  `json:"tempo_bpm"`                 // 30..250
	TempoConfidence *float64  `json:"tempo_confidence"`          // 0..1
	TempoAlt        *float64  `json:"tempo_alt_bpm"`             // the other octave somebody might tap
	TempoStability  *float64  `json:"tempo_stability"`           // 0..1; 1 less the coefficient of variation of the beats' distances
	Beats           []float64 `json:"beats_s"`                   // seconds, ascending
	Downbeats       []int     `json:"downbeat_index"`            // indices into Beats
	Meter           *int      `json:"time_signature"`            // 3..7 beats in a bar
	MeterConfidence *float64  `json:"time_signature_confidence"` // 0..1
	OnsetRate       *float64  `json:"onset_rate_hz"`             // onsets a second
	BeatStrength    *float64  `json:"beat_strength"`             // 0..1
	Reason          string    `json:"reason,omitempty"`
}

// Tonal is a track's key and tuning. Keys and pitch classes count semitones from C.
type Tonal struct {
	Key           *int      `json:"key"`               // 0..11
	Mode          *int      `json:"mode"`              // 1 major, 0 minor
	KeyConfidence *float64  `json:"key_confidence"`    // 0..1
	KeyAlt        *KeyGuess `json:"key_alt"`           // the second best
	Camelot       string    `json:"camelot,omitempty"` // such as "8B" for C major
	TuningCents   *float64  `json:"tuning_cents"`      // -50..50, from A = 440 Hz
	Chroma        []float64 `json:"chroma_mean"`       // 12 shares, the largest 1
	Reason        string    `json:"reason,omitempty"`
}

// KeyGuess is a key that might be meant.
type KeyGuess struct {
	Key  int `json:"key"`  // 0..11
	Mode int `json:"mode"` // 1 major, 0 minor
}

// Timbre is the colour of a track's sound: means over its frames.
type Timbre struct {
	MFCCMean  []float64 `json:"mfcc_mean"` // 20
	MFCCStd   []float64 `json:"mfcc_std"`  // 20
	Centroid  *float64  `json:"centroid_hz"`
	Rolloff85 *float64  `json:"rolloff85_hz"`
	Flatness  *float64  `json:"flatness"` // 0..1
	Contrast  []float64 `json:"contrast"` // 6 octave bands, dB
	ZCR       *float64  `json:"zcr"`      // zero crossings per sample, 0..1
	Flux      *float64  `json:"flux"`
	Reason    string    `json:"reason,omitempty"`
}

// Perceptual holds scores that people would give, by documented formulas.
type Perceptual struct {
	Energy           Score  `json:"energy"`
	Danceability     Score  `json:"danceability"`
	Acousticness     Score  `json:"acousticness"`
	Instrumentalness Score  `json:"instrumentalness"`
	Valence          Score  `json:"valence"`
	Speechiness      Score  `json:"speechiness"`
	Liveness         Score  `json:"liveness"`
	Reason           string `json:"reason,omitempty"`
}

// Score is one perceptual score.
type Score struct {
	Value      *float64 `json:"value"`      // 0..1
	Calibrated bool     `json:"calibrated"` // compared with what people say
	Model      string   `json:"model"`      // such as "formula-v1"
}

// Structure is how a track is built.
type Structure struct {
	Sections []Section `json:"sections"`
	Reason   string    `json:"reason,omitempty"`
}

// Section is a stretch of a track that sounds alike.
type Section struct {
	Start      float64  `json:"start"`      // seconds
	Duration   float64  `json:"duration"`   // seconds
	Confidence float64  `json:"confidence"` // 0..1, of its start
	Loudness   *float64 `json:"loudness"`   // LUFS
	Tempo      *float64 `json:"tempo"`      // BPM
	Key        *int     `json:"key"`
	Mode       *int     `json:"mode"`
}

// Fingerprint recognises a recording.
type Fingerprint struct {
	Chromaprint string `json:"chromaprint,omitempty"` // algorithm 2, the first 120 s, compressed, base64url: what AcoustID takes
	SimHash     uint32 `json:"simhash32"`
	Reason      string `json:"reason,omitempty"`
}

// Embedding is a track's place in a space where similar tracks are near.
type Embedding struct {
	Model   string    `json:"model_id"` // such as "hand-v1"
	Licence string    `json:"licence"`  // of the model, as an SPDX expression
	Vector  []float32 `json:"vector"`   // of length 1; nil where nothing can be said
	Reason  string    `json:"reason,omitempty"`
}

// Quality is what a careful engineer would remark on the file. None of it refuses
// a track.
type Quality struct {
	ClippedRatio      *float64 `json:"clipped_ratio"`      // 0..1, samples in flat tops
	Overs             *int     `json:"inter_sample_overs"` // times the sound between samples goes over full scale
	DCOffset          *float64 `json:"dc_offset"`          // -1..1, of the worst channel
	SilenceHead       *float64 `json:"silence_head_s"`
	SilenceTail       *float64 `json:"silence_tail_s"`
	Bandwidth         *float64 `json:"bandwidth_hz"`       // where the sound ends
	FakeLossless      *bool    `json:"fake_lossless"`      // a lossless file made from a lossy one; null for lossy files
	StereoCorrelation *float64 `json:"stereo_correlation"` // -1..1; null unless there are two channels
	MonoAsStereo      *bool    `json:"mono_as_stereo"`
	PhaseInverted     *bool    `json:"phase_inverted"`
	PLR               *float64 `json:"plr_db"`         // true peak less integrated loudness
	EffectiveBits     *int     `json:"effective_bits"` // bits that are ever used; null for lossy files
	Remarks           []Remark `json:"remarks"`
	Reason            string   `json:"reason,omitempty"`
}

// Remark is one finding about a file, in words.
type Remark struct {
	Code string  `json:"code"`         // stable, such as "quality.clipping"
	Text string  `json:"text"`         // a sentence for the creator
	At   []Range `json:"at,omitempty"` // where, if it has a place: the first 100
}

// Range is a stretch of time in seconds.
type Range struct {
	Start float64 `json:"start"`
	End   float64 `json:"end"`
}

// Analysis is the side object of Features: lists that a row need not carry.
type Analysis struct {
	Schema   string    `json:"schema"` // FeaturesSchema
	Segments []Segment `json:"segments"`
	Tatums   []float64 `json:"tatums"` // seconds, ascending: beats and what divides them
	// Loudness counts the track's blocks, which that of an album is gated from.
	Loudness LoudnessBlocks `json:"loudness_blocks"`
	Print    []uint32       `json:"chromaprint"` // raw items of the whole track, 0.1238 s each
}

// Segment is a stretch between two onsets.
type Segment struct {
	Start           float64   `json:"start"`    // seconds
	Duration        float64   `json:"duration"` // seconds
	Confidence      float64   `json:"confidence"`
	LoudnessStart   float64   `json:"loudness_start"` // dB
	LoudnessMax     float64   `json:"loudness_max"`
	LoudnessMaxTime float64   `json:"loudness_max_time"` // seconds after Start
	LoudnessEnd     float64   `json:"loudness_end"`
	Pitches         []float64 `json:"pitches"` // 12, the largest 1
	Timbre          []float64 `json:"timbre"`  // 12
}

// Tags is what the creator's file says of itself. Text is valid UTF-8 without
// control characters; tags inform and are never trusted.
type Tags struct {
	Title  string `json:"title,omitempty"`
	Artist string `json:"artist,omitempty"`
	Album  string `json:"album,omitempty"`
	Disc   int    `json:"disc,omitempty"`   // within the album, from 1; 0: unknown
	Number int    `json:"number,omitempty"` // within the disc, from 1; 0: unknown
}

// MaxNumber is the highest disc or track number that is kept.
const MaxNumber = 9999

// Hearing selects published tracks by what was heard of them. Conditions that are
// set must all hold; the zero value is every published track.
type Hearing struct {
	Track TrackID // only this one
	Owner UserID  // only this creator's
	Below int     // only those whose analyzer version is lower, or that have none; 0: any
}
