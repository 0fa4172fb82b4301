// Package cat issues and checks Common Access Tokens (CTA-5007): CBOR Web Tokens
// (RFC 8392) in COSE envelopes (RFC 9052) that say which addresses a bearer may ask
// for, how, from where and until when. It depends on nothing else of the house.
//
// What a token says and this package cannot hold it to makes it refused, never
// ignored: a verifier that passes over a restriction gives more than was granted.
package cat

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// Claims are what a token says. Zero values are claims that are absent.
type Claims struct {
	Issuer    string    // iss
	Subject   string    // sub
	Audience  []string  // aud
	Expires   time.Time // exp; whole seconds, required by Verifier
	NotBefore time.Time // nbf
	Issued    time.Time // iat
	ID        []byte    // cti; required with ReplayForbidden and ReplayDetected

	Replay    Replay         // catreplay
	Networks  []netip.Prefix // catnip: addresses and prefixes
	Systems   []uint32       // catnip: autonomous systems; none is ever matched here
	URI       map[Part]Match // catu: all must match
	Methods   []string       // catm: one must be the request's
	Protocols []string       // catalpn: one must be the connection's
	Headers   map[string]Match
	Countries []string // catgeoiso3166: one must be where the request comes from
	Renewal   *Renewal // catr
}

// The labels of claims (RFC 8392 §4, CTA-5007 §4).
const (
	labelIss       = 1
	labelSub       = 2
	labelAud       = 3
	labelExp       = 4
	labelNbf       = 5
	labelIat       = 6
	labelCti       = 7
	labelReplay    = 308
	labelVersion   = 310
	labelNetworks  = 311
	labelURI       = 312
	labelMethods   = 313
	labelALPN      = 314
	labelHeaders   = 315
	labelCountries = 316
	labelIfData    = 320 // tells somebody else something: nothing to hold the bearer to
	labelIf        = 322 // what to answer when the token is refused: the verifier's caller decides
	labelRenewal   = 323
)

// Replay says whether a token may be used more than once.
type Replay int

// The values of catreplay.
const (
	ReplayAllowed   Replay = 0
	ReplayForbidden Replay = 1 // the second use is refused
	ReplayDetected  Replay = 2 // the second use is told, and allowed
)

// RenewalType is how a renewed token reaches the bearer.
type RenewalType int

// The values of catr's type.
const (
	RenewAutomatic RenewalType = 0 // as it came
	RenewCookie    RenewalType = 1
	RenewHeader    RenewalType = 2
	RenewRedirect  RenewalType = 3
)

// Renewal is the claim catr: that whoever checks the token may issue the next one.
type Renewal struct {
	Type         RenewalType
	Add          time.Duration // expadd: how long the next token lives; whole seconds
	Deadline     time.Duration // renew when less than this is left; 0: always
	CookieName   string        // default DefaultName
	HeaderName   string        // default DefaultName
	CookieParams []string
	HeaderParams []string
	Code         int // of the redirect
}

// DefaultName is the name of the header and the cookie that carry a token.
const DefaultName = "CTA-Common-Access-Token"

// Due reports whether a token of c had best be renewed at now.
func (c *Claims) Due(now time.Time) bool {
	return c.Renewal != nil && (c.Renewal.Deadline == 0 || c.Expires.Sub(now) < c.Renewal.Deadline)
}

// Renewed returns the claims of the next token, issued at now.
func (c *Claims) Renewed(now time.Time) Claims {
	next := *c
	next.Issued = now.Truncate(time.Second)
	next.Expires = next.Issued.Add(c.Renewal.Add)
	return next
}

// Tags of addresses (RFC 9164).
const (
	tagIPv4 = 52
	tagIPv6 = 54
)

// encode returns the claims as a CBOR map.
func (c *Claims) encode() ([]byte, error) {
	m := map[int]any{labelVersion: 1}
	put(m, labelIss, c.Issuer, c.Issuer != "")
	put(m, labelSub, c.Subject, c.Subject != "")
	if len(c.Audience) == 1 {
		m[labelAud] = c.Audience[0]
	} else {
		put(m, labelAud, c.Audience, len(c.Audience) > 0)
	}
	put(m, labelExp, c.Expires.Unix(), !c.Expires.IsZero())
	put(m, labelNbf, c.NotBefore.Unix(), !c.NotBefore.IsZero())
	put(m, labelIat, c.Issued.Unix(), !c.Issued.IsZero())
	put(m, labelCti, c.ID, len(c.ID) > 0)
	put(m, labelReplay, int(c.Replay), c.Replay != ReplayAllowed)
	put(m, labelMethods, c.Methods, len(c.Methods) > 0)
	put(m, labelCountries, c.Countries, len(c.Countries) > 0)
	put(m, labelNetworks, c.networks(), len(c.Networks)+len(c.Systems) > 0)
	if len(c.Protocols) > 0 {
		protocols := make([][]byte, len(c.Protocols))
		for i, p := range c.Protocols {
			protocols[i] = []byte(p)
		}
		m[labelALPN] = protocols
	}
	if err := c.putMatches(m); err != nil {
		return nil, err
	}
	if c.Renewal != nil {
		m[labelRenewal] = c.Renewal.encode()
	}
	return encoder.Marshal(m)
}

