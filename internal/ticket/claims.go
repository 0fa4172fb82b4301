package ticket

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

// Claims are what a ticket says. The fields from Issued on are of the second
// version; in a ticket of the first one they have their zero values, but for Skips,
// which is Unlimited.
type Claims struct {
	KeyID   string    // which key signed; filled by Sign
	Expires time.Time // whole seconds
	Prefix  string    // path prefix the ticket is good for; begins and ends with "/"
	Session string    // one play session, for telemetry and stream limits
	Tier    Tier

	Issued     time.Time  // whole milliseconds; zero: of the first version, older than any notice
	Account    string     // names the listener without telling who it is; "": not known
	Device     string     // names the device among those of the account; "": not known
	Ads        Ads        // which ads go with it
	Skips      int        // skips allowed in an hour, or Unlimited
	Renditions Renditions // which renditions it opens; "": what the tier has
	Countries  Countries  // where it plays; "": everywhere
}

// Unlimited is the number of skips that is never used up.
const Unlimited = -1

// MaxLife is the longest a ticket of the second version lives: notices that void
// tickets need not be kept longer. What plays longer has its ticket renewed.
const MaxLife = 7 * 24 * time.Hour

// Ads is a policy on ads.
type Ads string

// The policies. A ticket of the first version says nothing, which means none.
const (
	NoAds    Ads = "none"
	HouseAds Ads = "house"
	// BetweenAds are house ads between tracks that play as one, but not before them:
	// for whoever just heard one.
	BetweenAds Ads = "between"
)

// Renditions is a set of names of renditions, joined with ",": a string, so that
// claims can be compared and need no memory of their own.
type Renditions string

// RenditionsOf returns the set of names.
func RenditionsOf(names ...string) Renditions { return Renditions(strings.Join(names, ",")) }

// Has reports whether the set opens a rendition. The empty set opens all: the tier
// decides.
func (r Renditions) Has(name string) bool {
	if r == "" {
		return true
	}
	for one := range strings.SplitSeq(string(r), ",") {
		if one == name {
			return true
		}
	}
	return false
}

func (r Renditions) sound() bool {
	if r == "" {
		return true
	}
	for one := range strings.SplitSeq(string(r), ",") {
		if !plain(one) {
			return false
		}
	}
	return true
}

// The first and second versions' first lines, and how many lines follow.
const (
	version1, lines1 = "v1", 5
	version2, lines2 = "v2", 12
)

// message is what is signed: a line for each claim, in the order of parse.
func (c Claims) message() []byte {
	lines := []string{version1, c.KeyID, strconv.FormatInt(c.Expires.Unix(), 10), c.Prefix, c.Session, string(c.Tier)}
	if !c.Issued.IsZero() {
		lines[0] = version2
		lines = append(lines, strconv.FormatInt(c.Issued.UnixMilli(), 10), c.Account, c.Device, string(c.Ads),
			strconv.Itoa(c.Skips), string(c.Renditions), string(c.Countries))
	}
	return []byte(strings.Join(lines, "\n") + "\n")
}

// sound reports whether parse reads back from message what is in c.
func (c Claims) sound() bool {
	if !cleanPrefix(c.Prefix) || !plain(c.Session) || !plain(string(c.Tier)) {
		return false
	}
	if c.Issued.IsZero() {
		c.KeyID, c.Expires, c.Prefix, c.Session, c.Tier = "", time.Time{}, "", "", ""
		return c == Claims{} || c == Claims{Skips: Unlimited}
	}
	return c.Issued.UnixMilli() > 0 && c.Expires.Sub(c.Issued) <= MaxLife+time.Second && plainOrNone(c.Account) && plainOrNone(c.Device) && plainOrNone(string(c.Ads)) &&
		c.Skips >= Unlimited && c.Renditions.sound() && c.Countries.Sound()
}

func plainOrNone(s string) bool { return s == "" || plain(s) }

