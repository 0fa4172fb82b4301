package catalog_test

import (
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

func TestWhatTracksTakeIsSummedUpByTheirOwner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	size := w.master("the sound").Size
	want := func(when string, bytes, unmeasured int64, sound time.Duration) {
		t.Helper()
		b, u, d, _, err := w.Stored(t.Context(), w.db, nora.User, nil)
		if err != nil || b != bytes || u != unmeasured || d != sound {
			t.Errorf("%s: %d bytes, %d unmeasured, %v, %v; want %d, %d, %v", when, b, u, d, err, bytes, unmeasured, sound)
		}
	}
	want("nothing", 0, 0, 0)
	first, second := w.receipt(nora), w.receipt(nora)
	for _, r := range []melodyud.Receipt{first, second} {
		if _, err := w.Receive(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	w.receive(emil)
	want("two received", 2*size, 2*size, 0)
	w.publish(first.Track)
	want("one published", 2*size, size, 200*time.Second)
	other := melodyud.NewUploadID(w.clock.Now())
	_, _, _, among, err := w.Stored(t.Context(), w.db, nora.User, []melodyud.UploadID{other, second.Upload})
	if err != nil || len(among) != 1 || among[0] != second.Upload {
		t.Errorf("among: %v, %v", among, err)
	}
	w.must(w.Withdraw(t.Context(), nora, first.Track))
	want("one withdrawn", size, size, 0)
}
