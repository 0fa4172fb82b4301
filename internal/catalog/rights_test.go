package catalog_test

import (
	"strings"
	"testing"
)

func TestAWithdrawnTrackVoidsItsTickets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pending := w.Upload(nora)
	track := w.Finish(w.Upload(nora).ID)
	w.Must(w.Withdraw(t.Context(), nora, pending.ID)) // nobody has a ticket
	w.Must(w.Withdraw(t.Context(), nora, track.ID))
	var n int
	var event string
	w.Must(w.DB.QueryRow(t.Context(), `SELECT COUNT(*), MAX(event) FROM outbox WHERE topic = 'rights'`, nil, &n, &event))
	if n != 1 || !strings.Contains(event, string(track.ID)) || !strings.Contains(event, string(track.Release.ID)) || !strings.Contains(event, "playback.withdrawn") {
		t.Errorf("%d notices: %s", n, event)
	}
}
