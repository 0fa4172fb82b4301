package cat

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/fxamacker/cbor/v2"
)

// Algorithm is how a key signs (RFC 9053).
type Algorithm int

// The algorithms. HS256 makes a COSE_Mac0, the others a COSE_Sign1.
const (
	HS256 Algorithm = 5
	ES256 Algorithm = -7
	EdDSA Algorithm = -8 // Ed25519
)

// Key signs or checks tokens, by one algorithm only.
type Key struct {
	ID        string // named in the token's header
	Algorithm Algorithm
	Secret    []byte // of HS256: 32 bytes or more

	ECDSA        *ecdsa.PublicKey // of ES256: on P-256
	ECDSAPrivate *ecdsa.PrivateKey
	Ed25519      ed25519.PublicKey // of EdDSA
	EdPrivate    ed25519.PrivateKey

	// Issuer, if not empty, is the only one whose tokens the key is good for.
	Issuer string
}

// check says what is missing in a key that is to check tokens.
func (k *Key) check() error {
	ok := false
	switch k.Algorithm {
	case HS256:
		ok = len(k.Secret) >= 32
	case ES256:
		ok = k.ECDSA != nil && k.ECDSA.Curve == elliptic.P256()
	case EdDSA:
		ok = len(k.Ed25519) == ed25519.PublicKeySize
	}
	if !ok || k.ID == "" {
		return fmt.Errorf("cat: key %q: needs an id and, for its algorithm, 32 secret bytes or a public key", k.ID)
	}
	return nil
}

// ParseKey reads a key as configuration has it: "id:HS256:" and the secret in base64,
// or "id:ES256:" or "id:EdDSA:" and a public key (SubjectPublicKeyInfo) in base64.
func ParseKey(s string) (Key, error) {
	id, rest, _ := strings.Cut(s, ":")
	name, value, ok := strings.Cut(rest, ":")
	raw, err := base64.StdEncoding.DecodeString(value)
	if !ok || err != nil {
		return Key{}, errors.New("cat: keys are written id:HS256:base64, id:ES256:base64 or id:EdDSA:base64")
	}
	k := Key{ID: id}
	switch name {
	case "HS256":
		k.Algorithm, k.Secret = HS256, raw
	case "ES256", "EdDSA":
		public, err := x509.ParsePKIXPublicKey(raw)
		if err != nil {
			return Key{}, fmt.Errorf("cat: key %q: %w", id, err)
		}
		k.Algorithm = map[string]Algorithm{"ES256": ES256, "EdDSA": EdDSA}[name]
		k.ECDSA, _ = public.(*ecdsa.PublicKey)
		k.Ed25519, _ = public.(ed25519.PublicKey)
	}
	return k, k.check()
}

// Limits of what is read: tokens come from anybody.
const (
	maxToken = 8 << 10 // characters of base64url
	depth    = 8
	elements = 256
)

// The codecs. Nothing in a token may be said twice, be of unknown length, or be
// deeper than the standard needs.
var (
	encoder = must(cbor.CoreDetEncOptions().EncMode())
	decoder = must(decoding().DecMode())
	strict  = must(strictDecoding().DecMode()) // no unknown fields either
)

func decoding() cbor.DecOptions {
	return cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, MaxNestedLevels: depth, MaxArrayElements: elements, MaxMapPairs: elements,
		IndefLength: cbor.IndefLengthForbidden, UTF8: cbor.UTF8RejectInvalid,
	}
}

func strictDecoding() cbor.DecOptions {
	o := decoding()
	o.ExtraReturnErrors = cbor.ExtraDecErrorUnknownField
	return o
}

// must is for the tables above, whose options do not depend on anything.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Tags of COSE and CWT.
const (
	tagCWT   = 61
	tagMac0  = 17
	tagSign1 = 18
)

// Headers of COSE.
const (
	headerAlg  = 1
	headerCrit = 2
	headerKid  = 4
)

// envelope is a COSE_Mac0 or a COSE_Sign1.
type envelope struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected map[int64]cbor.RawMessage
	Payload     []byte
	Proof       []byte
}

var b64 = base64.RawURLEncoding

// Sign returns the token of claims in base64url, signed with k. Claims that could
// not be read back are an error.
func Sign(c Claims, k Key) (string, error) {
	payload, err := c.encode()
	if err != nil {
		return "", fmt.Errorf("cat: %w", err)
	}
	if _, err := decodeClaims(payload); err != nil {
		return "", fmt.Errorf("cat: %w", err)
	}
	protected, err := encoder.Marshal(map[int]any{headerAlg: int(k.Algorithm), headerKid: []byte(k.ID)})
	if err != nil {
		return "", fmt.Errorf("cat: %w", err)
	}
	e := envelope{Protected: protected, Unprotected: map[int64]cbor.RawMessage{}, Payload: payload}
	tag := uint64(tagSign1)
	if k.Algorithm == HS256 {
		tag = tagMac0
	}
	if e.Proof, err = k.prove(e.covered(tag)); err != nil {
		return "", err
	}
	raw, err := encoder.Marshal(cbor.Tag{Number: tagCWT, Content: cbor.Tag{Number: tag, Content: e}})
	if err != nil {
		return "", fmt.Errorf("cat: %w", err)
	}
	return b64.EncodeToString(raw), nil
}

