package melodyud

import (
	"crypto/sha256"
	"strings"
	"time"
)

// TopicPlayback is the event log's topic for the facts of listening. Their subject
// is the listener, so that those of one listener keep their order (CE-2).
const TopicPlayback = "playback"

// The facts of a play: one go at one track, from the wish to hear it until its end
// or the next one (CE-3). Data is a PlaybackFact.
const (
	PlaybackRequested = "com.melodyud.playback.requested.v1" // somebody wants to hear it
	PlaybackStarted   = "com.melodyud.playback.started.v1"   // the first sample sounds
	PlaybackHeard     = "com.melodyud.playback.progress.v1"  // Heard was rendered
	PlaybackPaused    = "com.melodyud.playback.paused.v1"
	PlaybackSeeked    = "com.melodyud.playback.seeked.v1"    // from Position to Target
	PlaybackStalled   = "com.melodyud.playback.stalled.v1"   // silence of Took for want of data, now over
	PlaybackSwitched  = "com.melodyud.playback.switched.v1"  // Rendition sounds from here on
	PlaybackSkipped   = "com.melodyud.playback.skipped.v1"   // the listener left before the end
	PlaybackEnded     = "com.melodyud.playback.completed.v1" // the end was reached
	PlaybackFailed    = "com.melodyud.playback.failed.v1"    // Code says why
)

// PlaybackFact is the data of the facts of a play. Times are whole milliseconds on
// the track's own timeline, from its first sample; fields that do not apply are
// left out. Who listens is a pseudonym (CE-4).
type PlaybackFact struct {
	Play     string    `json:"play"`               // one play; unique within its session
	Session  string    `json:"session"`            // of the ticket
	Listener string    `json:"listener,omitempty"` // pseudonym of the account, for a month
	Tier     string    `json:"tier,omitempty"`
	Track    TrackID   `json:"track,omitempty"` // absent where several tracks play as one: Release tells
	Release  ReleaseID `json:"release"`
	Length   int64     `json:"length_ms,omitempty"` // of the track
	// Issued is when the session's ticket was given out: nobody can have heard more
	// in a session than the time since then.
	Issued time.Time `json:"issued,omitzero"`

	Sequence  int64      `json:"sequence"` // of what the player told of this play
	Position  int64      `json:"position_ms,omitempty"`
	Target    int64      `json:"target_ms,omitempty"` // of a seek
	Took      int64      `json:"took_ms,omitempty"`   // of a start or a stall, by the clock
	Heard     []Interval `json:"heard,omitempty"`     // rendered since the fact before
	Rendition string     `json:"rendition,omitempty"`
	Code      string     `json:"code,omitempty"` // of a failure
}

// Interval is a stretch of a track that was rendered, in milliseconds: From is in,
// To is out. Rate is how fast; 0 means at normal rate.
type Interval struct {
	From int64   `json:"from"`
	To   int64   `json:"to"`
	Rate float64 `json:"rate,omitempty"`
}

// Normal reports whether the interval was rendered as it was made to be heard.
func (i Interval) Normal() bool { return i.Rate == 0 || i.Rate == 1 }

// The facts of ads (CE-3). Data is an AdFact.
const (
	AdRequested  = "com.melodyud.ad.requested.v1"  // a break was decided
	AdImpression = "com.melodyud.ad.impression.v1" // its first sample sounded
	AdQuartile   = "com.melodyud.ad.quartile.v1"   // Quartile of it was heard
	AdCompleted  = "com.melodyud.ad.completed.v1"
	AdSkipped    = "com.melodyud.ad.skipped.v1"
	AdError      = "com.melodyud.ad.error.v1"
)

// AdFact is the data of the facts of ads.
type AdFact struct {
	Ad       string    `json:"ad,omitempty"`       // which ad; absent when a break stays empty
	Break    string    `json:"break,omitempty"`    // one break of one session
	Session  string    `json:"session"`            // of the ticket
	Listener string    `json:"listener,omitempty"` // as in PlaybackFact
	Tier     string    `json:"tier,omitempty"`
	Place    string    `json:"place,omitempty"`   // pre or between
	Track    TrackID   `json:"track,omitempty"`   // that the break is in or before
	Release  ReleaseID `json:"release,omitempty"` // of the ad's own sound
	Sequence int64     `json:"sequence,omitempty"`
	Position int64     `json:"position_ms,omitempty"` // in the ad
	Quartile int       `json:"quartile,omitempty"`    // 1 to 3
	Code     string    `json:"code,omitempty"`        // of an error
}

// SegmentsServed tells what an edge sent to one session in some seconds. Data is a
// DeliveryFact: a fact for each segment would be more facts than music.
const SegmentsServed = "com.melodyud.segments.served.v1"

// DeliveryFact sums up the segments of one track that an edge sent to a session
// between From and the fact's time.
type DeliveryFact struct {
	Session  string           `json:"session"`
	Listener string           `json:"listener,omitempty"` // as in PlaybackFact
	Tier     string           `json:"tier,omitempty"`
	Track    TrackID          `json:"track,omitempty"` // as in PlaybackFact
	Release  ReleaseID        `json:"release"`
	From     time.Time        `json:"from"`
	Segments map[string]int64 `json:"segments"` // by rendition
	Bytes    int64            `json:"bytes"`
	Hits     int64            `json:"hits"` // segments that came from the edge's own memory or disk

	// What the player told by CMCD; absent when it told nothing.
	Player     string `json:"player_session,omitempty"`  // sid
	Buffer     int64  `json:"buffer_ms,omitempty"`       // bl: the shortest
	Throughput int64  `json:"throughput_kbps,omitempty"` // mtp: the last
	Starved    int64  `json:"starved,omitempty"`         // bs: how often
	Urgent     int64  `json:"urgent,omitempty"`          // su: how often
}

// StreamCounted says that a play counts: 30 seconds of its track were heard, or
// all of a shorter one. There is one for each play at most. Data is a StreamFact.
const StreamCounted = "com.melodyud.stream.counted.v1"

// StreamFact is the data of StreamCounted.
type StreamFact struct {
	Play     string    `json:"play"`
	Session  string    `json:"session"`
	Listener string    `json:"listener,omitempty"` // as in PlaybackFact
	Tier     string    `json:"tier,omitempty"`
	Track    TrackID   `json:"track,omitempty"` // as in PlaybackFact
	Release  ReleaseID `json:"release"`
	Heard    int64     `json:"heard_ms"` // different milliseconds of the track, so far
}

// EventIDOf returns the id of the fact that parts name: the same parts make the
// same id, so that a fact told twice is one. Parts must not have line ends.
func EventIDOf(parts ...string) EventID {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return EventID("evt_" + encodeULID([16]byte(sum[:16])))
}
