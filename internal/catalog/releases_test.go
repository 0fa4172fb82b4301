package catalog_test

import (
	"context"
	"slices"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/catalog/catalogtest"
)

// replacement is a receipt that gives track other bytes.
func (w *world) replacement(track melodyud.Track, bytes string) melodyud.Receipt {
	return melodyud.Receipt{
		Track: track.ID, Owner: track.Owner, Upload: melodyud.NewUploadID(w.Clock.Now()), Replaces: true,
		FileName: bytes + ".wav", Master: w.Master(bytes),
	}
}

// render takes what is owed to a track through both steps, under a render hash of its own.
func (w *world) render(id melodyud.TrackID, hash string, length time.Duration) melodyud.Track {
	w.t.Helper()
	c := w.Take(id, melodyud.StepRender)
	w.Must(w.Storing(w.t.Context(), c, hash))
	w.Must(w.Rendered(w.t.Context(), c, melodyud.Rendering{Hash: hash}))
	c = w.Take(id, melodyud.StepPublish)
	rel := catalogtest.ReleaseOf(c)
	rel.Duration = length
	track, err := w.Publish(w.t.Context(), c, rel)
	w.Must(err)
	return track
}

// collect runs what is owed to the collector.
func (w *world) collect(id melodyud.TrackID) melodyud.Leftovers {
	w.t.Helper()
	c := w.Take(id, melodyud.StepCollect)
	left, err := w.Collect(w.t.Context(), c)
	w.Must(err)
	w.Must(w.Collected(w.t.Context(), c, left))
	return left
}

func (w *world) releases(id melodyud.TrackID) []melodyud.Release {
	w.t.Helper()
	_, all, err := w.Releases(w.t.Context(), nora, id)
	w.Must(err)
	return all
}

const otherHash = "fedcba9876543210fedcba9876543210"

func TestListenersHearTheOldReleaseUntilTheNewOneIsPublished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.Finish(w.Upload(nora).ID)
	r := w.replacement(first, "a better mix")
	track, err := w.Receive(t.Context(), r)
	w.Must(err)
	if track.ID != first.ID || track.State != melodyud.StatePublished || track.Release.ID != first.Release.ID ||
		track.Progress.Stage != melodyud.StageQueued || track.Master.SHA256 != r.Master.SHA256 {
		t.Fatalf("while it waits: %+v", track)
	}
	if _, err := w.Audible(t.Context(), lisa, first.ID); err != nil {
		t.Errorf("listeners hear nothing: %v", err)
	}
	second := w.render(first.ID, otherHash, 100*time.Second)
	if second.Release.ID == first.Release.ID || second.Release.Number != 2 || second.Release.FileName != "a better mix.wav" ||
		second.Title != first.Title || second.Created != first.Created {
		t.Errorf("afterwards: %+v", second)
	}
	_, err = w.Receive(t.Context(), r) // told again: nothing happens
	w.Must(err)
	if due := w.due(); len(due) != 0 {
		t.Errorf("due %+v", due)
	}
	all := w.releases(first.ID)
	if len(all) != 2 || all[0].ID != second.Release.ID || all[1].Master != first.Master || all[1].FileName != "Morning Light.flac" {
		t.Errorf("releases %+v", all)
	}
	if got := w.facts(); !slices.Equal(got, []string{"received", "published", "replacing", "published"}) {
		t.Errorf("facts %v", got)
	}
}

func TestOfTwoReplacementsTheLatestCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	track := w.Finish(w.Upload(nora).ID)
	one, two := w.replacement(track, "one"), w.replacement(track, "two")
	_, err := w.Receive(t.Context(), one)
	w.Must(err)
	late := w.Take(track.ID, melodyud.StepRender)
	w.Must(w.Storing(t.Context(), late, otherHash))
	_, err = w.Receive(t.Context(), two)
	w.Must(err)
	_, err = w.Renew(t.Context(), late, melodyud.Progress{})
	w.Wants(melodyud.ErrConflict, err) // its worker stops
	w.Wants(melodyud.ErrConflict, w.Rendered(t.Context(), late, melodyud.Rendering{Hash: otherHash}))
	_, err = w.Receive(t.Context(), one) // its hand-over is repeated after a crash
	w.Must(err)
	now := w.render(track.ID, catalogtest.RenderHash, time.Minute)
	if now.Release.FileName != "two.wav" || now.Release.Number != 2 {
		t.Errorf("published %+v", now.Release)
	}
	if due := w.due(); len(due) != 0 {
		t.Errorf("its worker may still be writing, and %+v is due", due)
	}
	w.Clock.Pass(time.Minute)
	left := w.collect(track.ID)
	if !slices.Equal(left.Masters, []string{one.Master.SHA256}) || !slices.Equal(left.RenderHashes, []string{otherHash}) || left.Releases != nil {
		t.Errorf("left %+v", left)
	}
}

func TestReplacingATrackThatWasNeverPublishedStartsItAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	track := w.Upload(nora)
	late := w.Take(track.ID, melodyud.StepRender)
	_, err := w.Receive(t.Context(), w.replacement(track, "the right file"))
	w.Must(err)
	w.Wants(melodyud.ErrConflict, w.Refuse(t.Context(), late, melodyud.Refuse(melodyud.ErrInvalid, "audio.too-short", "Too short.")))
	now := w.render(track.ID, otherHash, time.Minute)
	if now.Release.Number != 1 || now.Release.FileName != "the right file.wav" {
		t.Errorf("published %+v", now.Release)
	}
	w.Clock.Pass(time.Minute)
	if left := w.collect(track.ID); !slices.Equal(left.Masters, []string{track.Master.SHA256}) {
		t.Errorf("left %+v", left)
	}
}

