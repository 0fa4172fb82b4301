package catalog_test

import (
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

func TestWhatTracksTakeIsSummedUpByTheirOwner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	size := w.Master("the sound").Size
	want := func(when string, bytes, unmeasured int64, sound time.Duration) {
		t.Helper()
		b, u, d, _, err := w.Stored(t.Context(), w.DB, nora.User, nil)
		if err != nil || b != bytes || u != unmeasured || d != sound {
			t.Errorf("%s: %d bytes, %d unmeasured, %v, %v; want %d, %d, %v", when, b, u, d, err, bytes, unmeasured, sound)
		}
	}
	want("nothing", 0, 0, 0)
	first, second := w.Receipt(nora), w.Receipt(nora)
	for _, r := range []melodyud.Receipt{first, second} {
		if _, err := w.Receive(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	w.Upload(emil)
	want("two received", 2*size, 2*size, 0)
	w.Finish(first.Track)
	want("one published", 2*size, size, 200*time.Second)
	other := melodyud.NewUploadID(w.Clock.Now())
	_, _, _, among, err := w.Stored(t.Context(), w.DB, nora.User, []melodyud.UploadID{other, second.Upload})
	if err != nil || len(among) != 1 || among[0] != second.Upload {
		t.Errorf("among: %v, %v", among, err)
	}
	w.Must(w.Withdraw(t.Context(), nora, first.Track))
	want("one withdrawn", size, size, 0)
}
