package accounts_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/accounts"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/clocktest"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/databasetest"
	"github.com/melodyud/melodyud/internal/ticket"
)

type fixture struct {
	*accounts.Service
	db      database.DB
	clock   *clocktest.Clock
	handler http.Handler
	local   string // the secret of the all-role key
}

// shout names accounts.
type shout struct{}

func (shout) Account(user melodyud.UserID) string { return "acc_of_" + string(user) }

// notices returns what was posted so far.
func (f *fixture) notices(t *testing.T) []melodyud.Notice {
	t.Helper()
	rows, err := f.db.Query(t.Context(), `SELECT event FROM outbox WHERE topic = ? ORDER BY seq`, melodyud.TopicRights)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []melodyud.Notice
	for rows.Next() {
		var body []byte
		var e melodyud.Event
		var n melodyud.Notice
		if err := errors.Join(rows.Scan(&body), json.Unmarshal(body, &e), json.Unmarshal(e.Data, &n)); err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{
		db: databasetest.Open(t), local: accounts.NewSecret(),
		clock: clocktest.New(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)),
	}
	var err error
	if f.Service, err = accounts.New(accounts.Config{DB: f.db, Names: shout{}, Now: f.clock.Now}); err != nil {
		t.Fatal(err)
	}
	if created, err := f.EnsureLocal(t.Context(), f.local); err != nil || !created {
		t.Fatal(created, err)
	}
	r, err := api.NewRouter(api.Config{Auth: f.Service})
	if err != nil {
		t.Fatal(err)
	}
	f.Register(r)
	f.handler = r.Handler()
	return f
}

func (f *fixture) do(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, req)
	return w
}

func code(err error) string {
	if r, ok := melodyud.AsRefusal(err); ok {
		return r.Code
	}
	return fmt.Sprint(err)
}

func (f *fixture) signIn(t *testing.T) *http.Cookie {
	t.Helper()
	w := f.do("GET", "/signin?key="+f.local, "")
	cookies := w.Result().Cookies()
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/" || len(cookies) != 1 {
		t.Fatalf("sign-in: %d %v", w.Code, w.Header())
	}
	return cookies[0]
}

func (f *fixture) me(c *http.Cookie) int {
	return f.do("GET", "/v1/me", "", "Cookie", c.Name+"="+c.Value).Code
}

func TestFreshDirectoryGetsOneKeyWithEveryRole(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p, err := f.Authenticate(t.Context(), f.local)
	if err != nil || p.Tier != ticket.Premium || !p.Has(api.RoleCreator) || !p.Has(api.RoleListener) || !p.Has(api.RoleOps) ||
		!strings.HasPrefix(string(p.User), "usr_") {
		t.Errorf("%+v, %v", p, err)
	}
	for _, again := range []string{f.local, accounts.NewSecret()} {
		if created, err := f.EnsureLocal(t.Context(), again); err != nil || created {
			t.Errorf("a second local key was made: %v %v", created, err)
		}
	}
	if _, err := f.EnsureLocal(t.Context(), "mk_short"); !errors.Is(err, melodyud.ErrInvalid) {
		t.Errorf("a weak secret was taken: %v", err)
	}
}

