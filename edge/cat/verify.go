package cat

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Reason is why a token does not let a request pass.
type Reason string

// The reasons. Invalid covers everything about a token that only its issuer could
// have written otherwise: bearers need not learn more.
const (
	Missing     Reason = "missing"
	Invalid     Reason = "invalid"
	Expired     Reason = "expired"
	NotYet      Reason = "not-yet"
	WrongURI    Reason = "uri"
	WrongMethod Reason = "method"
	WrongPlace  Reason = "place" // address, network or country
	WrongOther  Reason = "other" // protocol or headers
	Replayed    Reason = "replayed"
	Busy        Reason = "busy" // too many tokens that may be used once are in use
)

// Error is a refusal. Err is for the log.
type Error struct {
	Reason Reason
	Err    error
}

func (e *Error) Error() string { return fmt.Sprintf("cat: %s: %v", e.Reason, e.Err) }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

func refuse(r Reason, format string, args ...any) error {
	return &Error{Reason: r, Err: fmt.Errorf(format, args...)}
}

// Config of a Verifier.
type Config struct {
	Keys     []Key    // required, with ids of their own
	Issuers  []string // whose tokens are accepted; default: everybody's who has a key
	Audience string   // that tokens which name an audience must name; default: none is accepted
	// Skew is how far clocks may be apart. Default 60 s.
	Skew time.Duration
	// Once bounds how many tokens are remembered that may be used once. Beyond it,
	// further ones are refused until some have expired. Default 100,000.
	Once int
	Now  func() time.Time // default time.Now
}

// Verifier checks tokens. It is safe for concurrent use.
type Verifier struct {
	c    Config
	once *once
}

// NewVerifier returns a verifier. Keys that cannot check anything, or are named
// alike, are an error.
func NewVerifier(c Config) (*Verifier, error) {
	if len(c.Keys) == 0 {
		return nil, errors.New("cat: a verifier needs a key")
	}
	seen := map[string]bool{}
	for i := range c.Keys {
		if err := c.Keys[i].check(); err != nil {
			return nil, err
		}
		if seen[c.Keys[i].ID] {
			return nil, fmt.Errorf("cat: two keys are called %q", c.Keys[i].ID)
		}
		seen[c.Keys[i].ID] = true
	}
	if c.Skew <= 0 {
		c.Skew = time.Minute
	}
	if c.Once <= 0 {
		c.Once = 100_000
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Verifier{c: c, once: newOnce(c.Once)}, nil
}

// Request is what a token is held against.
type Request struct {
	Method   string
	URL      *url.URL    // whole: with scheme and host
	Header   http.Header // for cath
	From     netip.Addr
	Country  string // ISO 3166-1 of From; "": not known
	Protocol string // of ALPN: "h2", "h3", "http/1.1"; "": none was negotiated
	// Parameter is the query parameter that carries the token, which is no part of
	// the address that tokens speak of; "": none does.
	Parameter string
}

// RequestOf returns what a token is held against in an HTTP request that was sent to
// base, such as "https://edge.example.org"; empty: what the request itself says.
func RequestOf(r *http.Request, base string) Request {
	u := *r.URL
	u.Scheme, u.Host = "http", r.Host
	if r.TLS != nil {
		u.Scheme = "https"
	}
	if b, err := url.Parse(base); err == nil && b.Host != "" {
		u.Scheme, u.Host = b.Scheme, b.Host
	}
	req := Request{Method: r.Method, URL: &u, Header: r.Header, Protocol: protocolOf(r.TLS, r.ProtoMajor)}
	if from, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		req.From = from.Addr().Unmap()
	}
	return req
}

func protocolOf(s *tls.ConnectionState, major int) string {
	switch {
	case s != nil && s.NegotiatedProtocol != "":
		return s.NegotiatedProtocol
	case major == 3:
		return "h3"
	case major == 2:
		return "h2"
	}
	return "http/1.1"
}

// Result is what a good token said.
type Result struct {
	Claims
	Key    string // that proved it
	Reused bool   // it was used before, which ReplayDetected wants to be told
}

// Verify returns what a token says, if one of the keys proves it and it lets the
// request pass; else an *Error. It is pure but for tokens that may be used once.
func (v *Verifier) Verify(token string, r Request) (*Result, error) {
	if token == "" {
		return nil, refuse(Missing, "no token")
	}
	c, k, err := open(token, v.c.Keys)
	if err != nil {
		return nil, &Error{Invalid, err}
	}
	if err := v.current(c, k); err != nil {
		return nil, err
	}
	if err := c.admits(r); err != nil {
		return nil, err
	}
	reused, err := v.used(c)
	if err != nil {
		return nil, err
	}
	return &Result{Claims: *c, Key: k.ID, Reused: reused}, nil
}

