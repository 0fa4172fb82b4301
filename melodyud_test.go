package melodyud_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

func TestIDsSortByAgeAndParseBack(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var ids []string
	for i := range 50 {
		ids = append(ids, string(melodyud.NewTrackID(at.Add(time.Duration(i)*time.Millisecond))))
	}
	if !slices.IsSorted(ids) {
		t.Error("ids made later sort earlier")
	}
	for _, id := range ids {
		if got, err := melodyud.ParseTrackID(id); err != nil || string(got) != id {
			t.Errorf("%s: %v", id, err)
		}
	}
	seen := map[melodyud.TrackID]bool{}
	for range 1000 {
		seen[melodyud.NewTrackID(at)] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d distinct ids of 1000 made in one millisecond", len(seen))
	}
}

func TestULIDOfAKnownTimeHasItsKnownHead(t *testing.T) {
	t.Parallel()
	// The ULID specification's example: 1469918176385 ms is 01ARYZ6S41.
	if id := melodyud.NewTrackID(time.UnixMilli(1469918176385)); id[4:14] != "01ARYZ6S41" {
		t.Error(id)
	}
}

func TestForeignIDsAreInvalid(t *testing.T) {
	t.Parallel()
	good := string(melodyud.NewTrackID(time.Now()))
	for _, id := range []string{"", "trk_", good + "0", good[:29], "rel" + good[3:], "trk_8" + good[5:], good[:10] + "/" + good[11:], good[:10] + "u" + good[11:]} {
		if _, err := melodyud.ParseTrackID(id); !errors.Is(err, melodyud.ErrInvalid) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestRefusalHasAKindACauseAndATextOfItsOwn(t *testing.T) {
	t.Parallel()
	r := melodyud.Refuse(melodyud.ErrInvalid, "audio.too-short", "The track is empty.")
	err := fmt.Errorf("render: %w", r.Because(io.ErrUnexpectedEOF))
	if !errors.Is(err, melodyud.ErrInvalid) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("kind or cause lost")
	}
	if got, ok := melodyud.AsRefusal(err); !ok || got.Code != "audio.too-short" || got.Text != r.Text {
		t.Errorf("%+v", got)
	}
	if melodyud.Kind(err) != melodyud.ErrInvalid || melodyud.Kind(io.EOF) != nil {
		t.Error("kinds are told apart wrongly")
	}
	if r.Cause != nil {
		t.Error("Because changed the shared refusal")
	}
}

func TestLadderReadsWhatItPrints(t *testing.T) {
	t.Parallel()
	got, err := melodyud.ParseLadder(melodyud.DefaultLadder().String())
	if err != nil || !slices.Equal(got, melodyud.DefaultLadder()) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "aac", "aac-8", "aac-999", "mp3-128", "flac,flac", "aac-64,,flac"} {
		if _, err := melodyud.ParseLadder(bad); !errors.Is(err, melodyud.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestManifestFindsSegmentsInTheTrackFile(t *testing.T) {
	t.Parallel()
	m := melodyud.Manifest{
		SampleRate: 44100, Samples: 66150,
		Renditions: []melodyud.Rendition{{Name: "flac", InitSize: 700, IndexSize: 44, Sizes: []int64{10, 20, 30}}},
	}
	if m.Duration() != 1500*time.Millisecond {
		t.Error(m.Duration())
	}
	r, ok := m.Rendition("flac")
	if !ok {
		t.Fatal("rendition not found")
	}
	if off, n, ok := r.SegmentRange(2); off != 774 || n != 30 || !ok {
		t.Error(off, n, ok)
	}
	for _, i := range []int{-1, 3} {
		if _, _, ok := r.SegmentRange(i); ok {
			t.Errorf("segment %d exists", i)
		}
	}
	if _, ok := m.Rendition("aac-1"); ok {
		t.Error("a rendition nobody made was found")
	}
}