func parse(msg []byte) (c Claims, ok bool) {
	n := bytes.Count(msg, []byte{'\n'})
	rest, found := strings.CutPrefix(string(msg), version1+"\n")
	if !found {
		rest, found = strings.CutPrefix(rest, version2+"\n")
		found = found && n == 1+lines2
	} else {
		found = n == 1+lines1
	}
	if !found || !strings.HasSuffix(rest, "\n") {
		return Claims{}, false
	}
	next := func() (line string) {
		line, rest, _ = strings.Cut(rest, "\n")
		return line
	}
	c = Claims{KeyID: next(), Skips: Unlimited}
	c.Expires, ok = second(next())
	c.Prefix, c.Session, c.Tier = next(), next(), Tier(next())
	if !ok || !cleanPrefix(c.Prefix) {
		return Claims{}, false
	}
	if n == 1+lines1 {
		return c, true
	}
	issued, err := strconv.ParseInt(next(), 10, 64)
	c.Issued = time.UnixMilli(issued).UTC()
	c.Account, c.Device, c.Ads = next(), next(), Ads(next())
	skips, err2 := strconv.Atoi(next())
	c.Skips = skips
	c.Renditions, c.Countries = Renditions(next()), Countries(next())
	return c, err == nil && err2 == nil && c.sound()
}

func second(s string) (time.Time, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return time.Unix(n, 0).UTC(), err == nil
}

// Opens returns nil if c is good for path at now (TOK-3, TOK-4).
func (c *Claims) Opens(path string, now time.Time) error {
	if !cleanPath(path) || !strings.HasPrefix(path, c.Prefix) {
		return errBad
	}
	if now.After(c.Expires.Add(Skew)) {
		return errExpired
	}
	return nil
}

// Countries is a rule on where something plays: "" everywhere, "+" and codes only
// there, "-" and codes everywhere but there. A code is the two capital letters of
// ISO 3166-1; codes are in order and follow each other without a sign between, so
// that equal rules are equal strings. "+" alone is nowhere.
type Countries string

// OnlyIn returns the rule that allows some countries.
func OnlyIn(codes ...string) Countries { return "+" + pack(codes) }

// NotIn returns the rule that denies some countries.
func NotIn(codes ...string) Countries {
	if len(codes) == 0 {
		return ""
	}
	return "-" + pack(codes)
}

func pack(codes []string) Countries {
	sorted := slices.Compact(slices.Sorted(slices.Values(codes)))
	return Countries(strings.Join(sorted, ""))
}

// Sound reports whether c is written as the type says.
func (c Countries) Sound() bool {
	if c == "" {
		return true
	}
	codes := c.codes()
	if c[0] != '+' && (c[0] != '-' || codes == "") || len(codes)%2 != 0 {
		return false
	}
	for i := 0; i < len(codes); i++ {
		if codes[i] < 'A' || codes[i] > 'Z' {
			return false
		}
	}
	for i := 2; i < len(codes); i += 2 {
		if codes[i-2:i] >= codes[i:i+2] {
			return false
		}
	}
	return true
}

func (c Countries) codes() string { return string(c[min(1, len(c)):]) }

// Codes returns the countries the rule names, in order.
func (c Countries) Codes() []string {
	var all []string
	for codes := c.codes(); len(codes) >= 2; codes = codes[2:] {
		all = append(all, codes[:2])
	}
	return all
}

// Allows reports whether the rule lets something play in country, a code, or ""
// where it is not known: then only a rule that denies nobody, or names who is
// denied, lets it play.
func (c Countries) Allows(country string) bool {
	if c == "" {
		return true
	}
	named := false
	for codes := c.codes(); len(codes) >= 2 && !named; codes = codes[2:] {
		named = codes[:2] == country
	}
	return named == (c[0] == '+')
}

// The refusals by country. A rule that names who may hear a track keeps away those
// of whom nobody knows where they are; one that names who may not lets them in.
var (
	errCountry = melodyud.Refuse(melodyud.ErrForbidden, "playback.territory",
		"This track has not been released for the country you are in.")
	errCountryUnknown = melodyud.Refuse(melodyud.ErrForbidden, "playback.country-unknown",
		"This track has been released for some countries only, and we cannot tell which one you are in.")
)

// Check returns nil if the rule lets something play in country, or else the refusal.
func (c Countries) Check(country string) error {
	switch {
	case c.Allows(country):
		return nil
	case country == "":
		return errCountryUnknown
	}
	return errCountry
}

// And returns the rule that allows what both allow.
func (c Countries) And(d Countries) Countries {
	switch {
	case c == "" || c == d:
		return d
	case d == "":
		return c
	case c[0] == '-' && d[0] == '-':
		return NotIn(append(c.Codes(), d.Codes()...)...)
	case c[0] == '-':
		c, d = d, c
	}
	var both []string
	for _, code := range c.Codes() {
		if d.Allows(code) {
			both = append(both, code)
		}
	}
	return OnlyIn(both...)
}
