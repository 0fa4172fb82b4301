package ticket_test

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/ticket"
)

var full = ticket.Claims{
	Expires: claims.Expires, Prefix: claims.Prefix, Session: claims.Session, Tier: ticket.Free,
	Issued: before, Account: "acc_1", Device: "phone", Ads: ticket.HouseAds, Skips: 6,
	Renditions: ticket.RenditionsOf("aac-64", "aac-96"), Countries: ticket.OnlyIn("FR", "DE", "FR"),
}

func TestSecondVersionMatchesItsOwnTestVector(t *testing.T) { // TOK-1
	t.Parallel()
	token := sign(t, ring(t, oldKey), full)
	const want = "v2\nk1\n1767225600\n/a/trk_01/\nsess_42\nfree\n1767225000000\nacc_1\nphone\nhouse\n6\naac-64,aac-96\n+DEFR\n"
	if raw := mustDecode(t, token); raw != want {
		t.Errorf("message %q", raw)
	}
	if _, mac, _ := strings.Cut(token, "."); mac != "Tw_9TFhmysMNqYH2pL337zK5CyeUroO3vxiGX0kSsyU" {
		t.Errorf("mac %s", mac)
	}
}

func TestClaimsOfBothVersionsAreReadBackAsTheyWere(t *testing.T) { // TOK-1
	t.Parallel()
	r := ring(t, oldKey)
	bare := full
	bare.Account, bare.Device, bare.Ads, bare.Skips, bare.Renditions, bare.Countries = "", "", "", ticket.Unlimited, "", ""
	for _, c := range []ticket.Claims{claims, full, bare} {
		got, err := r.Verify(sign(t, r, c), "/a/trk_01/x", before)
		c.KeyID, c.Expires = "k1", c.Expires.UTC()
		if c.Issued.IsZero() {
			c.Skips = ticket.Unlimited
		} else {
			c.Issued = c.Issued.UTC()
		}
		if err != nil || got != c {
			t.Errorf("%+v came back as %+v, %v", c, got, err)
		}
	}
}

func TestMoreClaimsThanTheFirstVersionHasAreNotLost(t *testing.T) {
	t.Parallel()
	for _, change := range []func(*ticket.Claims){
		func(c *ticket.Claims) { c.Issued = time.Time{} },
		func(c *ticket.Claims) { c.Issued = time.Unix(0, 0) },
		func(c *ticket.Claims) { c.Expires = c.Issued.Add(ticket.MaxLife + 2*time.Second) },
		func(c *ticket.Claims) { c.Account = "a\nb" },
		func(c *ticket.Claims) { c.Device = "a b" },
		func(c *ticket.Claims) { c.Ads = "\n" },
		func(c *ticket.Claims) { c.Skips = -2 },
		func(c *ticket.Claims) { c.Renditions = "aac-64,,aac-96" },
		func(c *ticket.Claims) { c.Countries = "-" },
		func(c *ticket.Claims) { c.Countries = "+FRDE" },
		func(c *ticket.Claims) { c.Countries = "+DEDE" },
		func(c *ticket.Claims) { c.Countries = "+de" },
		func(c *ticket.Claims) { c.Countries = "DE" },
		func(c *ticket.Claims) { c.Countries = "+D" },
		func(c *ticket.Claims) { c.Renditions = ticket.RenditionsOf(slices.Repeat([]string{"aac-64"}, 300)...) },
	} {
		c := full
		change(&c)
		if _, err := ring(t, oldKey).Sign(c); !errors.Is(err, melodyud.ErrInvalid) {
			t.Errorf("%+v was signed", c)
		}
	}
}

func TestALineMoreOrLessIsNoTicket(t *testing.T) { // TOK-1
	t.Parallel()
	r := ring(t, oldKey)
	one := mustDecode(t, sign(t, r, claims))
	two := mustDecode(t, sign(t, r, full))
	for _, msg := range []string{
		"", "v2\n", "v1\n", one + "\n", two + "\n", two[:len(two)-1], strings.TrimPrefix(two, "v2\n"),
		"v1\n" + strings.TrimPrefix(two, "v2\n"), "v2\n" + strings.TrimPrefix(one, "v1\n"), "v3\n" + strings.TrimPrefix(two, "v2\n"),
	} {
		token := base64.RawURLEncoding.EncodeToString([]byte(msg)) + "." + strings.Split(sign(t, r, full), ".")[1]
		if _, err := r.Read(token); !errors.Is(err, melodyud.ErrForbidden) {
			t.Errorf("%q was read", msg)
		}
	}
}

func TestAccountsAreNamedWithoutTellingWhoTheyAre(t *testing.T) { // CE-4
	t.Parallel()
	names, err := ticket.NewListeners(oldKey)
	if err != nil {
		t.Fatal(err)
	}
	others, err := ticket.NewListeners(newKey)
	if err != nil {
		t.Fatal(err)
	}
	nora := names.Account("usr_NORA")
	if nora != names.Account("usr_NORA") || nora == names.Account("usr_EMIL") || nora == others.Account("usr_NORA") ||
		strings.Contains(nora, "NORA") || names.Account("") != "" {
		t.Errorf("account %q", nora)
	}
	c := full
	c.Account = nora
	sign(t, ring(t, oldKey), c)
}

func TestRenditionsNameWhatATicketOpens(t *testing.T) {
	t.Parallel()
	if !ticket.RenditionsOf().Has("flac") || !full.Renditions.Has("aac-96") {
		t.Error("a rendition is missing")
	}
	for _, other := range []string{"flac", "aac-9", "aac-964", "", "aac-64,aac-96"} {
		if full.Renditions.Has(other) {
			t.Errorf("%q is open", other)
		}
	}
}

func TestCountriesAllowWhatTheyName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule ticket.Countries
		yes  []string
		no   []string
	}{
		{"", []string{"DE", ""}, nil},
		{ticket.OnlyIn("DE", "FR"), []string{"DE", "FR"}, []string{"US", "EF", ""}},
		{ticket.NotIn("DE", "FR"), []string{"US", "EF", ""}, []string{"DE", "FR"}},
		{ticket.OnlyIn(), nil, []string{"DE", ""}},
		{ticket.NotIn(), []string{"DE", ""}, nil},
	} {
		if !c.rule.Sound() {
			t.Errorf("%q is not sound", c.rule)
		}
		for _, code := range c.yes {
			if !c.rule.Allows(code) {
				t.Errorf("%q denies %q", c.rule, code)
			}
		}
		for _, code := range c.no {
			if c.rule.Allows(code) {
				t.Errorf("%q allows %q", c.rule, code)
			}
		}
	}
}

func TestTwoRulesTogetherAllowWhatBothAllow(t *testing.T) {
	t.Parallel()
	rules := []ticket.Countries{
		"", ticket.OnlyIn(), ticket.OnlyIn("DE", "FR"), ticket.OnlyIn("FR", "US"), ticket.NotIn("FR"), ticket.NotIn("DE", "US"),
	}
	for _, a := range rules {
		for _, b := range rules {
			both := a.And(b)
			for _, code := range []string{"DE", "FR", "US", "JP", ""} {
				if both.Allows(code) != (a.Allows(code) && b.Allows(code)) {
					t.Errorf("%q and %q is %q: wrong for %q", a, b, both, code)
				}
			}
			if !both.Sound() {
				t.Errorf("%q and %q is %q", a, b, both)
			}
		}
	}
}
