package melodyud

import "time"

// State is where a track stands in its life:
// received -> published -> withdrawn, or received -> refused.
type State string

// The states of a track. Stages inside received are progress, not states.
const (
	StateReceived  State = "received"
	StatePublished State = "published"
	StateRefused   State = "refused"
	StateWithdrawn State = "withdrawn"
)

// Terminal reports whether the pipeline has nothing left to do.
func (s State) Terminal() bool { return s != StateReceived }

// Track is one piece of music as its creator knows it. Its id, plays and URL
// outlive every replacement of the master.
type Track struct {
	ID       TrackID
	Owner    UserID
	State    State
	Title    string
	Artist   string
	Album    string
	Disc     int      // within the album, from 1; 0: unknown
	Number   int      // within the disc, from 1; 0: unknown
	FileName string   // as the creator's machine called it; never used as a path
	Master   Master   // the latest: of a published track perhaps not what listeners hear
	Release  *Release // nil until published
	Refusal  *Refusal // nil unless the latest master was refused
	Progress Progress
	// PreviewStart is where the creator wants the preview to begin; nil: we choose.
	PreviewStart *time.Duration
	// Aside says that the track is an ad: it is in nobody's list, and listeners
	// cannot play it by itself.
	Aside bool
	// Gain is what it is to be rendered with, in hundredths of a decibel; 0: as it is.
	Gain    int
	Created time.Time
	Updated time.Time
}

// Master is the file the creator sent, byte for byte.
type Master struct {
	SHA256 string // 64 hexadecimal digits; also the object name under masters/
	Size   int64  // bytes
}

// Release is one published rendering of a track.
type Release struct {
	ID         ReleaseID
	Number     int    // 1 for the first, counting up with each replaced master
	RenderHash string // names the folder media/<render-hash>/
	// FeaturesHash names the folder features/<features-hash>/, what was heard of the
	// master; empty where nobody listened yet.
	FeaturesHash string
	Duration     time.Duration
	Master       Master // what it was made of
	FileName     string // as the creator's machine called that
	HasCover     bool
	Published    time.Time
}

// Stage is a step of the pipeline while a track is received.
type Stage string

// The stages, in order.
const (
	StageQueued     Stage = "queued"
	StageValidating Stage = "validating"
	StageRendering  Stage = "rendering"
	StageStoring    Stage = "storing"
	StagePublishing Stage = "publishing"
	StageDone       Stage = "done"
	// StageHeld is outside that order: we failed at every attempt, and the track
	// waits for an operator.
	StageHeld Stage = "held"
)

// Progress says how far the pipeline has come with a track.
type Progress struct {
	Stage   Stage
	Percent int // 0..100 of this stage
	Attempt int // 1 for the first
}

// Receipt is what the upload side hands to the catalog once every byte of a
// master is stored and hashed.
type Receipt struct {
	Track    TrackID // reserved when the upload was created; makes the hand-over idempotent
	Owner    UserID
	Upload   UploadID
	FileName string
	Tags     Tags // as typed by the creator; empty fields are filled from the file
	Master   Master
	Replaces bool // Track exists and is given this master; its tags stay as they are
}