// covered is what a proof is made over (RFC 9052 §4.4, §6.3).
func (e *envelope) covered(tag uint64) []byte {
	context := "Signature1"
	if tag == tagMac0 {
		context = "MAC0"
	}
	raw, err := encoder.Marshal([]any{context, e.Protected, []byte{}, e.Payload})
	if err != nil {
		panic("cat: bytes and text cannot be encoded: " + err.Error())
	}
	return raw
}

func (k *Key) prove(message []byte) ([]byte, error) {
	switch k.Algorithm {
	case HS256:
		if len(k.Secret) >= 32 {
			h := hmac.New(sha256.New, k.Secret)
			h.Write(message)
			return h.Sum(nil), nil
		}
	case ES256:
		if k.ECDSAPrivate != nil && k.ECDSAPrivate.Curve == elliptic.P256() {
			sum := sha256.Sum256(message)
			r, s, err := ecdsa.Sign(rand.Reader, k.ECDSAPrivate, sum[:])
			if err != nil {
				return nil, fmt.Errorf("cat: %w", err)
			}
			proof := make([]byte, 64)
			r.FillBytes(proof[:32])
			s.FillBytes(proof[32:])
			return proof, nil
		}
	case EdDSA:
		if len(k.EdPrivate) == ed25519.PrivateKeySize {
			return ed25519.Sign(k.EdPrivate, message), nil
		}
	}
	return nil, fmt.Errorf("cat: key %q cannot sign", k.ID)
}

// signs reports whether prove can succeed.
func (k *Key) signs() bool {
	return k.Algorithm == HS256 || k.Algorithm == ES256 && k.ECDSAPrivate != nil || k.Algorithm == EdDSA && len(k.EdPrivate) > 0
}

func (k *Key) proves(message, proof []byte) bool {
	switch k.Algorithm {
	case HS256:
		h := hmac.New(sha256.New, k.Secret)
		h.Write(message)
		return hmac.Equal(proof, h.Sum(nil))
	case ES256:
		if len(proof) != 64 {
			return false
		}
		sum := sha256.Sum256(message)
		return ecdsa.Verify(k.ECDSA, sum[:], new(big.Int).SetBytes(proof[:32]), new(big.Int).SetBytes(proof[32:]))
	case EdDSA:
		return len(proof) == ed25519.SignatureSize && ed25519.Verify(k.Ed25519, message, proof)
	}
	return false
}

// open takes the envelope off a token and returns what it says, if one of keys
// proves it, and that key. An unknown key id is never accepted.
func open(token string, keys []Key) (*Claims, *Key, error) {
	e, tag, err := decodeEnvelope(token)
	if err != nil {
		return nil, nil, err
	}
	alg, kid, err := e.headers()
	if err != nil {
		return nil, nil, err
	}
	if tag == 0 { // untagged: the algorithm tells which it is
		tag = tagSign1
		if alg == HS256 {
			tag = tagMac0
		}
	}
	if (tag == tagMac0) != (alg == HS256) {
		return nil, nil, errors.New("the algorithm does not fit the envelope")
	}
	k := find(keys, kid, alg)
	if k == nil {
		return nil, nil, errors.New("unknown key")
	}
	if !k.proves(e.covered(tag), e.Proof) {
		return nil, nil, errors.New("bad signature")
	}
	c, err := decodeClaims(e.Payload)
	return c, k, err
}

// find returns the key of an id, whose algorithm must be the token's: what a key is
// used for is not the bearer's choice.
func find(keys []Key, kid string, alg Algorithm) *Key {
	for i := range keys {
		if keys[i].ID == kid && keys[i].Algorithm == alg {
			return &keys[i]
		}
	}
	return nil
}

func decodeEnvelope(token string) (e envelope, tag uint64, err error) {
	if len(token) == 0 || len(token) > maxToken {
		return e, 0, fmt.Errorf("a token of %d characters", len(token))
	}
	raw, err := b64.Strict().DecodeString(strings.TrimRight(token, "="))
	if err != nil {
		return e, 0, err
	}
	var outer cbor.RawTag
	tagged := decoder.Unmarshal(raw, &outer) == nil
	if tagged && outer.Number == tagCWT { // the tag of COSE must follow (RFC 8392 §6)
		raw, outer = outer.Content, cbor.RawTag{}
		if err := decoder.Unmarshal(raw, &outer); err != nil {
			return e, 0, err
		}
	}
	if tagged {
		if outer.Number != tagMac0 && outer.Number != tagSign1 {
			return e, 0, fmt.Errorf("tag %d", outer.Number)
		}
		raw, tag = outer.Content, outer.Number
	}
	return e, tag, decoder.Unmarshal(raw, &e)
}

// headers returns the algorithm, which must be protected, and the key's id. Headers
// that have to be understood and are not are an error.
func (e *envelope) headers() (alg Algorithm, kid string, err error) {
	var protected map[int64]cbor.RawMessage
	if err := decoder.Unmarshal(e.Protected, &protected); err != nil {
		return 0, "", err
	}
	if _, ok := protected[headerCrit]; ok {
		return 0, "", errors.New("critical headers")
	}
	if err := decoder.Unmarshal(protected[headerAlg], &alg); err != nil {
		return 0, "", fmt.Errorf("algorithm: %w", err)
	}
	for _, m := range []map[int64]cbor.RawMessage{protected, e.Unprotected} {
		if raw, ok := m[headerKid]; ok {
			var id []byte
			if err := decoder.Unmarshal(raw, &id); err != nil {
				return 0, "", fmt.Errorf("key id: %w", err)
			}
			return alg, string(id), nil
		}
	}
	return alg, "", errors.New("no key id")
}
