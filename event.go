package melodyud

import (
	"encoding/json"
	"time"
)

// Event is a fact: something that happened, told once and never changed. The
// fields are those of CloudEvents 1.0 that we use (CE-1).
type Event struct {
	ID      EventID         `json:"id"` // the key to drop duplicates by
	Type    string          `json:"type"`
	Subject string          `json:"subject"` // what it is about; facts of one subject keep their order
	Time    time.Time       `json:"time"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// The facts of a track's life. Data is a TrackFact.
const (
	TrackReceived  = "com.melodyud.track.received.v1"
	TrackRefused   = "com.melodyud.track.refused.v1"
	TrackPublished = "com.melodyud.track.published.v1"
	TrackRenamed   = "com.melodyud.track.renamed.v1"
	TrackWithdrawn = "com.melodyud.track.withdrawn.v1"
	TrackReplacing = "com.melodyud.track.replacing.v1" // other audio came for it
	TrackRestored  = "com.melodyud.track.restored.v1"  // an older release is heard again
	TrackAnalyzed  = "com.melodyud.track.analyzed.v1"  // a published track was listened to anew

	// TrackReplacementRefused says that a published track keeps its release.
	TrackReplacementRefused = "com.melodyud.track.replacement-refused.v1"
)

// TopicTracks is the event log's topic for the facts of tracks.
const TopicTracks = "tracks"

// TrackFact is the data of the facts of a track's life. Fields that do not
// apply are left out.
type TrackFact struct {
	Track        TrackID   `json:"track"`
	Owner        UserID    `json:"owner"`
	Title        string    `json:"title,omitempty"`
	MasterSHA256 string    `json:"master_sha256,omitempty"`
	Release      ReleaseID `json:"release,omitempty"`
	RenderHash   string    `json:"render_hash,omitempty"`
	FeaturesHash string    `json:"features_hash,omitempty"`
	RefusalCode  string    `json:"refusal_code,omitempty"`
}

// NewEvent returns the fact of the given type about subject, with data as its
// JSON body. It panics if data cannot be JSON: a programming error.
func NewEvent(now time.Time, typ, subject string, data any) Event {
	body, err := json.Marshal(data)
	if err != nil {
		panic("melodyud: event data: " + err.Error())
	}
	return Event{ID: NewEventID(now), Type: typ, Subject: subject, Time: now.UTC(), Data: body}
}
