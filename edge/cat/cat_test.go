package cat_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/veraison/go-cose"

	"github.com/melodyud/melodyud/edge/cat"
)

var (
	now = time.Unix(1767225000, 0).UTC()
	// shared is the symmetric key of RFC 8392 A.2.2.
	shared = cat.Key{ID: "Symmetric256", Algorithm: cat.HS256, Secret: unhex("403697de87af64611c1d32a05dab0fe1fcb715a86ab435f1ec99192d79569388")}
)

func unhex(s string) []byte {
	raw, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return raw
}

func verifier(t testing.TB, change ...func(*cat.Config)) *cat.Verifier {
	t.Helper()
	c := cat.Config{Keys: []cat.Key{shared}, Audience: "edge", Now: func() time.Time { return now }}
	for _, f := range change {
		f(&c)
	}
	v, err := cat.NewVerifier(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func sign(t testing.TB, c cat.Claims) string {
	t.Helper()
	token, err := cat.Sign(c, shared)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func request(address string) cat.Request {
	u, err := url.Parse(address)
	if err != nil {
		panic(err)
	}
	return cat.Request{
		Method: "GET", URL: u, Header: http.Header{"X-Player": {"melody"}}, From: netip.MustParseAddr("192.0.2.7"), Country: "DE", Protocol: "h2",
	}
}

// segment is the address that most tokens here speak of.
const segment = "https://edge.example.org/p/cat/trk_1/rel_9/aac-64/s/0.m4s?x=1"

func reason(err error) cat.Reason {
	var e *cat.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	if err != nil {
		return "no reason"
	}
	return ""
}

// These tokens were made by another implementation, @eyevinn/cat 0.16.4.
const (
	foreignURI = "2D3RhEOhAQWhBExTeW1tZXRyaWMyNTZYa6gBZ2V5ZXZpbm4DZGVkZ2UEGmlVuQAHQgtxGQE4pAChAGVodHRwcwGhAmwuZXhhbXBsZS5vcmcDoQFtL3AvY2F0L3Rya18xLwihAGQubTRzGQE5gmNHRVRkSEVBRBkBPIJiREViRlIZATYBWCCv3gXB0KH7wgi_sNe4nQn4LLkn8nvmv-l8SnjDVRbmmQ"
	foreignNew = "2D3RhEOhAQWhBExTeW1tZXRyaWMyNTZYQaYBZ2V5ZXZpbm4EGmlVuQAHQgtyGQE0ARkBQ6QAAgEYeAIYPAR3Y3RhLWNvbW1vbi1hY2Nlc3MtdG9rZW4ZATYBWCBdhw51wK8lhsVdxpWIgu32Er9n7CO23HLD-2gab5nrpw"
	foreignSum = "2D3RhEOhAQWhBExTeW1tZXRyaWMyNTZYhKUBZ2V5ZXZpbm4EGmlVuQAZATiiA6EEgmsvcmVsXyhcZCspL2AGoSB4QGU0ODQ4MjEwY2Y3OTZlYzE1NmFhMzY5MmM3MGNmYmQ4NmZjMTE5OTA5MThhNzFlY2VjYTE5NzdkMTE1NzZkNTgZATuhaHgtcGxheWVyoQBmbWVsb2R5GQE2AVggkt3127YKK7gMt3zscgvuyHuNPovOCFBRzcp8jfIH0M0"
)

func TestTokensOfAnotherImplementationAreRead(t *testing.T) {
	t.Parallel()
	v := verifier(t)
	got, err := v.Verify(foreignURI, request(segment))
	if err != nil {
		t.Fatal(err)
	}
	want := cat.Claims{
		Issuer: "eyevinn", Audience: []string{"edge"}, Expires: time.Unix(1767225600, 0).UTC(), ID: []byte{0x0b, 0x71},
		Methods: []string{"GET", "HEAD"}, Countries: []string{"DE", "FR"},
		URI: map[cat.Part]cat.Match{
			cat.Scheme: cat.Is(cat.Exact, "https"), cat.Host: cat.Is(cat.Suffix, ".example.org"),
			cat.Path: cat.Is(cat.Prefix, "/p/cat/trk_1/"), cat.Extension: cat.Is(cat.Exact, ".m4s"),
		},
	}
	if !reflect.DeepEqual(got.Claims, want) || got.Key != "Symmetric256" {
		t.Errorf("%+v", got)
	}
	once, err := v.Verify(foreignNew, request(segment))
	if err != nil || once.Replay != cat.ReplayForbidden || once.Renewal == nil || once.Renewal.Type != cat.RenewHeader ||
		once.Renewal.Add != 2*time.Minute || once.Renewal.Deadline != time.Minute || once.Renewal.HeaderName != "cta-common-access-token" {
		t.Errorf("%+v, %v", once, err)
	}
	if _, err := v.Verify(foreignNew, request(segment)); reason(err) != cat.Replayed {
		t.Errorf("the second use: %v", err)
	}
	if _, err := v.Verify(foreignSum, request(segment)); err != nil {
		t.Error(err)
	}
	if _, err := v.Verify(foreignSum, request(strings.Replace(segment, "0.m4s", "1.m4s", 1))); reason(err) != cat.WrongURI {
		t.Errorf("another file: %v", err)
	}
}

func TestTokensMatchTheFixedVector(t *testing.T) {
	t.Parallel()
	token := sign(t, cat.Claims{
		Issuer: "melodyud", Expires: time.Unix(1767225600, 0), ID: []byte{1, 2},
		URI: map[cat.Part]cat.Match{cat.Path: cat.Is(cat.Prefix, "/p/cat/")}, Methods: []string{"GET"},
		Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	})
	const want = "2D3RhFGiAQUETFN5bW1ldHJpYzI1NqBYPqcBaG1lbG9keXVkBBppVbkAB0IBAhkBNgEZATeB2DSCGBhEwAACABkBOKEDoQFnL3AvY2F0LxkBOYFjR0VUWCDjX5x4wAQ20LjEBCC7O5SeuOrXz3nyhp3wFPb4ab-qLg"
	if token != want {
		t.Errorf("token %s", token)
	}
}

func TestTheSignedExampleOfTheStandardProves(t *testing.T) { // RFC 8392 A.3
	t.Parallel()
	raw := unhex("d28443a10126a104524173796d6d657472696345434453413235365850a70175636f61703a2f2f61732e6578616d706c652e636f6d02656572696b77037818636f61703a2f2f6c696768742e6578616d706c652e636f6d041a5612aeb0051a5610d9f0061a5610d9f007420b7158405427c1ff28d23fbad1f29c4c7c6a555e601d6fa29f9179bc3d7438bacaca5acd08c8d4d4f96131680c429a01f85951ecee743a52b9b63632c57209120e1c9e30")
	key := cat.Key{ID: "AsymmetricECDSA256", Algorithm: cat.ES256, ECDSA: &ecdsa.PublicKey{
		Curve: elliptic.P256(),
		X:     new(big.Int).SetBytes(unhex("143329cce7868e416927599cf65a34f3ce2ffda55a7eca69ed8919a394d42f0f")),
		Y:     new(big.Int).SetBytes(unhex("60f7f1a780d8a783bfb7a2dd6b2796e8128dbbcef9d3d168db9529971a36e7b9")),
	}}
	at := time.Unix(1444064900, 0)
	v := verifier(t, func(c *cat.Config) {
		c.Keys, c.Audience, c.Now = []cat.Key{key}, "coap://light.example.com", func() time.Time { return at }
	})
	got, err := v.Verify(base64.RawURLEncoding.EncodeToString(raw), request(segment))
	if err != nil || got.Issuer != "coap://as.example.com" || got.Subject != "erikw" || string(got.ID) != "\x0bq" {
		t.Errorf("%+v, %v", got, err)
	}
}

func keys(t *testing.T) []cat.Key {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return []cat.Key{
		shared, {ID: "ec", Algorithm: cat.ES256, ECDSA: &ec.PublicKey, ECDSAPrivate: ec},
		{ID: "ed", Algorithm: cat.EdDSA, Ed25519: public, EdPrivate: private},
	}
}

func TestClaimsAreReadBackUnderEveryAlgorithm(t *testing.T) {
	t.Parallel()
	sum := sha512.Sum512_256([]byte("0"))
	want := cat.Claims{
		Issuer: "i", Subject: "s", Audience: []string{"a", "edge"}, Expires: now.Add(time.Hour), NotBefore: now, Issued: now, ID: []byte("id"),
		Replay: cat.ReplayDetected, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/32")}, Systems: []uint32{64496},
		URI: map[cat.Part]cat.Match{
			cat.Stem: {{Kind: cat.SHA512256, Value: string(sum[:])}, {Kind: cat.Exact, Value: "0"}}, cat.Host: cat.Is(cat.Contains, "example"),
		},
		Methods: []string{"GET"}, Protocols: []string{"h2", "h3"}, Countries: []string{"DE"},
		Headers: map[string]cat.Match{"X-Player": cat.Is(cat.Prefix, "mel")},
		Renewal: &cat.Renewal{Type: cat.RenewCookie, Add: time.Minute, CookieName: "c", CookieParams: []string{"Secure"}, Code: 302},
	}
	all := keys(t)
	v := verifier(t, func(c *cat.Config) { c.Keys = all })
	for _, k := range all {
		token, err := cat.Sign(want, k)
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.Verify(token, request(segment))
		if err != nil || !reflect.DeepEqual(got.Claims, want) || got.Key != k.ID {
			t.Errorf("%s: %+v, %v", k.ID, got, err)
		}
	}
}

func TestSignaturesAreThoseOfTheReferenceLibrary(t *testing.T) { // RFC 9052 4.4
	t.Parallel()
	k := keys(t)[1]
	token, err := cat.Sign(cat.Claims{Expires: now.Add(time.Hour)}, k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	var m cose.Sign1Message
	check, err := cose.NewVerifier(cose.AlgorithmES256, k.ECDSA)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(m.UnmarshalCBOR(raw[2:]), m.Verify(nil, check)); err != nil { // behind the tag of CWT
		t.Error(err)
	}
	signer, err := cose.NewSigner(cose.AlgorithmES256, k.ECDSAPrivate)
	if err != nil {
		t.Fatal(err)
	}
	m.Headers.Protected = cose.ProtectedHeader{cose.HeaderLabelAlgorithm: cose.AlgorithmES256, cose.HeaderLabelKeyID: []byte("ec")}
	m.Headers.RawProtected, m.Headers.Unprotected, m.Headers.RawUnprotected, m.Signature = nil, nil, nil, nil
	if err := m.Sign(rand.Reader, nil, signer); err != nil {
		t.Fatal(err)
	}
	if raw, err = m.MarshalCBOR(); err != nil {
		t.Fatal(err)
	}
	v := verifier(t, func(c *cat.Config) { c.Keys = []cat.Key{k} })
	if _, err := v.Verify(base64.RawURLEncoding.EncodeToString(raw), request(segment)); err != nil {
		t.Error(err)
	}
}

func TestEachClaimIsHeldAgainstTheRequest(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte("/p/cat/trk_1/rel_9/aac-64/s/0.m4s"))
	uri := func(p cat.Part, k cat.Kind, value string, groups ...string) cat.Claims {
		return cat.Claims{URI: map[cat.Part]cat.Match{p: {{Kind: k, Value: value, Groups: groups}}}}
	}
	for _, row := range []struct {
		what   string
		claims cat.Claims
		want   cat.Reason
	}{
		{"nothing", cat.Claims{}, ""},
		{"another scheme", uri(cat.Scheme, cat.Exact, "http"), cat.WrongURI},
		{"the host", uri(cat.Host, cat.Exact, "edge.example.org"), ""},
		{"a host before another", uri(cat.Host, cat.Prefix, "example.org"), cat.WrongURI},
		{"the port", uri(cat.Port, cat.Exact, "443"), ""},
		{"another port", uri(cat.Port, cat.Exact, "80"), cat.WrongURI},
		{"the query", uri(cat.Query, cat.Exact, "x=1"), ""},
		{"another query", uri(cat.Query, cat.Exact, ""), cat.WrongURI},
		{"the parent", uri(cat.ParentPath, cat.Suffix, "/aac-64/s"), ""},
		{"the file", uri(cat.FileName, cat.Exact, "0.m4s"), ""},
		{"the stem", uri(cat.Stem, cat.Exact, "0"), ""},
		{"the extension", uri(cat.Extension, cat.Exact, ".m4s"), ""},
		{"another extension", uri(cat.Extension, cat.Exact, ".m3u8"), cat.WrongURI},
		{"a part of the path", uri(cat.Path, cat.Contains, "/rel_9/"), ""},
		{"no part of the path", uri(cat.Path, cat.Contains, "/rel_8/"), cat.WrongURI},
		{"a pattern", uri(cat.Path, cat.Regex, `/rel_(\d+)/([a-z]+)-`, "9", "aac"), ""},
		{"a pattern with another group", uri(cat.Path, cat.Regex, `/rel_(\d+)/([a-z]+)-`, "9", "flac"), cat.WrongURI},
		{"a pattern with any group", uri(cat.Path, cat.Regex, `/rel_(\d+)/([a-z]+)-`, "", "aac"), ""},
		{"no such pattern", uri(cat.Path, cat.Regex, `^/rel`), cat.WrongURI},
		{"a sum", uri(cat.Path, cat.SHA256, string(sum[:])), ""},
		{"another sum", uri(cat.FileName, cat.SHA256, string(sum[:])), cat.WrongURI},
		{"two tests", cat.Claims{URI: map[cat.Part]cat.Match{cat.FileName: {{Kind: cat.Prefix, Value: "0."}, {Kind: cat.Suffix, Value: ".mp4"}}}}, cat.WrongURI},
		{"the method", cat.Claims{Methods: []string{"HEAD", "GET"}}, ""},
		{"another method", cat.Claims{Methods: []string{"POST"}}, cat.WrongMethod},
		{"the network", cat.Claims{Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/29")}}, ""},
		{"another network", cat.Claims{Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.8/29")}}, cat.WrongPlace},
		{"an autonomous system", cat.Claims{Systems: []uint32{64496}}, cat.WrongPlace},
		{"the country", cat.Claims{Countries: []string{"FR", "DE"}}, ""},
		{"another country", cat.Claims{Countries: []string{"FR", "DE-BY"}}, cat.WrongPlace},
		{"the protocol", cat.Claims{Protocols: []string{"h3", "h2"}}, ""},
		{"another protocol", cat.Claims{Protocols: []string{"h3"}}, cat.WrongOther},
		{"a header", cat.Claims{Headers: map[string]cat.Match{"X-Player": cat.Is(cat.Exact, "melody")}}, ""},
		{"another header", cat.Claims{Headers: map[string]cat.Match{"X-Other": cat.Is(cat.Prefix, "")}}, cat.WrongOther},
		{"an issuer", cat.Claims{Issuer: "anybody"}, ""},
		{"the audience", cat.Claims{Audience: []string{"other", "edge"}}, ""},
		{"another audience", cat.Claims{Audience: []string{"other"}}, cat.Invalid},
		{"expired within the skew", cat.Claims{Expires: now.Add(-time.Minute)}, ""},
		{"expired", cat.Claims{Expires: now.Add(-61 * time.Second)}, cat.Expired},
		{"too early", cat.Claims{NotBefore: now.Add(61 * time.Second)}, cat.NotYet},
		{"used once without a name", cat.Claims{Replay: cat.ReplayForbidden}, cat.Invalid},
	} {
		c := row.claims
		if c.Expires.IsZero() {
			c.Expires = now.Add(time.Hour)
		}
		if _, err := verifier(t).Verify(sign(t, c), request(segment)); reason(err) != row.want {
			t.Errorf("%s: %v, want %q", row.what, err, row.want)
		}
	}
	far := request(segment)
	far.Country, far.From = "", netip.Addr{}
	for _, c := range []cat.Claims{{Countries: []string{"DE"}}, {Networks: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}} {
		c.Expires = now.Add(time.Hour)
		if _, err := verifier(t).Verify(sign(t, c), far); reason(err) != cat.WrongPlace {
			t.Errorf("from nowhere: %v", err)
		}
	}
}

func TestAPathWithTwoReadingsIsRefused(t *testing.T) { // TOK-3
	t.Parallel()
	token := sign(t, cat.Claims{Expires: now.Add(time.Hour), URI: map[cat.Part]cat.Match{cat.Path: cat.Is(cat.Prefix, "/p/cat/trk_1/")}})
	for _, path := range []string{
		"/p/cat/trk_1/../trk_2/x", "/p/cat/trk_1/%2e%2e/trk_2/x", "/p/cat/trk_1//x", "/p/cat/trk_1/a%2Fb", "/p/cat/trk_1/a%5cb", "/p/cat/trk_1/./x", "/p/cat/trk_1/..",
	} {
		if _, err := verifier(t).Verify(token, request("https://edge.example.org"+path)); reason(err) != cat.WrongURI {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// raw signs claims as they are, also such as Sign would not.
func raw(t *testing.T, claims any, headers map[int]any) string {
	t.Helper()
	encode := func(v any) []byte {
		b, err := cbor.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	protected, payload := encode(headers), encode(claims)
	k := shared
	mac := hmacSum(k.Secret, encode([]any{"MAC0", protected, []byte{}, payload}))
	return base64.RawURLEncoding.EncodeToString(encode([]any{protected, map[int]any{4: []byte(k.ID)}, payload, mac}))
}

// tagged puts the tag of CWT before a token.
func tagged(t *testing.T, token string) string {
	t.Helper()
	bare, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(append([]byte{0xd8, 61}, bare...))
}

func TestWhatIsNotUnderstoodIsRefused(t *testing.T) {
	t.Parallel()
	alg := map[int]any{1: 5}
	exp := now.Add(time.Hour).Unix()
	if _, err := verifier(t).Verify(raw(t, map[int]any{4: exp, 310: 1, 322: map[int]any{}, 320: "x"}, alg), request(segment)); err != nil {
		t.Fatalf("an untagged token: %v", err)
	}
	if _, err := verifier(t).Verify(raw(t, map[int]any{4: cbor.Tag{Number: 1, Content: float64(exp)}}, alg), request(segment)); err != nil {
		t.Fatalf("a tagged date: %v", err)
	}
	for what, token := range map[string]string{
		"no expiry":         raw(t, map[int]any{1: "i"}, alg),
		"a later version":   raw(t, map[int]any{4: exp, 310: 2}, alg),
		"an unknown claim":  raw(t, map[int]any{4: exp, 309: []int{1}}, alg),
		"coordinates":       raw(t, map[int]any{4: exp, 317: []int{1}}, alg),
		"a private claim":   raw(t, map[int]any{4: exp, -70000: 1}, alg),
		"a named claim":     raw(t, map[any]any{4: exp, "x": 1}, alg),
		"an unknown part":   raw(t, map[int]any{4: exp, 312: map[int]any{9: map[int]any{0: "x"}}}, alg),
		"an unknown test":   raw(t, map[int]any{4: exp, 312: map[int]any{3: map[int]any{5: "x"}}}, alg),
		"no test":           raw(t, map[int]any{4: exp, 312: map[int]any{3: map[int]any{}}}, alg),
		"no part":           raw(t, map[int]any{4: exp, 312: map[int]any{}}, alg),
		"no method":         raw(t, map[int]any{4: exp, 313: []string{}}, alg),
		"no network":        raw(t, map[int]any{4: exp, 311: []any{}}, alg),
		"a bad network":     raw(t, map[int]any{4: exp, 311: []any{cbor.Tag{Number: 52, Content: []any{33, []byte{1, 2, 3, 4}}}}}, alg),
		"a bad pattern":     raw(t, map[int]any{4: exp, 312: map[int]any{3: map[int]any{4: []string{"("}}}}, alg),
		"a long pattern":    raw(t, map[int]any{4: exp, 312: map[int]any{3: map[int]any{4: []string{strings.Repeat("a", 513)}}}}, alg),
		"flags":             raw(t, map[int]any{4: exp, 312: map[int]any{3: map[int]any{4: []string{"a", "i"}}}}, alg),
		"replay of a kind":  raw(t, map[int]any{4: exp, 308: 3}, alg),
		"a renewal of less": raw(t, map[int]any{4: exp, 323: map[int]any{0: 0}}, alg),
		"a renewal of more": raw(t, map[int]any{4: exp, 323: map[int]any{0: 0, 1: 60, 9: 1}}, alg),
		"critical headers":  raw(t, map[int]any{4: exp}, map[int]any{1: 5, 2: []int{7}}),
		"a short MAC":       raw(t, map[int]any{4: exp}, map[int]any{1: 4}),
		"no algorithm":      raw(t, map[int]any{4: exp}, map[int]any{}),
		"another algorithm": raw(t, map[int]any{4: exp}, map[int]any{1: -7}),
		"no claims":         raw(t, 7, alg),
		"half of its tags":  tagged(t, raw(t, map[int]any{4: exp}, alg)),
		"nothing":           "",
		"text":              "no token",
		"too much":          strings.Repeat("A", 9000),
		"deep":              base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("\x81", 5000))),
	} {
		_, err := verifier(t).Verify(token, request(segment))
		if want := cat.Invalid; reason(err) != want && !(token == "" && reason(err) == cat.Missing) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAnUnknownKeyIsNeverAccepted(t *testing.T) { // TOK-5
	t.Parallel()
	token := sign(t, cat.Claims{Expires: now.Add(time.Hour), Issuer: "i"})
	other := shared
	other.ID = "other"
	third := other
	third.ID = "third"
	if _, err := verifier(t, func(c *cat.Config) { c.Keys = []cat.Key{other, third} }).Verify(token, request(segment)); reason(err) != cat.Invalid {
		t.Errorf("the right secret under another id: %v", err)
	}
	if _, err := verifier(t, func(c *cat.Config) { c.Issuers = []string{"j"} }).Verify(token, request(segment)); reason(err) != cat.Invalid {
		t.Errorf("another issuer: %v", err)
	}
	bound := shared
	bound.Issuer = "j"
	if _, err := verifier(t, func(c *cat.Config) { c.Keys = []cat.Key{bound} }).Verify(token, request(segment)); reason(err) != cat.Invalid {
		t.Errorf("another issuer's key: %v", err)
	}
	both := verifier(t, func(c *cat.Config) { c.Keys = []cat.Key{other, shared} })
	if _, err := both.Verify(token, request(segment)); err != nil {
		t.Errorf("while keys change: %v", err)
	}
	for _, bad := range [][]cat.Key{{}, {shared, shared}, {{ID: "x", Algorithm: cat.HS256, Secret: []byte("short")}}, {{ID: "x", Algorithm: cat.ES256}}, {{ID: "x"}}} {
		if _, err := cat.NewVerifier(cat.Config{Keys: bad}); err == nil {
			t.Errorf("%v can check tokens", bad)
		}
	}
	if _, err := cat.Sign(cat.Claims{}, cat.Key{ID: "x", Algorithm: cat.ES256}); err == nil {
		t.Error("signed without a key")
	}
}

func TestEveryChangedByteIsRefused(t *testing.T) { // faults.md C5
	t.Parallel()
	token := sign(t, cat.Claims{Expires: now.Add(time.Hour)})
	v := verifier(t)
	for i := range len(token) {
		for _, c := range []byte("AZaz09-_.") {
			forged := []byte(token)
			if forged[i] == c {
				continue
			}
			forged[i] = c
			if _, err := v.Verify(string(forged), request(segment)); err == nil {
				t.Fatalf("byte %d as %q was accepted", i, c)
			}
		}
	}
}

func TestTokensThatMayBeUsedOnceAreRememberedWithinBounds(t *testing.T) {
	t.Parallel()
	clock := now
	v := verifier(t, func(c *cat.Config) { c.Once, c.Now = 3, func() time.Time { return clock } })
	use := func(id string, replay cat.Replay) (bool, cat.Reason) {
		r, err := v.Verify(sign(t, cat.Claims{ID: []byte(id), Replay: replay, Expires: clock.Add(time.Hour)}), request(segment))
		return err == nil && r.Reused, reason(err)
	}
	for _, id := range []string{"a", "b"} {
		if _, why := use(id, cat.ReplayForbidden); why != "" {
			t.Errorf("%s: %s", id, why)
		}
		if _, why := use(id, cat.ReplayForbidden); why != cat.Replayed {
			t.Errorf("%s again: %s", id, why)
		}
	}
	if reused, why := use("c", cat.ReplayDetected); reused || why != "" {
		t.Errorf("c: %v %s", reused, why)
	}
	if reused, why := use("c", cat.ReplayDetected); !reused || why != "" {
		t.Errorf("c again: %v %s", reused, why)
	}
	if _, why := use("d", cat.ReplayForbidden); why != cat.Busy {
		t.Errorf("beyond the bound: %s", why)
	}
	clock = clock.Add(2 * time.Hour)
	if _, why := use("d", cat.ReplayForbidden); why != "" {
		t.Errorf("after the others have expired: %s", why)
	}
}

func TestARenewedTokenLivesOn(t *testing.T) {
	t.Parallel()
	c := cat.Claims{Expires: now.Add(time.Minute), Renewal: &cat.Renewal{Add: time.Hour, Deadline: 30 * time.Second}}
	if c.Due(now) || !c.Due(now.Add(40*time.Second)) || (&cat.Claims{Expires: now}).Due(now) {
		t.Error("renewals are due at other times")
	}
	next := c.Renewed(now.Add(40 * time.Second))
	if !next.Expires.Equal(now.Add(time.Hour+40*time.Second)) || next.Renewal == nil {
		t.Errorf("%+v", next)
	}
}

func TestAVerifierRenewsWhatItCanSign(t *testing.T) {
	t.Parallel()
	all := keys(t)
	all[2].EdPrivate = nil
	signing := keys(t)[1]
	v := verifier(t, func(c *cat.Config) { c.Keys = all })
	c := cat.Claims{Expires: now.Add(time.Minute), ID: []byte("a"), Replay: cat.ReplayForbidden, Renewal: &cat.Renewal{Add: time.Hour}}
	for _, k := range all[:2] {
		c.ID = []byte(k.ID)
		token, err := cat.Sign(c, k)
		if err != nil {
			t.Fatal(err)
		}
		r, err := v.Verify(token, request(segment))
		if err != nil {
			t.Fatal(err)
		}
		next, err := v.Renew(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.Verify(next, request(segment))
		if err != nil || !got.Expires.Equal(now.Add(time.Hour)) || got.Key != k.ID {
			t.Errorf("%s: %+v, %v", k.ID, got, err)
		}
	}
	for _, r := range []*cat.Result{{Key: "ed", Claims: c}, {Key: "ec", Claims: cat.Claims{Expires: now}}, {Key: signing.ID + "x", Claims: c}} {
		if next, err := v.Renew(r); next != "" || err != nil {
			t.Errorf("renewed %+v: %v", r, err)
		}
	}
}

func TestKeysAreReadFromConfiguration(t *testing.T) {
	t.Parallel()
	all := keys(t)
	for i, public := range []any{nil, all[1].ECDSA, all[2].Ed25519} {
		der := shared.Secret
		name := []string{"HS256", "ES256", "EdDSA"}[i]
		if public != nil {
			var err error
			if der, err = x509.MarshalPKIXPublicKey(public); err != nil {
				t.Fatal(err)
			}
		}
		text := base64.StdEncoding.EncodeToString(der)
		k, err := cat.ParseKey(all[i].ID + ":" + name + ":" + text)
		if err != nil || k.ID != all[i].ID || k.Algorithm != all[i].Algorithm {
			t.Errorf("%s: %+v, %v", name, k, err)
		}
		for _, bad := range []string{text, "x:" + text, "x:none:" + text, ":" + name + ":" + text, "x:" + name + ":AAAA", "x:" + name + ":?"} {
			if _, err := cat.ParseKey(bad); err == nil {
				t.Errorf("%q was read", bad)
			}
		}
	}
	if _, err := cat.ParseKey("x:EdDSA:" + func() string {
		der, err := x509.MarshalPKIXPublicKey(all[1].ECDSA)
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(der)
	}()); err == nil {
		t.Error("a key of another algorithm was read")
	}
}

func TestTokensComeInAHeaderACookieOrTheQuery(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		want string
		set  func(*http.Request)
	}{
		{"", func(*http.Request) {}},
		{"h", func(r *http.Request) { r.Header.Set(cat.DefaultName, " h "); r.URL.RawQuery = "cat=q" }},
		{"c", func(r *http.Request) {
			r.AddCookie(&http.Cookie{Name: cat.DefaultName, Value: "c"})
			r.URL.RawQuery = "cat=q"
		}},
		{"q", func(r *http.Request) { r.URL.RawQuery = "x=1&cat=q" }},
		{"", func(r *http.Request) { r.Header[cat.DefaultName] = []string{"a", "b"} }},
	} {
		r := httptest.NewRequest("GET", "/x", nil)
		row.set(r)
		if got := cat.TokenOf(r, "cat"); got != row.want {
			t.Errorf("%q, want %q", got, row.want)
		}
	}
	r := httptest.NewRequest("GET", "http://host:8080/x?a=1&cat=t&b=2", nil)
	r.RemoteAddr = "[::ffff:192.0.2.7]:1"
	req := cat.RequestOf(r, "")
	req.Parameter = "cat"
	token := sign(t, cat.Claims{Expires: now.Add(time.Hour), Protocols: []string{"http/1.1"}, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")},
		URI: map[cat.Part]cat.Match{cat.Query: cat.Is(cat.Exact, "a=1&b=2"), cat.Port: cat.Is(cat.Exact, "8080"), cat.Scheme: cat.Is(cat.Exact, "http")}})
	if _, err := verifier(t).Verify(token, req); err != nil {
		t.Error(err)
	}
	r.TLS = &tls.ConnectionState{NegotiatedProtocol: "h2"}
	if req := cat.RequestOf(r, "https://edge.example.org"); req.URL.Host != "edge.example.org" || req.URL.Scheme != "https" || req.Protocol != "h2" {
		t.Errorf("%+v", req)
	}
}

func FuzzVerifyNeverAcceptsAForgery(f *testing.F) {
	v := verifier(f)
	real := sign(f, cat.Claims{Expires: now.Add(time.Hour), URI: map[cat.Part]cat.Match{cat.Path: cat.Is(cat.Regex, "/(a)+")}})
	known := map[string]bool{}
	for _, token := range []string{real, foreignURI, foreignNew, foreignSum} {
		raw, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			f.Fatal(err)
		}
		known[signed(f, raw)] = true
		f.Add(raw)
		f.Add(append([]byte{0xd8, 61}, raw[3:]...))
		f.Add(raw[3:])
	}
	f.Add([]byte{0xd8, 61, 0xd1, 0x84})
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, err := v.Verify(base64.RawURLEncoding.EncodeToString(raw), request(segment))
		if err == nil && !known[signed(t, raw)] {
			t.Fatalf("%x was accepted", raw)
		}
	})
}

// signed is what the proof of a token is made over. Around it, tags and unprotected
// headers, a bearer may write the same token in other ways.
func signed(t testing.TB, raw []byte) string {
	t.Helper()
	for tag := (cbor.RawTag{}); cbor.Unmarshal(raw, &tag) == nil; tag = (cbor.RawTag{}) {
		raw = tag.Content
	}
	var parts []cbor.RawMessage
	if err := cbor.Unmarshal(raw, &parts); err != nil || len(parts) != 4 {
		t.Fatalf("%x: %v", raw, err)
	}
	var protected, payload []byte
	if err := errors.Join(cbor.Unmarshal(parts[0], &protected), cbor.Unmarshal(parts[2], &payload)); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x %x", protected, payload)
}

// FuzzClaimsAreReadOrRefused signs whatever it is given: no payload may harm a
// verifier, even of somebody who has the key.
func FuzzClaimsAreReadOrRefused(f *testing.F) {
	f.Add([]byte{0xa1, 0x04, 0x1a, 0x69, 0x55, 0xb9, 0x00})
	f.Add([]byte{0xa1, 0x19, 0x01, 0x38, 0xa1, 0x03, 0xa1, 0x04, 0x81, 0x61, 0x28})
	v := verifier(f)
	protected := []byte{0xa1, 0x01, 0x05}
	f.Fuzz(func(t *testing.T, payload []byte) {
		covered, err := cbor.Marshal([]any{"MAC0", protected, []byte{}, payload})
		if err != nil {
			t.Skip()
		}
		token, err := cbor.Marshal([]any{protected, map[int]any{4: []byte(shared.ID)}, payload, hmacSum(shared.Secret, covered)})
		if err != nil {
			t.Skip()
		}
		r, err := v.Verify(base64.RawURLEncoding.EncodeToString(token), request(segment))
		if err == nil && r.Expires.IsZero() {
			t.Fatal("accepted without an expiry")
		}
		if err != nil && reason(err) == "no reason" {
			t.Fatal(err)
		}
		_ = fmt.Sprint(err)
	})
}
