package main

import (
	"strings"
	"testing"
)

func TestOperatorsTakeRightsBackByCommand(t *testing.T) { // TOK-5
	t.Parallel()
	p := serving(t)
	if out := p.must("revoke", "--session", "ses_1", "--reason", "A leak."); !strings.Contains(out, "session ses_1") {
		t.Errorf("revoke says %q", out)
	}
	if r := p.run("revoke", "--track", "trk_none"); r.code != exitFailed || !strings.Contains(r.err, "track.not-found") {
		t.Errorf("no track: %+v", r)
	}
	if r := p.run("revoke"); r.code != exitFailed || r.err == "" {
		t.Errorf("nothing to revoke: %+v", r)
	}
	old := decode[struct{ Keys []ticketKey }](t, p.must("keys", "list", "--json")).Keys
	if len(old) != 1 || !strings.Contains(p.must("keys"), old[0].ID) {
		t.Fatalf("keys %+v", old)
	}
	if out := p.must("keys", "rotate"); !strings.Contains(out, "signs in a few seconds") {
		t.Errorf("rotate says %q", out)
	}
	if r := p.run("keys", "retire", old[0].ID); r.code != exitFailed || !strings.Contains(r.err, "ticket-key.") {
		t.Errorf("a key in use: %+v", r)
	}
	fresh := decode[struct{ Keys []ticketKey }](t, p.must("keys", "list", "--json")).Keys
	if len(fresh) != 2 {
		t.Fatalf("keys %+v", fresh)
	}
}