func put(m map[int]any, label int, v any, wanted bool) {
	if wanted {
		m[label] = v
	}
}

func (c *Claims) putMatches(m map[int]any) error {
	uri := map[int]any{}
	for part, match := range c.URI {
		encoded, err := match.encode()
		if err != nil {
			return err
		}
		uri[int(part)] = encoded
	}
	put(m, labelURI, uri, len(uri) > 0)
	headers := map[string]any{}
	for name, match := range c.Headers {
		encoded, err := match.encode()
		if err != nil {
			return err
		}
		headers[name] = encoded
	}
	put(m, labelHeaders, headers, len(headers) > 0)
	return nil
}

func (c *Claims) networks() []any {
	var all []any
	for _, p := range c.Networks {
		tag := cbor.Tag{Number: tagIPv6}
		if p.Addr().Is4() {
			tag.Number = tagIPv4
		}
		tag.Content = p.Addr().AsSlice()
		if p.Bits() != p.Addr().BitLen() {
			tag.Content = []any{p.Bits(), p.Masked().Addr().AsSlice()}
		}
		all = append(all, tag)
	}
	for _, as := range c.Systems {
		all = append(all, as)
	}
	return all
}

func (r *Renewal) encode() map[int]any {
	m := map[int]any{0: int(r.Type), 1: int64(r.Add / time.Second)}
	put(m, 2, int64(r.Deadline/time.Second), r.Deadline != 0)
	put(m, 3, r.CookieName, r.CookieName != "")
	put(m, 4, r.HeaderName, r.HeaderName != "")
	put(m, 5, r.CookieParams, len(r.CookieParams) > 0)
	put(m, 6, r.HeaderParams, len(r.HeaderParams) > 0)
	put(m, 7, r.Code, r.Code != 0)
	return m
}

// decodeClaims reads what encode wrote, and what other issuers write. A claim that
// it does not know is an error.
func decodeClaims(payload []byte) (*Claims, error) {
	var m map[int64]cbor.RawMessage
	if err := decoder.Unmarshal(payload, &m); err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	c := &Claims{}
	for label, raw := range m {
		if err := c.take(label, raw); err != nil {
			return nil, fmt.Errorf("claim %d: %w", label, err)
		}
	}
	return c, nil
}

func (c *Claims) take(label int64, raw cbor.RawMessage) (err error) {
	switch label {
	case labelIss:
		return decoder.Unmarshal(raw, &c.Issuer)
	case labelSub:
		return decoder.Unmarshal(raw, &c.Subject)
	case labelAud:
		c.Audience, err = texts(raw)
	case labelExp:
		c.Expires, err = second(raw)
	case labelNbf:
		c.NotBefore, err = second(raw)
	case labelIat:
		c.Issued, err = second(raw)
	case labelCti:
		return decoder.Unmarshal(raw, &c.ID)
	case labelIf, labelIfData:
	default:
		return c.takeCAT(label, raw)
	}
	return err
}

func (c *Claims) takeCAT(label int64, raw cbor.RawMessage) (err error) {
	switch label {
	case labelVersion:
		var v int
		if err = decoder.Unmarshal(raw, &v); err == nil && v != 1 {
			err = fmt.Errorf("version %d", v)
		}
	case labelReplay:
		if err = decoder.Unmarshal(raw, &c.Replay); err == nil && (c.Replay < ReplayAllowed || c.Replay > ReplayDetected) {
			err = fmt.Errorf("replay %d", c.Replay)
		}
	case labelNetworks:
		err = c.takeNetworks(raw)
	case labelURI:
		c.URI, err = decodeURI(raw)
	case labelMethods:
		c.Methods, err = listed(raw)
	case labelALPN:
		c.Protocols, err = protocols(raw)
	case labelHeaders:
		c.Headers, err = decodeHeaders(raw)
	case labelCountries:
		c.Countries, err = listed(raw)
	case labelRenewal:
		c.Renewal, err = decodeRenewal(raw)
	default:
		err = fmt.Errorf("not supported")
	}
	return err
}

// texts reads one text or several.
func texts(raw cbor.RawMessage) ([]string, error) {
	var one string
	if err := decoder.Unmarshal(raw, &one); err == nil {
		return []string{one}, nil
	}
	return listed(raw)
}