// current checks who issued the token, for whom, and when it is good.
func (v *Verifier) current(c *Claims, k *Key) error {
	now := v.c.Now()
	switch {
	case k.Issuer != "" && c.Issuer != k.Issuer:
		return refuse(Invalid, "issuer %q with the key of %q", c.Issuer, k.Issuer)
	case len(v.c.Issuers) > 0 && !slices.Contains(v.c.Issuers, c.Issuer):
		return refuse(Invalid, "issuer %q", c.Issuer)
	case len(c.Audience) > 0 && (v.c.Audience == "" || !slices.Contains(c.Audience, v.c.Audience)):
		return refuse(Invalid, "audience %q", c.Audience)
	case c.Expires.IsZero():
		return refuse(Invalid, "no expiry")
	case now.After(c.Expires.Add(v.c.Skew)):
		return refuse(Expired, "since %v", c.Expires)
	case now.Add(v.c.Skew).Before(c.NotBefore):
		return refuse(NotYet, "before %v", c.NotBefore)
	}
	return nil
}

// admits holds a request against what the token says of it.
func (c *Claims) admits(r Request) error {
	if r.URL == nil || !unambiguous(r.URL.EscapedPath()) {
		return refuse(WrongURI, "a path with two readings")
	}
	if len(c.URI) > 0 {
		query := without(r.URL.RawQuery, r.Parameter)
		for p, match := range c.URI {
			if !match.holds(part(r.URL, p, query)) {
				return refuse(WrongURI, "part %d", p)
			}
		}
	}
	if len(c.Methods) > 0 && !slices.Contains(c.Methods, r.Method) {
		return refuse(WrongMethod, "%s", r.Method)
	}
	if len(c.Networks)+len(c.Systems) > 0 && !c.near(r.From) {
		return refuse(WrongPlace, "address %v", r.From)
	}
	if len(c.Countries) > 0 && (r.Country == "" || !slices.Contains(c.Countries, r.Country)) {
		return refuse(WrongPlace, "country %q", r.Country)
	}
	if len(c.Protocols) > 0 && !slices.Contains(c.Protocols, r.Protocol) {
		return refuse(WrongOther, "protocol %q", r.Protocol)
	}
	for name, match := range c.Headers {
		values := r.Header[name]
		if len(values) == 0 || slices.ContainsFunc(values, func(v string) bool { return !match.holds(v) }) {
			return refuse(WrongOther, "header %s", name)
		}
	}
	return nil
}

func (c *Claims) near(from netip.Addr) bool {
	return from.IsValid() && slices.ContainsFunc(c.Networks, func(p netip.Prefix) bool { return p.Contains(from.Unmap()) })
}

// without returns a query as it is written, but for one parameter.
func without(query, parameter string) string {
	if parameter == "" {
		return query
	}
	var rest []string
	for one := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(one, "=")
		if plain, err := url.QueryUnescape(name); err != nil || plain != parameter {
			rest = append(rest, one)
		}
	}
	return strings.Join(rest, "&")
}

func (v *Verifier) used(c *Claims) (reused bool, err error) {
	if c.Replay == ReplayAllowed {
		return false, nil
	}
	if len(c.ID) == 0 {
		return false, refuse(Invalid, "used once, but without cti")
	}
	fresh, room := v.once.first(c.Issuer+"\n"+string(c.ID), c.Expires.Add(v.c.Skew), v.c.Now())
	switch {
	case c.Replay == ReplayDetected:
		return !fresh && room, nil
	case !room:
		return false, refuse(Busy, "too many tokens are in use")
	case !fresh:
		return false, refuse(Replayed, "cti %x", c.ID)
	}
	return false, nil
}

// Renew returns the token that follows a good one, signed with the same key; "" if
// the token does not ask for it now or the key cannot sign. One that may be used
// once gets a name of its own.
func (v *Verifier) Renew(r *Result) (string, error) {
	now := v.c.Now()
	if !r.Due(now) {
		return "", nil
	}
	i := slices.IndexFunc(v.c.Keys, func(k Key) bool { return k.ID == r.Key && k.signs() })
	if i < 0 {
		return "", nil
	}
	next := r.Renewed(now)
	if next.Replay != ReplayAllowed {
		next.ID = make([]byte, 16)
		_, _ = rand.Read(next.ID) // never fails: it aborts the process instead
	}
	return Sign(next, v.c.Keys[i])
}

// TokenOf finds the token of a request: in the header, the cookie, or a query
// parameter that is named, in this order. It is "" where there is none.
func TokenOf(r *http.Request, parameter string) string {
	if values := r.Header.Values(DefaultName); len(values) == 1 {
		return strings.TrimSpace(values[0])
	}
	if c, err := r.Cookie(DefaultName); err == nil {
		return c.Value
	}
	if parameter != "" && strings.Contains(r.URL.RawQuery, parameter) {
		return r.URL.Query().Get(parameter)
	}
	return ""
}
