package workers_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/catalog"
	"github.com/melodyud/melodyud/internal/queue/asynqueue"
	"github.com/melodyud/melodyud/internal/queue/queuetest"
	"github.com/melodyud/melodyud/transcode"
	"github.com/melodyud/melodyud/workers"
)

// roles signs everybody in with the role they name.
type roles struct{}

func (roles) Authenticate(_ context.Context, secret string) (api.Principal, error) {
	return api.Principal{User: "usr_01X", Name: secret, Roles: []api.Role{api.Role(secret)}}, nil
}

func (w *world) ask(handler http.Handler, who, method, path string) (int, string) {
	w.t.Helper()
	req := httptest.NewRequestWithContext(w.t.Context(), method, path, nil)
	if who != "" {
		req.Header.Set("Authorization", "Bearer "+who)
	}
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, req)
	return rec.Code, rec.Body.String()
}

func TestOperatorsSeeAndRetryWhatWasGivenUpAndNobodyElseDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{catalog: func(c *catalog.Config) { c.MaxAttempts = 1 }})
	w.run()
	w.engine.render = func(context.Context, transcode.Job) error { return errors.New("encoder: index out of range") }
	id := w.receive(theSound)
	w.receive(theSound)
	w.deliver("track:render", id)
	router, err := api.NewRouter(api.Config{Auth: roles{}})
	w.must(err)
	w.worker.Register(router)
	handler := router.Handler()
	missing := string(melodyud.NewTrackID(w.track(id).Created))
	for _, row := range []struct {
		method, path string
		want         [4]int // nobody, creator, listener, operator
	}{
		{"GET", "/v1/ops/queues", [4]int{401, 403, 403, 200}},
		{"GET", "/v1/ops/dead", [4]int{401, 403, 403, 200}},
		{"GET", "/v1/ops/dead?limit=0", [4]int{422, 422, 422, 422}},
		{"POST", "/v1/ops/tracks/" + missing + "/retry", [4]int{401, 403, 403, 404}},
		{"POST", "/v1/ops/tracks/x%2fy/retry", [4]int{401, 403, 403, 404}},
	} {
		for i, who := range []string{"", "creator", "listener", "ops"} {
			if status, body := w.ask(handler, who, row.method, row.path); status != row.want[i] {
				t.Errorf("%s %s as %q: %d %s", row.method, row.path, who, status, body)
			}
		}
	}
	_, body := w.ask(handler, "ops", "GET", "/v1/ops/dead")
	var dead struct{ Dead []melodyud.DeadLetter }
	w.must(json.Unmarshal([]byte(body), &dead))
	if len(dead.Dead) != 1 || dead.Dead[0].Track != id || !strings.Contains(dead.Dead[0].Reason, "out of range") {
		t.Errorf("dead %s", body)
	}
	_, body = w.ask(handler, "ops", "GET", "/v1/ops/queues")
	if !strings.Contains(body, `"dead":1`) || !strings.Contains(body, `"owed":1`) || !strings.Contains(body, `"queue_reachable":true`) {
		t.Errorf("queues %s", body)
	}
	w.engine.render = nil
	for _, want := range []int{204, 409} {
		if status, body := w.ask(handler, "ops", "POST", "/v1/ops/tracks/"+string(id)+"/retry"); status != want {
			t.Errorf("retry: %d %s", status, body)
		}
		w.deliver("track:render", id)
		w.deliver("track:publish", id)
	}
}

func TestTheRealQueueDrivesATrackToTheEndAndBack(t *testing.T) {
	t.Parallel()
	q, err := asynqueue.OpenEmbedded(t.Context(), asynqueue.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	w := newWorld(t, options{
		catalog: func(c *catalog.Config) { c.Bell = q },
		workers: func(c *workers.Config) { c.Queue = q },
	})
	close(w.queue.ready)
	w.run()
	id := w.receive(theSound)
	w.until(id, melodyud.StatePublished)
	w.must(w.catalog.Withdraw(t.Context(), nora, id))
	w.untilEmpty()
}

func TestAQueueThatLosesEveryRingOnlyCostsTime(t *testing.T) {
	t.Parallel()
	q, err := asynqueue.OpenEmbedded(t.Context(), asynqueue.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	deaf := queuetest.Deaf{Queue: q}
	w := newWorld(t, options{
		catalog: func(c *catalog.Config) { c.Bell = deaf },
		workers: func(c *workers.Config) { c.Queue, c.Sweep = deaf, 5e6 },
	})
	close(w.queue.ready)
	w.run()
	id := w.receive(theSound)
	w.until(id, melodyud.StatePublished)
	w.must(w.catalog.Withdraw(t.Context(), nora, id))
	w.untilEmpty()
}
