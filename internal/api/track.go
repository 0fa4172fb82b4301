package api

import (
	"time"

	melodyud "github.com/melodyud/melodyud"
)

// Track is the JSON form of a track, which all services show alike. Its name and
// those of its parts are those of the OpenAPI schemas.
type (
	Track struct {
		ID       melodyud.TrackID `json:"id" example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
		State    melodyud.State   `json:"state" enum:"received,published,refused,withdrawn" doc:"received: being worked on. published: listeners can play it. refused: see refusal."`
		Title    string           `json:"title" example:"Morning Light" doc:"Empty until known: show file_name instead."`
		Artist   string           `json:"artist" example:"Nora Vale"`
		Album    string           `json:"album" example:"Harbour"`
		Disc     int              `json:"disc,omitempty" doc:"Within the album, from 1; absent: unknown."`
		Number   int              `json:"number,omitempty" doc:"Within the disc, from 1; absent: unknown."`
		FileName string           `json:"file_name,omitempty" example:"morning-light.flac" doc:"As the creator's machine called it; only for the owner."`
		Created  time.Time        `json:"created"`
		Updated  time.Time        `json:"updated"`
		Master   *Master          `json:"master,omitempty" doc:"The file as it was sent; only for the owner."`
		Progress *progress        `json:"progress,omitempty" doc:"How far the work has come; only for the owner."`
		Replaces bool             `json:"replacing,omitempty" doc:"Other audio is being prepared; until then listeners hear the release. Only for the owner."`
		Refusal  *refusal         `json:"refusal,omitempty" doc:"Why the file, or the one meant to replace it, was not accepted, and what to do."`
		Release  *release         `json:"release,omitempty" doc:"What listeners hear; absent until published."`
		Preview  *float64         `json:"preview_start_seconds,omitempty" doc:"Where you chose the preview to begin; only for the owner."`
		Ad       bool             `json:"ad,omitempty" doc:"It is an ad, which no listener finds in a list. Only for the owner."`
		Cover    bool             `json:"cover" doc:"Whether there is a picture at /v1/tracks/{id}/cover."`
	}
	// Master is the JSON form of a file as it was sent.
	Master struct {
		SHA256 string `json:"sha256" example:"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`
		Size   int64  `json:"size" doc:"Bytes." example:"31457280"`
	}
	progress struct {
		Stage   melodyud.Stage `json:"stage" enum:"queued,validating,rendering,storing,publishing,done,held" doc:"held: we failed at every attempt; an operator has to look."`
		Percent int            `json:"percent" doc:"Of this stage." minimum:"0" maximum:"100"`
		Attempt int            `json:"attempt" doc:"1 for the first try; 0 before it."`
	}
	refusal struct {
		Code string `json:"code" example:"audio.too-short" doc:"Stable, for programs."`
		Text string `json:"text" doc:"A sentence for people."`
	}
	release struct {
		ID        melodyud.ReleaseID `json:"id" example:"rel_01J9ZQ9B2C4D6E8F0G2H4J6K8M"`
		Number    int                `json:"number" doc:"1 for the first."`
		Duration  float64            `json:"duration_seconds" example:"214.36"`
		Published time.Time          `json:"published"`
	}
)

// TrackOf shows a track. Listeners do not see what only concerns its owner.
func TrackOf(t melodyud.Track, owner bool) Track {
	v := Track{
		ID: t.ID, State: t.State, Title: t.Title, Artist: t.Artist, Album: t.Album,
		Disc: t.Disc, Number: t.Number,
		Created: t.Created, Updated: t.Updated,
	}
	if t.Release != nil {
		v.Release = &release{t.Release.ID, t.Release.Number, t.Release.Duration.Seconds(), t.Release.Published}
		v.Cover = t.Release.HasCover
	}
	if !owner {
		return v
	}
	v.FileName, v.Ad = t.FileName, t.Aside
	v.Replaces = t.State == melodyud.StatePublished && t.Progress.Stage != melodyud.StageDone
	v.Master = &Master{t.Master.SHA256, t.Master.Size}
	v.Progress = &progress{t.Progress.Stage, t.Progress.Percent, t.Progress.Attempt}
	if t.PreviewStart != nil {
		v.Preview = new(t.PreviewStart.Seconds())
	}
	if t.Refusal != nil {
		v.Refusal = &refusal{t.Refusal.Code, t.Refusal.Text}
	}
	return v
}

// TracksOf shows tracks.
func TracksOf(tracks []melodyud.Track, owner bool) []Track {
	views := make([]Track, len(tracks)) // never null in JSON
	for i, t := range tracks {
		views[i] = TrackOf(t, owner)
	}
	return views
}
