package melodyud

import "time"

// Step is what the pipeline owes a track next. A track that is owed nothing has
// no step.
type Step string

// The steps, each the work of one task.
const (
	StepRender  Step = "render"  // make the renditions and store them
	StepPublish Step = "publish" // read them back, then show them
	StepCollect Step = "collect" // delete what a withdrawn track leaves
)

// Claim is a worker's lease on one step of one track. It lives in the track's
// rows, not in the queue; nobody else works on the track until it lapses.
type Claim struct {
	Track   Track // as it was when claimed
	Step    Step
	Holder  string
	Fence   int64     // grows with each claim of the track: a late holder's writes are refused by it
	Attempt int       // 1 for the first
	Expires time.Time // unless renewed

	// What StepRender handed over; set for StepPublish only.
	RenderHash   string
	FeaturesHash string
	Release      ReleaseID // the id the release will have, however often it is tried
}

// Rendering is what StepRender hands over to StepPublish once every object is
// stored.
type Rendering struct {
	Hash         string // names the folder media/<hash>/
	FeaturesHash string // names the folder features/<hash>/
	Tags         Tags   // fill what the creator left empty
}

// Owed is one step that waits for a worker.
type Owed struct {
	Track TrackID
	Step  Step
	Due   time.Time // since when it could have been done
}

// Leftovers names the objects a withdrawn track leaves and nothing else uses.
type Leftovers struct {
	Releases     []ReleaseID // folders releases/<id>/
	RenderHashes []string    // folders media/<hash>/
	FeatureSets  []string    // folders features/<hash>/
	Masters      []string    // objects masters/<sha256>
}

// Relisten is a worker's lease on one published track that is to be listened to
// anew.
type Relisten struct {
	Reanalysis string // the back-fill it is a part of
	Track      Track  // its release's master is what to listen to
	Fence      string // proves who holds it
	Attempt    int    // 1 for the first
	Expires    time.Time
}

// DeadLetter is a step that was given up: it waits for a person.
type DeadLetter struct {
	Track   TrackID   `json:"track"`
	Owner   UserID    `json:"owner"`
	Title   string    `json:"title"`
	Step    Step      `json:"step"`
	Reason  string    `json:"reason"` // for operators, never for creators
	Attempt int       `json:"attempt"`
	Died    time.Time `json:"died"`
}

// Backlog counts what is owed, from the rows.
type Backlog struct {
	Steps []StepBacklog `json:"steps"`
	Dead  int           `json:"dead"`
}

// StepBacklog counts what is owed of one step.
type StepBacklog struct {
	Step   Step          `json:"step"`
	Owed   int           `json:"owed"` // all of them
	Due    int           `json:"due"`  // could be worked on now
	Held   int           `json:"held"` // a worker holds a live lease
	Oldest time.Duration `json:"oldest_nanoseconds"`
}
