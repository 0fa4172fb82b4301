package signing_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/api/apitest"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/databasetest"
	"github.com/melodyud/melodyud/internal/signing"
	"github.com/melodyud/melodyud/internal/ticket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var first = ticket.Key{ID: "k1", Secret: []byte("0123456789abcdef0123456789abcdef")}

// process is an edge or an API of a deployment.
type process struct {
	*signing.Service
	ring *ticket.Keyring
}

type world struct {
	t   *testing.T
	db  database.DB
	now atomic.Int64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, db: databasetest.Open(t)}
	w.now.Store(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	_, err := w.db.Exec(t.Context(), `INSERT INTO ticket_keys (id, secret, created) VALUES (?, ?, ?)`,
		first.ID, base64.StdEncoding.EncodeToString(first.Secret), database.Millis(w.time().Add(-time.Hour)))
	w.must(err)
	return w
}

func (w *world) time() time.Time { return time.Unix(0, w.now.Load()).UTC() }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// process starts one that looks for keys all the time.
func (w *world) process(change ...func(*signing.Config)) process {
	w.t.Helper()
	ring, err := ticket.NewKeyring(first)
	w.must(err)
	c := signing.Config{DB: w.db, Ring: ring, Poll: 2 * time.Millisecond, Settle: 5 * time.Second, Now: w.time}
	for _, f := range change {
		f(&c)
	}
	s, err := signing.New(c)
	w.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("run: %v", err)
		}
	})
	return process{s, ring}
}

func (w *world) until(what string, f func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatal("waited in vain: " + what)
		}
	}
}

func (p process) sign(w *world) (token, key string) {
	w.t.Helper()
	token, err := p.ring.Sign(ticket.Claims{
		Expires: w.time().Add(time.Hour), Prefix: "/a/", Session: "ses_1", Tier: ticket.Free, Issued: w.time(),
	})
	w.must(err)
	c, err := p.ring.Read(token)
	w.must(err)
	return token, c.KeyID
}

func code(err error) string {
	if r, ok := melodyud.AsRefusal(err); ok {
		return r.Code
	}
	return ""
}

func TestANewKeyIsAcceptedEverywhereBeforeItSigns(t *testing.T) { // TOK-5
	t.Parallel()
	w := newWorld(t)
	service, edge := w.process(), w.process()
	old, _ := service.sign(w)
	k, err := service.Rotate(t.Context())
	w.must(err)
	for _, p := range []process{service, edge} {
		w.until("a new key is known", func() bool { return p.ring.Knows(k.ID) })
		if _, by := p.sign(w); by != "k1" {
			t.Errorf("signed with %s before everybody knows it", by)
		}
	}
	w.now.Add(int64(6 * time.Second))
	w.until("it signs", func() bool { _, by := service.sign(w); return by == k.ID })
	fresh, _ := service.sign(w)
	for _, token := range []string{old, fresh} {
		if _, err := edge.ring.Read(token); err != nil {
			t.Errorf("a running edge refuses a ticket: %v", err)
		}
	}
	keys, err := service.List(t.Context())
	w.must(err)
	if len(keys) != 2 || keys[0].State != "signing" || keys[1].State != "accepted" || keys[1].Until == nil {
		t.Errorf("%+v", keys)
	}
}

func TestARetiredKeyIsNotAcceptedAnyMore(t *testing.T) { // TOK-5
	t.Parallel()
	w := newWorld(t)
	service, edge := w.process(), w.process()
	old, _ := service.sign(w)
	if got := code(service.Retire(t.Context(), "k1", true)); got != "ticket-key.signing" {
		t.Errorf("the only key: %s", got)
	}
	_, err := service.Rotate(t.Context())
	w.must(err)
	w.now.Add(int64(6 * time.Second))
	w.until("the new one signs", func() bool { _, by := service.sign(w); return by != "k1" })
	if got := code(service.Retire(t.Context(), "k1", false)); got != "ticket-key.in-use" {
		t.Errorf("a key in use: %s", got)
	}
	if got := code(service.Retire(t.Context(), "k0", true)); got != "ticket-key.unknown" {
		t.Errorf("no key: %s", got)
	}
	w.must(service.Retire(t.Context(), "k1", true))
	w.until("it is forgotten", func() bool { return !edge.ring.Knows("k1") })
	if _, err := edge.ring.Read(old); err == nil {
		t.Error("an unknown key id was accepted")
	}
}

func TestAKeyMayBeRetiredWhenItsLastTicketHasExpired(t *testing.T) { // TOK-5
	t.Parallel()
	w := newWorld(t)
	p := w.process()
	_, err := p.Rotate(t.Context())
	w.must(err)
	w.now.Add(int64(ticket.MaxLife + time.Hour))
	w.must(p.Retire(t.Context(), "k1", false))
}

func TestKeysAreBoundedInNumber(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.process()
	var err error
	for range 20 {
		w.now.Add(int64(time.Second))
		if _, err = p.Rotate(t.Context()); err != nil {
			break
		}
	}
	if code(err) != "ticket-key.many" {
		t.Errorf("%v", err)
	}
}

func TestConfiguredKeysAreNotRotatedByCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.process(func(c *signing.Config) { c.Fixed = true })
	if _, err := p.Rotate(t.Context()); code(err) != "ticket-key.fixed" {
		t.Errorf("rotate: %v", err)
	}
	if err := p.Retire(t.Context(), "k1", true); code(err) != "ticket-key.fixed" {
		t.Errorf("retire: %v", err)
	}
}

// people signs in everybody by their role.
type people struct{}

func (people) Authenticate(_ context.Context, secret string) (api.Principal, error) {
	return api.Principal{User: "usr_1", Roles: []api.Role{api.Role(secret)}}, nil
}

func TestOnlyOperatorsSeeAndChangeKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server := apitest.Serve(t, api.Config{Auth: people{}}, w.process())
	const path = "/v1/ops/ticket-keys"
	for _, row := range []struct {
		method, path string
		want         [4]int
	}{
		{"GET", path, [4]int{401, 403, 403, 200}},
		{"POST", path, [4]int{401, 403, 403, 201}},
		{"DELETE", path + "/k1", [4]int{401, 403, 403, 409}},
		{"DELETE", path + "/k7", [4]int{401, 403, 403, 404}},
	} {
		for i, who := range []string{"", "listener", "creator", "ops"} {
			if status, answer, _ := server.Do(who, row.method, row.path, ""); status != row.want[i] {
				t.Errorf("%s %s as %q: %d %s", row.method, row.path, who, status, answer)
			}
		}
	}
	_, body, _ := server.Do("ops", http.MethodGet, path, "")
	if strings.Contains(body, base64.StdEncoding.EncodeToString(first.Secret)) || !strings.Contains(body, `"k1"`) {
		t.Errorf("the list is %s", body)
	}
}
