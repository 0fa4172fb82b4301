package playback_test

import (
	"encoding/json"
	"strings"
	"testing"

	melodyud "github.com/melodyud/melodyud"
)

// notices returns what was posted so far, without what the catalog posted.
func (w *world) notices() []melodyud.Notice {
	w.t.Helper()
	rows, err := w.DB.Query(w.t.Context(), `SELECT event FROM outbox WHERE topic = ? ORDER BY seq`, melodyud.TopicRights)
	w.Must(err)
	defer rows.Close()
	var all []melodyud.Notice
	for rows.Next() {
		var body []byte
		var e melodyud.Event
		var n melodyud.Notice
		w.Must(rows.Scan(&body))
		w.Must(json.Unmarshal(body, &e))
		w.Must(json.Unmarshal(e.Data, &n))
		all = append(all, n)
	}
	w.Must(rows.Err())
	return all
}

func TestOperatorsRevokeOneThing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	track := w.Finish(w.Upload(nora).ID)
	server := w.serve()
	for _, one := range []struct {
		body  string
		scope melodyud.NoticeScope
		id    string
	}{
		{`{"session":"ses_1"}`, melodyud.NoticeSession, "ses_1"},
		{`{"account":"acc_1"}`, melodyud.NoticeAccount, "acc_1"},
		{`{"user":"usr_01LISA"}`, melodyud.NoticeAccount, w.names.Account(lisa.User)},
		{`{"track":"` + string(track.ID) + `"}`, melodyud.NoticeTrack, string(track.ID)},
		{`{"key":"k1","reason":"A key\nleaked."}`, melodyud.NoticeKey, "k1"},
	} {
		status, body, _ := server.Do("Olga", "POST", "/v1/revocations", one.body)
		all := w.notices()
		n := all[len(all)-1]
		if status != 202 || n.Scope != one.scope || n.ID != one.id || !n.Before.Equal(w.Clock.Now()) || n.Code != "playback.revoked" || n.Text == "" {
			t.Errorf("%s: %d %s, %+v", one.body, status, body, n)
		}
		if one.scope == melodyud.NoticeTrack && (len(n.Releases) != 1 || n.Releases[0] != track.Release.ID) {
			t.Errorf("a track's notice names %v", n.Releases)
		}
		if one.scope == melodyud.NoticeKey && n.Text != "A key leaked." {
			t.Errorf("the reason is %q", n.Text)
		}
	}
}

func TestOtherRevocationsAreRefusedInWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server := w.serve()
	for _, one := range []struct {
		who, body string
		status    int
		code      string
	}{
		{"", `{"session":"ses_1"}`, 401, "auth.missing"},
		{"Lisa", `{"session":"ses_1"}`, 403, "auth.role"},
		{"Nora", `{"session":"ses_1"}`, 403, "auth.role"},
		{"Olga", `{}`, 400, "revocation.what"},
		{"Olga", `{"session":"ses_1","key":"k1"}`, 400, "revocation.what"},
		{"Olga", `{"user":"usr_1","account":"acc_1"}`, 400, "revocation.what"},
		{"Olga", `{"session":"a b"}`, 400, "revocation.name"},
		{"Olga", `{"user":"a\nb"}`, 400, "revocation.name"},
		{"Olga", `{"track":"` + string(melodyud.NewTrackID(w.Clock.Now())) + `"}`, 404, "track.not-found"},
		{"Olga", `{"tracks":"x"}`, 422, "request.invalid"},
	} {
		status, body, _ := server.Do(one.who, "POST", "/v1/revocations", one.body)
		if status != one.status || !strings.Contains(body, one.code) {
			t.Errorf("%s as %q: %d %s", one.body, one.who, status, body)
		}
	}
	if n := len(w.notices()); n != 0 {
		t.Errorf("%d notices were posted", n)
	}
}
