package ingest_test

import (
	"context"
	"strconv"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/ingest"
)

// Replaceable implements the library: only Ada's own tracks are.
func (c *catalog) Replaceable(_ context.Context, owner melodyud.UserID, track melodyud.TrackID) error {
	for _, r := range c.receipts() {
		if r.Track == track && r.Owner == owner {
			return nil
		}
	}
	return melodyud.Refuse(melodyud.ErrNotFound, "track.not-found", "There is no such track among yours.")
}

func TestAnUploadGivesATrackThatExistsOtherAudio(t *testing.T) {
	t.Parallel()
	f, track := knowing(t)
	better := []byte("a better mix of the very same song")
	path := f.create(len(better), "Upload-Metadata", meta("filename", "mix 2.wav", "replaces", string(track)))
	if got := f.view(path).Track; got != track {
		t.Errorf("it becomes track %s, not %s", got, track)
	}
	f.patch(path, 0, better)
	f.await(path, ingest.StateReceived)
	var got melodyud.Receipt
	for _, r := range f.catalog.receipts() {
		if r.Track == track {
			got = r
		}
	}
	if !got.Replaces || got.Master.SHA256 != sumOf(better) || got.FileName != "mix 2.wav" {
		t.Errorf("receipt %+v", got)
	}
	again := f.create(len(twice), "Upload-Metadata", meta("replaces", string(track))) // its own first bytes are no duplicate
	f.patch(again, 0, twice)
	f.await(again, ingest.StateReceived)
}

func TestATrackOfSomebodyElseIsNotReplaced(t *testing.T) {
	t.Parallel()
	f, _ := knowing(t)
	for _, track := range []string{"trk_unknown", string(melodyud.NewTrackID(f.clock.Now()))} {
		a := f.do("POST", "/v1/uploads", nil, "Upload-Length", strconv.Itoa(10), "Upload-Metadata", meta("replaces", track))
		if a.StatusCode != 404 || a.code() != "track.not-found" {
			t.Errorf("%s: %d %s", track, a.StatusCode, a.body)
		}
	}
}