// listed reads texts of which there must be one: nothing matches an empty list, and
// here an empty one is an absent claim.
func listed(raw cbor.RawMessage) ([]string, error) {
	var all []string
	err := decoder.Unmarshal(raw, &all)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("empty list")
	}
	return all, err
}

// protocols reads names of ALPN, which are bytes to some issuers and text to others.
func protocols(raw cbor.RawMessage) ([]string, error) {
	var bytes [][]byte
	if err := decoder.Unmarshal(raw, &bytes); err != nil || len(bytes) == 0 {
		return listed(raw)
	}
	all := make([]string, len(bytes))
	for i, b := range bytes {
		all[i] = string(b)
	}
	return all, nil
}

// second reads a NumericDate, with or without its tag; parts of a second are cut.
func second(raw cbor.RawMessage) (time.Time, error) {
	var tag cbor.RawTag
	if decoder.Unmarshal(raw, &tag) == nil {
		if tag.Number != 1 {
			return time.Time{}, fmt.Errorf("a date with tag %d", tag.Number)
		}
		raw = tag.Content
	}
	var n float64
	if err := decoder.Unmarshal(raw, &n); err != nil {
		return time.Time{}, err
	}
	if !(n >= 0 && n < 1<<40) {
		return time.Time{}, fmt.Errorf("a date of %v", n)
	}
	return time.Unix(int64(n), 0).UTC(), nil
}

func (c *Claims) takeNetworks(raw cbor.RawMessage) error {
	var all []cbor.RawMessage
	if err := decoder.Unmarshal(raw, &all); err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("empty list")
	}
	for _, one := range all {
		var as uint32
		if decoder.Unmarshal(one, &as) == nil {
			c.Systems = append(c.Systems, as)
			continue
		}
		p, err := network(one)
		if err != nil {
			return err
		}
		c.Networks = append(c.Networks, p)
	}
	return nil
}

// network reads an address or a prefix of RFC 9164.
func network(raw cbor.RawMessage) (netip.Prefix, error) {
	var tag cbor.RawTag
	if err := decoder.Unmarshal(raw, &tag); err != nil {
		return netip.Prefix{}, err
	}
	size, known := map[uint64]int{tagIPv4: 4, tagIPv6: 16}[tag.Number]
	if !known {
		return netip.Prefix{}, fmt.Errorf("an address with tag %d", tag.Number)
	}
	var bytes []byte
	bits := 8 * size
	if decoder.Unmarshal(tag.Content, &bytes) != nil {
		var prefix struct {
			_     struct{} `cbor:",toarray"`
			Bits  int
			Bytes []byte
		}
		if err := decoder.Unmarshal(tag.Content, &prefix); err != nil {
			return netip.Prefix{}, err
		}
		if prefix.Bits < 0 || prefix.Bits > bits || len(prefix.Bytes) > size {
			return netip.Prefix{}, fmt.Errorf("a prefix of %d bits", prefix.Bits)
		}
		bits, bytes = prefix.Bits, append(prefix.Bytes, make([]byte, size-len(prefix.Bytes))...) // trailing zeros are left out
	}
	if len(bytes) != size {
		return netip.Prefix{}, fmt.Errorf("an address of %d bytes", len(bytes))
	}
	a, _ := netip.AddrFromSlice(bytes)
	return a.Prefix(bits)
}

func decodeRenewal(raw cbor.RawMessage) (*Renewal, error) {
	var m struct {
		Type         int      `cbor:"0,keyasint"`
		Add          int64    `cbor:"1,keyasint"`
		Deadline     int64    `cbor:"2,keyasint"`
		CookieName   string   `cbor:"3,keyasint"`
		HeaderName   string   `cbor:"4,keyasint"`
		CookieParams []string `cbor:"5,keyasint"`
		HeaderParams []string `cbor:"6,keyasint"`
		Code         int      `cbor:"7,keyasint"`
	}
	if err := strict.Unmarshal(raw, &m); err != nil {
		return nil, err
	}
	const most = int64(10 * 365 * 24 * time.Hour / time.Second)
	if m.Type < 0 || m.Type > int(RenewRedirect) || m.Add <= 0 || m.Add > most || m.Deadline < 0 || m.Deadline > most {
		return nil, fmt.Errorf("type %d, expadd %d, deadline %d", m.Type, m.Add, m.Deadline)
	}
	return &Renewal{
		Type: RenewalType(m.Type), Add: time.Duration(m.Add) * time.Second, Deadline: time.Duration(m.Deadline) * time.Second,
		CookieName: m.CookieName, HeaderName: m.HeaderName, CookieParams: m.CookieParams, HeaderParams: m.HeaderParams, Code: m.Code,
	}, nil
}
