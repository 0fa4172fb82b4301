// Package cmcd reads and writes Common Media Client Data: what players tell about
// themselves when they ask for a segment (CTA-5004), in a query parameter or in
// headers, and what they tell of events (CTA-5004-B).
//
// All that comes in is hostile: lengths are bounded, numbers have ranges, and what
// has the wrong type is as if it had not been told (CMCD-5, CMCD-9).
package cmcd

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	melodyud "github.com/melodyud/melodyud"
)

const (
	// MaxQuery is the most bytes of one set, after decoding (CMCD-9).
	MaxQuery = 8 << 10
	// Parameter is the name of the query parameter (CMCD-2).
	Parameter = "CMCD"
	// newest is the newest version that is understood.
	newest = 2
)

// The errors of the readers, of kind ErrInvalid: nothing of the set counts.
var (
	ErrSyntax  = fmt.Errorf("%w: CMCD: not a list of keys and values", melodyud.ErrInvalid)
	ErrLong    = fmt.Errorf("%w: CMCD: more than %d bytes", melodyud.ErrInvalid, MaxQuery)
	ErrVersion = fmt.Errorf("%w: CMCD: a version newer than %d", melodyud.ErrInvalid, newest)
)

// Data is what one set tells. The zero Data tells nothing, in the first version.
// Texts point into what was read: copy what is to be kept.
type Data struct {
	told    uint64 // a bit for each key
	numbers [keys]int64
	texts   [keys][]byte
}

// Has reports whether k was told.
func (d *Data) Has(k Key) bool { return d.told&(1<<k) != 0 }

// Number returns the value of a key with numbers; 0 if it was not told.
func (d *Data) Number(k Key) int64 { return d.numbers[k] }

// Text returns the value of a key with strings or tokens; nil if it was not told.
func (d *Data) Text(k Key) []byte { return d.texts[k] }

// Is reports whether a key that is true or false is true.
func (d *Data) Is(k Key) bool { return d.numbers[k] == 1 && rules[k].kind == flag }

// Version is 1 or 2.
func (d *Data) Version() int {
	if d.Has(Version) {
		return int(d.numbers[Version])
	}
	return 1
}

// SetNumber tells a number: a count, thousandths of a Rate, or 1 for true. It
// reports whether the key may have it.
func (d *Data) SetNumber(k Key, n int64) bool {
	r := &rules[k]
	switch r.kind {
	case flag:
		if n != 0 && n != 1 {
			return false
		}
	case number, decimal:
		if n < 0 || n > r.most[1] {
			return false
		}
	default:
		return false
	}
	d.numbers[k] = n
	d.told |= 1 << k
	return true
}

// SetText tells a string or a token. It reports whether the key may have it in any
// version.
func (d *Data) SetText(k Key, s []byte) bool {
	if !rules[k].holds(s, 0) && !rules[k].holds(s, 1) {
		return false
	}
	d.texts[k] = s
	d.told |= 1 << k
	return true
}

// holds reports whether s may be a text of the key in a version, counted from 0.
func (r *rule) holds(s []byte, version int) bool {
	switch r.kind {
	case text:
		return int64(len(s)) <= r.most[version] && printable(s)
	case token:
		for rest := r.tokens[version]; rest != ""; {
			var one string
			if one, rest, _ = strings.Cut(rest, " "); one == string(s) && one != "" {
				return true
			}
		}
	}
	return false
}

// printable reports whether s has nothing but what strings in headers may have
// (RFC 8941 §3.3.3).
func printable(s []byte) bool {
	for _, c := range s {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

func (d *Data) forget(k Key) {
	d.told &^= 1 << k
	d.numbers[k], d.texts[k] = 0, nil
}

// NextObject returns what a player says it will ask for next, as a path relative
// to what it asks for now. It reports false unless that is a plain file name or a
// path below it: nothing else is on the same track for certain (CMCD-9).
func (d *Data) NextObject() (string, bool) {
	raw := string(d.texts[Next])
	if d.Version() == 1 {
		var err error
		if raw, err = url.PathUnescape(raw); err != nil {
			return "", false
		}
	}
	if raw == "" || path.Clean(raw) != raw || path.IsAbs(raw) || strings.HasPrefix(raw, "..") ||
		strings.ContainsFunc(raw, func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune(`\%?#:`, c) }) {
		return "", false
	}
	return raw, true
}

// InHeaders reports whether any header of a request tells by CMCD.
func InHeaders(h http.Header) bool {
	for _, name := range canonical {
		if len(h[name]) > 0 {
			return true
		}
	}
	return false
}

// FromRequest reads what a request tells: by its headers alone if there is any of
// them, else by its query (CMCD-5).
func FromRequest(h http.Header, rawQuery string) (Data, error) {
	var all []byte
	for _, name := range canonical {
		for _, v := range h[name] {
			if len(all) > 0 {
				all = append(all, ',')
			}
			all = append(all, v...)
		}
	}
	if len(all) > 0 {
		return Parse(all)
	}
	return FromQuery(rawQuery, make([]byte, 0, len(rawQuery)))
}

// FromQuery reads the query of an address, still escaped. It needs as many bytes of
// room as the query has, into which the texts of Data point.
func FromQuery(rawQuery string, room []byte) (Data, error) {
	for rest := rawQuery; rest != ""; {
		var one string
		one, rest, _ = strings.Cut(rest, "&")
		name, value, _ := strings.Cut(one, "=")
		if name != Parameter {
			continue
		}
		decoded, ok := unescape(room[:0], value)
		if !ok {
			return Data{}, ErrSyntax
		}
		return Parse(decoded)
	}
	return Data{}, nil
}

// unescape appends s, a value of a query, to b.
func unescape(b []byte, s string) ([]byte, bool) {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '%':
			if i+2 >= len(s) {
				return b, false
			}
			high, low := hex(s[i+1]), hex(s[i+2])
			if high > 15 || low > 15 {
				return b, false
			}
			b = append(b, high<<4|low)
			i += 2
		case '+':
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	return b, true
}

func hex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 255
}

// StripQuery returns a query without what players tell about themselves. It is what a
// cache key may have of a query (CMCD-8).
func StripQuery(rawQuery string) string {
	if !strings.Contains(rawQuery, Parameter) {
		return rawQuery
	}
	kept := slices.DeleteFunc(strings.Split(rawQuery, "&"), func(one string) bool {
		name, _, _ := strings.Cut(one, "=")
		return name == Parameter
	})
	return strings.Join(kept, "&")
}

// Records reads the body of event mode: a set on each line (CMCD-3). It calls each
// with every set that can be read, until that returns an error, and returns how
// many could not be read.
func Records(body []byte, each func(*Data) error) (bad int, err error) {
	for len(body) > 0 {
		var line []byte
		line, body, _ = bytes.Cut(body, []byte{'\n'})
		if line = bytes.TrimSuffix(line, []byte{'\r'}); len(line) == 0 {
			continue
		}
		d, err := Parse(line)
		if errors.Is(err, melodyud.ErrInvalid) {
			bad++
			continue
		}
		if err := each(&d); err != nil {
			return bad, err
		}
	}
	return bad, nil
}
