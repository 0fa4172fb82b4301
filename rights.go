package melodyud

import "time"

// TopicRights is the event log's topic for what takes rights back that tickets
// gave. Every edge follows it.
const TopicRights = "rights"

// TicketsRevoked says that tickets are void before they expire. Data is a Notice.
const TicketsRevoked = "com.melodyud.rights.revoked.v1"

// NoticeScope is the kind of thing a Notice names.
type NoticeScope string

// The scopes of notices.
const (
	NoticeSession NoticeScope = "session" // one play session
	NoticeAccount NoticeScope = "account" // a listener, by the name tickets have for them
	NoticeSignIn  NoticeScope = "sign-in" // what the device in a ticket begins with
	NoticeTrack   NoticeScope = "track"
	NoticeKey     NoticeScope = "key" // all that a signing key signed
)

// Notice says that tickets for one thing, issued at Before or earlier, are void.
type Notice struct {
	Scope  NoticeScope `json:"scope"`
	ID     string      `json:"id"`
	Before time.Time   `json:"before"`
	// Releases are those a track has had: tickets for several tracks name releases.
	Releases []ReleaseID `json:"releases,omitempty"`
	// Countries, if not nil, lets the tickets live where this rule allows it; it is
	// written as tickets write it.
	Countries *string `json:"countries,omitempty"`
	Code      string  `json:"code"` // of the refusal, such as "playback.revoked"
	Text      string  `json:"text"` // of the refusal: a sentence for people
}

// NewNotice returns the fact that tells n.
func NewNotice(now time.Time, n Notice) Event {
	return NewEvent(now, TicketsRevoked, string(n.Scope)+":"+n.ID, n)
}
