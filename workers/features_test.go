package workers_test

import (
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/workers"
)

func TestANewAnalyzerListensToAMasterWithoutRenderingItAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.run()
	first := w.receive(theSound)
	w.deliver("track:render", first)
	w.deliver("track:publish", first)
	w.engine.newer.Add(1)
	second := w.receive(theSound)
	w.deliver("track:render", second)
	w.deliver("track:publish", second)
	a, b := w.track(first).Release, w.track(second).Release
	if a.RenderHash != b.RenderHash || a.FeaturesHash == b.FeaturesHash || b.FeaturesHash == "" {
		t.Errorf("releases %+v and %+v", a, b)
	}
	if n, m := w.engine.renders.Load(), w.engine.listens.Load(); n != 1 || m != 1 {
		t.Errorf("rendered %d times and listened %d times", n, m)
	}
	if doc := w.objects()["features/"+b.FeaturesHash+"/features.json"]; !strings.Contains(doc, `"analyzer_version":"2"`) {
		t.Errorf("features %s", doc)
	}
}

func TestLostFeaturesAreHeardAgainBeforePublishing(t *testing.T) { // A10
	t.Parallel()
	w := newWorld(t, options{})
	w.run()
	id := w.receive(theSound)
	w.deliver("track:render", id)
	set := workers.FeatureSet(w.engine, w.track(id).Master.SHA256)
	w.must(w.store.Delete(t.Context(), "features/"+set.Hash+"/analysis.json"))
	w.deliver("track:publish", id)
	if got := w.track(id); got.State != melodyud.StateReceived {
		t.Fatalf("a track without features is %s", got.State)
	}
	time.Sleep(2 * time.Millisecond)
	w.deliver("track:render", id)
	w.deliver("track:publish", id)
	if got := w.track(id); got.State != melodyud.StatePublished || got.Release.FeaturesHash != set.Hash {
		t.Errorf("track %+v", got)
	}
	if w.objects()["features/"+set.Hash+"/analysis.json"] == "" {
		t.Error("the lost object is not back")
	}
}

func TestAllThatWasHeardGoesWithTheLastTrackOfAMaster(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.run()
	var ids []melodyud.TrackID
	for range 2 {
		id := w.receive(theSound)
		w.deliver("track:render", id)
		w.deliver("track:publish", id)
		ids = append(ids, id)
		w.engine.newer.Add(1)
	}
	for i, id := range ids {
		w.must(w.catalog.Withdraw(t.Context(), nora, id))
		w.deliver("gc", id)
		left := 0
		for key := range w.objects() {
			if strings.HasPrefix(key, "features/") {
				left++
			}
		}
		if want := []int{8, 0}[i]; left != want {
			t.Errorf("after %d of 2: %d objects, want %d", i+1, left, want)
		}
	}
}
