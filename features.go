package melodyud

// Features is what was heard while the track was decoded once:
// media/<render-hash>/features.json.
type Features struct {
	Version  string   `json:"analyzer_version"`
	Duration float64  `json:"duration_seconds"`
	Loudness Loudness `json:"loudness"`
	// PreviewStart is where a preview had best begin, in seconds; nil where nothing
	// stands out: silence, or a track shorter than a preview.
	PreviewStart *float64 `json:"preview_start_seconds,omitempty"`
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