func TestARefusedReplacementLeavesTheTrackAsItWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	track := w.Finish(w.Upload(nora).ID)
	r := w.replacement(track, "not music")
	_, err := w.Receive(t.Context(), r)
	w.Must(err)
	c := w.Take(track.ID, melodyud.StepRender)
	w.Must(w.Refuse(t.Context(), c, melodyud.Refuse(melodyud.ErrInvalid, "audio.unknown", "This is no music.")))
	now := w.track(track.ID)
	if now.State != melodyud.StatePublished || now.Release.ID != track.Release.ID || now.Master != track.Master ||
		now.FileName != track.FileName || now.Refusal == nil || now.Refusal.Code != "audio.unknown" || now.Progress.Stage != melodyud.StageDone {
		t.Errorf("track %+v", now)
	}
	w.Clock.Pass(time.Minute)
	if left := w.collect(track.ID); !slices.Equal(left.Masters, []string{r.Master.SHA256}) || left.Releases != nil {
		t.Errorf("left %+v", left)
	}
	if due := w.due(); len(due) != 0 {
		t.Errorf("due %+v", due)
	}
	if got := w.facts(); !slices.Equal(got, []string{"received", "published", "replacing", "replacement-refused"}) {
		t.Errorf("facts %v", got)
	}
	again := w.replacement(track, "music")
	_, err = w.Receive(t.Context(), again)
	w.Must(err)
	if now := w.track(track.ID); now.Refusal != nil {
		t.Errorf("a new try shows the old refusal %v", now.Refusal)
	}
}

func TestAnOlderReleaseIsHeardAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	first := w.Finish(w.Upload(nora).ID)
	w.Must(w.ChoosePreview(ctx, nora, first.ID, 150))
	_, err := w.Receive(ctx, w.replacement(first, "shorter"))
	w.Must(err)
	second := w.render(first.ID, otherHash, 40*time.Second)
	if second.PreviewStart != nil {
		t.Errorf("the preview begins at %v of 40 s", *second.PreviewStart)
	}
	pending := w.replacement(first, "never heard")
	_, err = w.Receive(ctx, pending)
	w.Must(err)
	back, err := w.Restore(ctx, nora, first.ID, first.Release.ID)
	w.Must(err)
	if back.Release.ID != first.Release.ID || back.Master != first.Master || back.Progress.Stage != melodyud.StageDone {
		t.Errorf("restored %+v", back)
	}
	w.Clock.Pass(time.Minute)
	if left := w.collect(first.ID); !slices.Equal(left.Masters, []string{pending.Master.SHA256}) {
		t.Errorf("left %+v: what is still a release must stay", left)
	}
	if all := w.releases(first.ID); len(all) != 2 {
		t.Errorf("releases %+v", all)
	}
	if got := w.facts(); !slices.Equal(got, []string{"received", "published", "replacing", "published", "replacing", "restored"}) {
		t.Errorf("facts %v", got)
	}
	w.Must(w.Withdraw(ctx, nora, first.ID))
	left := w.collect(first.ID)
	if len(left.Masters) != 2 || len(left.Releases) != 2 || len(left.RenderHashes) != 2 {
		t.Errorf("left of the withdrawn track %+v", left)
	}
}

func TestOnlyTheOwnerReplacesAndRestores(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	track := w.Finish(w.Upload(nora).ID)
	gone := w.Upload(nora)
	w.Must(w.Withdraw(ctx, nora, gone.ID))
	for name, one := range map[string]struct {
		do   func(context.Context) error
		want error
	}{
		"another's track":   {func(ctx context.Context) error { return w.Replaceable(ctx, emil.User, track.ID) }, melodyud.ErrNotFound},
		"no track":          {func(ctx context.Context) error { return w.Replaceable(ctx, nora.User, "trk_x") }, melodyud.ErrNotFound},
		"withdrawn":         {func(ctx context.Context) error { return w.Replaceable(ctx, nora.User, gone.ID) }, melodyud.ErrConflict},
		"another's receipt": {func(ctx context.Context) error { return w.steal(ctx, track) }, melodyud.ErrNotFound},
		"another's restore": {func(ctx context.Context) error {
			_, err := w.Restore(ctx, emil, track.ID, track.Release.ID)
			return err
		}, melodyud.ErrNotFound},
		"operator's restore": {func(ctx context.Context) error {
			_, err := w.Restore(ctx, olga, track.ID, track.Release.ID)
			return err
		}, melodyud.ErrNotFound},
		"no such release":      {func(ctx context.Context) error { _, err := w.Restore(ctx, nora, track.ID, "rel_x"); return err }, melodyud.ErrNotFound},
		"another's release":    {func(ctx context.Context) error { _, _, err := w.Releases(ctx, emil, track.ID); return err }, melodyud.ErrNotFound},
		"withdrawn to restore": {func(ctx context.Context) error { _, err := w.Restore(ctx, nora, gone.ID, "rel_x"); return err }, melodyud.ErrConflict},
	} {
		if err := one.do(ctx); melodyud.Kind(err) != one.want {
			t.Errorf("%s: %v, want %v", name, err, one.want)
		}
	}
	if err := w.Replaceable(ctx, nora.User, track.ID); err != nil {
		t.Error(err)
	}
}

func (w *world) steal(ctx context.Context, track melodyud.Track) error {
	r := w.replacement(track, "mine now")
	r.Owner = emil.User
	_, err := w.Receive(ctx, r)
	return err
}
