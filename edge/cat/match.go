package cat

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"maps"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/fxamacker/cbor/v2"
)

// Part is a part of an address that catu tells something about.
type Part int

// The parts. Of "/a/b.c.m4s" the parent path is "/a", the file name "b.c.m4s", the
// stem "b.c" and the extension ".m4s".
const (
	Scheme     Part = 0
	Host       Part = 1 // without a port, in lower case
	Port       Part = 2 // the scheme's if none is written
	Path       Part = 3 // as it is written, still escaped
	Query      Part = 4 // without "?", and without the token itself
	ParentPath Part = 5
	FileName   Part = 6
	Stem       Part = 7
	Extension  Part = 8
)

// Kind is how a Test compares.
type Kind int

// The kinds. Regex is in the syntax of RE2, may match anywhere, and Groups, as far
// as they are not empty, are what its groups must have found. The value of the two
// hashes is the 32 bytes of the sum.
const (
	Exact     Kind = 0
	Prefix    Kind = 1
	Suffix    Kind = 2
	Contains  Kind = 3
	Regex     Kind = 4
	SHA256    Kind = -1
	SHA512256 Kind = -2
)

// Test compares a text with a value.
type Test struct {
	Kind   Kind
	Value  string
	Groups []string // of Regex

	compiled *regexp.Regexp
}

// Match is a set of tests, all of which must hold.
type Match []Test

// Is returns the match of one test.
func Is(k Kind, value string) Match { return Match{{Kind: k, Value: value}} }

const (
	maxRegex  = 512 // bytes of a pattern
	maxHeader = 32  // headers a token may name
)

// holds reports whether all tests hold for a text.
func (m Match) holds(text string) bool {
	for i := range m {
		if !m[i].holds(text) {
			return false
		}
	}
	return len(m) > 0
}

func (t *Test) holds(text string) bool {
	switch t.Kind {
	case Exact:
		return text == t.Value
	case Prefix:
		return strings.HasPrefix(text, t.Value)
	case Suffix:
		return strings.HasSuffix(text, t.Value)
	case Contains:
		return strings.Contains(text, t.Value)
	case Regex:
		return t.found(text)
	case SHA256:
		sum := sha256.Sum256([]byte(text))
		return bytes.Equal(sum[:], []byte(t.Value))
	case SHA512256:
		sum := sha512.Sum512_256([]byte(text))
		return bytes.Equal(sum[:], []byte(t.Value))
	}
	return false
}

func (t *Test) found(text string) bool {
	if t.compiled == nil {
		return false
	}
	groups := t.compiled.FindStringSubmatch(text)
	if groups == nil {
		return false
	}
	for i, want := range t.Groups {
		if want != "" && groups[i+1] != want {
			return false
		}
	}
	return true
}

// check makes a test ready, or says what is wrong with it.
func (t *Test) check() (err error) {
	switch t.Kind {
	case Exact, Prefix, Suffix, Contains:
	case Regex:
		if len(t.Value) > maxRegex {
			return fmt.Errorf("a pattern of %d bytes", len(t.Value))
		}
		if t.compiled, err = regexp.Compile(t.Value); err != nil {
			return err
		}
		if len(t.Groups) > t.compiled.NumSubexp() {
			return fmt.Errorf("more groups than the pattern has")
		}
	case SHA256, SHA512256:
		if len(t.Value) != sha256.Size {
			return fmt.Errorf("a sum of %d bytes", len(t.Value))
		}
	default:
		return fmt.Errorf("match of kind %d", t.Kind)
	}
	return nil
}