func TestProcessesStartingTogetherMakeOneLocalKey(t *testing.T) {
	t.Parallel()
	s, err := accounts.New(accounts.Config{DB: databasetest.Open(t)})
	if err != nil {
		t.Fatal(err)
	}
	made := make(chan bool, 8)
	for range cap(made) {
		go func() {
			created, err := s.EnsureLocal(context.Background(), accounts.NewSecret())
			if err != nil {
				t.Error(err)
			}
			made <- created
		}()
	}
	n := 0
	for range cap(made) {
		if <-made {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d local keys", n)
	}
}

func TestSecretsAreNotInTheDatabase(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	session := f.signIn(t).Value
	for _, table := range []string{"account_keys", "account_sessions"} {
		rows, err := f.db.Query(t.Context(), "SELECT hash FROM "+table)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for rows.Next() {
			var hash string
			if err := rows.Scan(&hash); err != nil {
				t.Fatal(err)
			}
			if n++; len(hash) != 64 || strings.Contains(hash, f.local[3:]) || strings.Contains(hash, session[3:]) {
				t.Errorf("%s holds %q", table, hash)
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil || n != 1 {
			t.Errorf("%s: %d rows, %v", table, n, err)
		}
	}
}

func TestUnknownAndMalformedSecretsAreOneRefusal(t *testing.T) { // ASVS 6.3.8
	t.Parallel()
	f := newFixture(t)
	for _, secret := range []string{
		"", "mk_", accounts.NewSecret(), "ms_" + accounts.NewSecret()[3:], strings.ToUpper(f.local), f.local + "x", f.local[1:],
		strings.Repeat("a", 1<<20), "mk_" + strings.Repeat("'", 43), "mk_" + strings.Repeat("\x00", 43),
	} {
		if _, err := f.Authenticate(t.Context(), secret); code(err) != "auth.key" || !errors.Is(err, melodyud.ErrUnauthenticated) {
			t.Errorf("%.20q: %v", secret, err)
		}
	}
}

func TestKeysAreCreatedListedAndRevoked(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	k, secret, err := f.Create(t.Context(), " Grace ", []api.Role{api.RoleCreator}, ticket.Free)
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.Authenticate(t.Context(), secret)
	if err != nil || p.User != k.User || p.Name != "Grace" || p.Has(api.RoleOps) || !p.Has(api.RoleCreator) || p.Tier != ticket.Free {
		t.Errorf("%+v %v", p, err)
	}
	if err := f.Revoke(t.Context(), k.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Authenticate(t.Context(), secret); code(err) != "auth.key" {
		t.Errorf("a revoked key works: %v", err)
	}
	if err := f.Revoke(t.Context(), k.ID); err != nil {
		t.Errorf("revoking twice: %v", err)
	}
	if err := f.Revoke(t.Context(), "key_none"); code(err) != "key.unknown" {
		t.Errorf("unknown key: %v", err)
	}
	all, err := f.List(t.Context(), 10)
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	for _, one := range all {
		if (one.ID == k.ID) != (one.Revoked != nil) {
			t.Errorf("%+v", one)
		}
	}
}

func TestBadKeysAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	creator := []api.Role{api.RoleCreator}
	for _, c := range []struct {
		name  string
		roles []api.Role
		tier  ticket.Tier
		code  string
	}{
		{"", creator, ticket.Free, "key.name"},
		{"a\nb", creator, ticket.Free, "key.name"},
		{"\xff", creator, ticket.Free, "key.name"},
		{strings.Repeat("é", 101), creator, ticket.Free, "key.name"},
		{"x", nil, ticket.Free, "key.roles"},
		{"x", []api.Role{"root"}, ticket.Free, "key.roles"},
		{"x", creator, "gold", "key.tier"},
	} {
		if _, _, err := f.Create(t.Context(), c.name, c.roles, c.tier); code(err) != c.code {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestSignInLinkOpensASession(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := f.signIn(t)
	if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure || c.Path != "/" || c.MaxAge != 30*24*3600 || c.Value == f.local {
		t.Errorf("%+v", c)
	}
	if f.me(c) != 200 {
		t.Error("the session does not work")
	}
	f.clock.Pass(30*24*time.Hour - time.Second)
	if f.me(c) != 200 {
		t.Error("the session ended early")
	}
	f.clock.Pass(time.Second)
	if f.me(c) != 401 {
		t.Error("the session did not end") // ASVS 7.3
	}
}

func TestSessionSignsInAndOut(t *testing.T) { // ASVS 7.2.4, 7.4.1
	t.Parallel()
	f := newFixture(t)
	w := f.do("POST", "/v1/session", `{"key":"`+f.local+`"}`, "Content-Type", "application/json")
	var me accounts.Me
	if err := json.Unmarshal(w.Body.Bytes(), &me); err != nil || w.Code != 200 || me.User == "" || len(me.Roles) != 3 {
		t.Fatalf("%d %s %v", w.Code, w.Body, err)
	}
	c := w.Result().Cookies()[0]
	if f.me(c) != 200 {
		t.Error("not signed in")
	}
	out := f.do("DELETE", "/v1/session", "", "Cookie", c.Name+"="+c.Value)
	if out.Code != 204 || out.Result().Cookies()[0].MaxAge != -1 {
		t.Errorf("%d %v", out.Code, out.Header())
	}
	if f.me(c) != 401 {
		t.Error("the session survived signing out")
	}
}

func TestCookieIsSecureOverTLS(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, path := range []string{"https://x.example/signin?key=" + f.local, "http://x.example/signin?key=" + f.local} {
		w := f.do("GET", path, "")
		if secure := w.Result().Cookies()[0].Secure; secure != strings.HasPrefix(path, "https") {
			t.Errorf("%s: Secure %v", path[:8], secure)
		}
	}
}

func TestSessionEndsWithItsKey(t *testing.T) { // ASVS 7.4.2
	t.Parallel()
	f := newFixture(t)
	c := f.signIn(t)
	all, err := f.List(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Revoke(t.Context(), all[0].ID); err != nil {
		t.Fatal(err)
	}
	if f.me(c) != 401 {
		t.Error("a session outlived its key")
	}
	if w := f.do("GET", "/signin?key="+f.local, ""); w.Code != 401 || len(w.Result().Cookies()) != 0 || !strings.Contains(w.Body.String(), "key") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestSessionCannotBegetSessions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if w := f.do("GET", "/signin?key="+f.signIn(t).Value, ""); w.Code != 401 {
		t.Errorf("%d", w.Code)
	}
}

func TestFailedSignInsAreLimitedByAddressAndRecover(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for range 20 {
		if w := f.do("GET", "/signin?key=nonsense", ""); w.Code != 401 {
			t.Fatalf("%d", w.Code)
		}
	}
	if w := f.do("GET", "/signin?key="+f.local, ""); w.Code != 429 {
		t.Errorf("a guesser goes on: %d", w.Code)
	}
	w := f.do("POST", "/v1/session", `{"key":"`+f.local+`"}`)
	if w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	f.clock.Pass(time.Minute)
	f.signIn(t)
}

func TestOtherSitesCannotSignABrowserIn(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	w := f.do("POST", "/v1/session", `{"key":"`+f.local+`"}`, "Sec-Fetch-Site", "cross-site")
	if w.Code != 403 || len(w.Result().Cookies()) != 0 {
		t.Errorf("%d", w.Code)
	}
}

func TestOnlyOperatorsManageKeys(t *testing.T) { // ASVS 8.2.1
	t.Parallel()
	f := newFixture(t)
	_, creator, err := f.Create(t.Context(), "c", []api.Role{api.RoleCreator, api.RoleListener}, ticket.Free)
	if err != nil {
		t.Fatal(err)
	}
	const body = `{"name":"Eve","roles":["ops"]}`
	for _, c := range []struct {
		method, path, body string
		ok                 int
	}{
		{"GET", "/v1/ops/keys", "", 200},
		{"POST", "/v1/ops/keys", body, 201},
		{"DELETE", "/v1/ops/keys/key_x", "", 404},
	} {
		for secret, want := range map[string]int{"": 401, "Bearer " + creator: 403, "Bearer " + f.local: c.ok} {
			if w := f.do(c.method, c.path, c.body, "Authorization", secret); w.Code != want {
				t.Errorf("%s %s: %d, want %d: %s", c.method, c.path, w.Code, want, w.Body)
			}
		}
	}
}

func TestCreatedKeyIsShownOnceAndWorks(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	w := f.do("POST", "/v1/ops/keys", `{"name":"Lin","roles":["listener"]}`, "Authorization", "Bearer "+f.local)
	var made struct{ ID, Secret, Tier string }
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || w.Code != 201 || made.Tier != "free" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if p, err := f.Authenticate(t.Context(), made.Secret); err != nil || p.Name != "Lin" {
		t.Errorf("%+v %v", p, err)
	}
	list := f.do("GET", "/v1/ops/keys", "", "Authorization", "Bearer "+f.local)
	if strings.Contains(list.Body.String(), made.Secret) || !strings.Contains(list.Body.String(), made.ID) {
		t.Error(list.Body)
	}
	if w := f.do("DELETE", "/v1/ops/keys/"+made.ID, "", "Authorization", "Bearer "+f.local); w.Code != 204 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestDatabaseOutageIsNotAWrongKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Authenticate(ctx, f.local); err == nil || errors.Is(err, melodyud.ErrUnauthenticated) {
		t.Errorf("%v", err)
	}
}

func (f *fixture) guessFrom(address string) int {
	req := httptest.NewRequest("GET", "/signin?key=nonsense", nil)
	req.RemoteAddr = address
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, req)
	return w.Code
}

func TestLimitCountsNetworksAndForgetsNobodyElse(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i := range 20 { // one IPv6 network, many addresses
		if code := f.guessFrom(fmt.Sprintf("[2001:db8:1:2::%x]:999", i+1)); code != 401 {
			t.Fatalf("guess %d: %d", i, code)
		}
	}
	for address, want := range map[string]int{
		"[2001:db8:1:2:3::4]:1": 429, "[2001:db8:1:3::1]:1": 401, "192.0.2.1:1": 401, "[::ffff:192.0.2.1]:2": 401, "strange": 401,
	} {
		if code := f.guessFrom(address); code != want {
			t.Errorf("%s: %d, want %d", address, code, want)
		}
	}
}

func TestARevokedKeyAndASignOutVoidTheTicketsGivenToThem(t *testing.T) { // ASVS 7.4.1
	t.Parallel()
	f := newFixture(t)
	cookie := f.signIn(t)
	for range 2 { // signing out again changes nothing
		f.do("DELETE", "/v1/session", "", "Cookie", cookie.Name+"="+cookie.Value)
	}
	k, _, err := f.Create(t.Context(), "Lisa", []api.Role{api.RoleListener}, ticket.Free)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Revoke(t.Context(), k.ID); err != nil {
		t.Fatal(err)
	}
	got := f.notices(t)
	if len(got) != 2 || got[0].Scope != melodyud.NoticeSignIn || got[0].ID != api.SignInOf(cookie.Value) || got[0].Code != "playback.signed-out" ||
		got[1].Scope != melodyud.NoticeAccount || got[1].ID != "acc_of_"+string(k.User) || !got[1].Before.Equal(f.clock.Now()) {
		t.Errorf("%+v", got)
	}
}
