package melodyud

// Break is a moment at which a listener may hear ads.
type Break struct {
	ID      string     // "pre" or "join-<n>": unique in one presentation
	Place   BreakPlace // before the music or between tracks
	Session string     // of the listener's ticket
	Account string     // names the listener without telling who it is; "": not known
	Release ReleaseID  // what is heard next
}

// BreakPlace says where a break is.
type BreakPlace string

// The places.
const (
	BreakPre     BreakPlace = "pre"
	BreakBetween BreakPlace = "between"
)

// Spot is an ad that can be heard: a published track of the same ladder and loudness
// as music.
type Spot struct {
	Track      TrackID   `json:"track"` // also names the ad in facts
	Release    ReleaseID `json:"release"`
	Title      string    `json:"title"`
	Advertiser string    `json:"advertiser"`
	Weight     int       `json:"weight"` // how often, in proportion to the others; 1 to 10
}

// AdTarget is the integrated loudness of ads, which is that of music as players
// level it, in LUFS (NORM-2); AdTolerance is how far from it an ad may be, in LU
// (AD-12).
const (
	AdTarget    = -14.0
	AdTolerance = 1.0
)