func (m Match) encode() (map[int]any, error) {
	out := map[int]any{}
	for _, t := range m {
		if err := t.check(); err != nil {
			return nil, err
		}
		if _, twice := out[int(t.Kind)]; twice {
			return nil, fmt.Errorf("two tests of kind %d", t.Kind)
		}
		switch t.Kind {
		case Regex:
			list := []any{t.Value}
			for _, g := range t.Groups {
				if g == "" {
					list = append(list, nil)
				} else {
					list = append(list, g)
				}
			}
			out[int(t.Kind)] = list
		case SHA256, SHA512256:
			out[int(t.Kind)] = []byte(t.Value)
		default:
			out[int(t.Kind)] = t.Value
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("a match without tests")
	}
	return out, nil
}

func decodeMatch(raw cbor.RawMessage) (Match, error) {
	var m map[int64]cbor.RawMessage
	if err := decoder.Unmarshal(raw, &m); err != nil {
		return nil, err
	}
	if len(m) == 0 {
		return nil, fmt.Errorf("a match without tests")
	}
	var out Match
	for _, kind := range slices.Sorted(maps.Keys(m)) {
		t, err := decodeTest(Kind(kind), m[kind])
		if err == nil {
			err = t.check()
		}
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

func decodeTest(kind Kind, raw cbor.RawMessage) (Test, error) {
	t := Test{Kind: kind}
	switch kind {
	case Regex:
		var list []*string
		if err := decoder.Unmarshal(raw, &list); err != nil {
			return t, err
		}
		if len(list) == 0 || list[0] == nil {
			return t, fmt.Errorf("no pattern")
		}
		t.Value = *list[0]
		for _, g := range list[1:] {
			if g == nil {
				g = new("")
			}
			t.Groups = append(t.Groups, *g)
		}
		return t, nil
	case SHA256, SHA512256:
		var sum []byte
		if err := decoder.Unmarshal(raw, &sum); err != nil {
			var text string // as some issuers write it
			if err := decoder.Unmarshal(raw, &text); err != nil {
				return t, err
			}
			if sum, err = hex.DecodeString(text); err != nil {
				return t, err
			}
		}
		t.Value = string(sum)
		return t, nil
	}
	return t, decoder.Unmarshal(raw, &t.Value)
}

func decodeURI(raw cbor.RawMessage) (map[Part]Match, error) {
	var m map[int64]cbor.RawMessage
	if err := decoder.Unmarshal(raw, &m); err != nil {
		return nil, err
	}
	out := map[Part]Match{}
	for part, raw := range m {
		if part < int64(Scheme) || part > int64(Extension) {
			return nil, fmt.Errorf("part %d", part)
		}
		match, err := decodeMatch(raw)
		if err != nil {
			return nil, fmt.Errorf("part %d: %w", part, err)
		}
		out[Part(part)] = match
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no part")
	}
	return out, nil
}

func decodeHeaders(raw cbor.RawMessage) (map[string]Match, error) {
	var m map[string]cbor.RawMessage
	if err := decoder.Unmarshal(raw, &m); err != nil {
		return nil, err
	}
	if len(m) == 0 || len(m) > maxHeader {
		return nil, fmt.Errorf("%d headers", len(m))
	}
	out := map[string]Match{}
	for name, raw := range m {
		match, err := decodeMatch(raw)
		if err != nil {
			return nil, fmt.Errorf("header %q: %w", name, err)
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("header %q twice", name)
		}
		out[name] = match
	}
	return out, nil
}

// part returns a part of an address; query is its query without the token.
func part(u *url.URL, p Part, query string) string {
	path := u.EscapedPath()
	parent, file := path[:strings.LastIndexByte(path, '/')+1], path[strings.LastIndexByte(path, '/')+1:]
	dot := strings.LastIndexByte(file, '.')
	if dot < 0 {
		dot = len(file)
	}
	switch p {
	case Scheme:
		return strings.ToLower(u.Scheme)
	case Host:
		return strings.ToLower(u.Hostname())
	case Port:
		return port(u)
	case Path:
		return path
	case Query:
		return query
	case ParentPath:
		return strings.TrimSuffix(parent, "/")
	case FileName:
		return file
	case Stem:
		return file[:dot]
	case Extension:
		return file[dot:]
	}
	return ""
}

func port(u *url.URL) string {
	switch p := u.Port(); {
	case p != "":
		return p
	case strings.EqualFold(u.Scheme, "https"):
		return "443"
	}
	return "80"
}

// unambiguous reports whether a path means the same to everybody who reads it.
func unambiguous(path string) bool {
	if !strings.HasPrefix(path, "/") || strings.Contains(path, "//") || strings.Contains(path, "\\") {
		return false
	}
	low := strings.ToLower(path)
	for _, escape := range []string{"%2e", "%2f", "%5c", "%00"} {
		if strings.Contains(low, escape) {
			return false
		}
	}
	for element := range strings.SplitSeq(path, "/") {
		if element == "." || element == ".." {
			return false
		}
	}
	return true
}
