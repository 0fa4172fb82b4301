package cmcd

import (
	"bytes"
	"math/bits"
)

// Parse reads a set, not escaped for a query. Unknown keys, values of the wrong
// type and values out of range are left out; what is no list of keys and values,
// too long or of a version we do not know is an error, and nothing counts (CMCD-5).
func Parse(set []byte) (Data, error) {
	if len(set) > MaxQuery {
		return Data{}, ErrLong
	}
	p := parser{rest: set}
	if err := p.all(); err != nil {
		return Data{}, err
	}
	if p.data.Version() > newest {
		return Data{}, ErrVersion
	}
	p.judge()
	return p.data, nil
}

// parser reads one set. rest begins with what is not read yet.
type parser struct {
	rest   []byte
	data   Data
	listed uint64 // keys whose value stood in parentheses
}

func (p *parser) all() error {
	for p.spaces(); len(p.rest) > 0; {
		if err := p.pair(); err != nil {
			return err
		}
		if p.spaces(); len(p.rest) == 0 {
			break
		}
		if !p.skip(',') {
			return ErrSyntax
		}
		if p.spaces(); len(p.rest) == 0 {
			return ErrSyntax
		}
	}
	return nil
}

func (p *parser) spaces() { p.rest = bytes.TrimLeft(p.rest, " \t") }

func (p *parser) skip(c byte) bool {
	if len(p.rest) == 0 || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// take returns the longest start of rest whose bytes are all in.
func (p *parser) take(in func(byte) bool) []byte {
	n := 0
	for n < len(p.rest) && in(p.rest[n]) {
		n++
	}
	taken := p.rest[:n:n]
	p.rest = p.rest[n:]
	return taken
}

func (p *parser) pair() error {
	name := p.take(isName)
	if len(name) == 0 {
		return ErrSyntax
	}
	k, isKnown := byName[string(name)]
	if isKnown {
		p.data.forget(k)
		p.listed &^= 1 << k
	}
	if !p.skip('=') {
		if isKnown && rules[k].kind == flag {
			p.data.SetNumber(k, 1)
		}
		return nil
	}
	v, ok := p.value()
	if !ok {
		return ErrSyntax
	}
	if isKnown {
		p.tell(k, v)
	}
	return nil
}

// form is how a value is written.
type form uint8

const (
	bare form = iota
	quoted
)

type value struct {
	form   form
	text   []byte
	listed bool
	empty  bool // a list with nothing in it
}

func (p *parser) value() (value, bool) {
	if !p.skip('(') {
		return p.item()
	}
	first := value{listed: true, empty: true}
	for {
		p.rest = bytes.TrimLeft(p.rest, " ")
		if p.skip(')') {
			return first, true
		}
		v, ok := p.item()
		if !ok || !p.parameters() || len(p.rest) == 0 || p.rest[0] != ' ' && p.rest[0] != ')' {
			return value{}, false
		}
		if first.empty {
			first = v
			first.listed = true
		}
	}
}

// parameters passes over what is told about an item of a list.
func (p *parser) parameters() bool {
	for p.skip(';') {
		p.rest = bytes.TrimLeft(p.rest, " ")
		if len(p.take(isName)) == 0 {
			return false
		}
		if p.skip('=') {
			if _, ok := p.item(); !ok {
				return false
			}
		}
	}
	return true
}

func (p *parser) item() (value, bool) {
	if p.skip('"') {
		s, ok := p.quoted()
		return value{form: quoted, text: s}, ok
	}
	s := p.take(isBare)
	return value{form: bare, text: s}, len(s) > 0
}

// quoted reads behind the first quotation mark. It copies only what is escaped.
func (p *parser) quoted() ([]byte, bool) {
	var copied []byte
	for i := 0; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			s := p.rest[:i:i]
			p.rest = p.rest[i+1:]
			if copied == nil {
				return s, true
			}
			return append(copied, s...), true
		case c == '\\':
			if i+1 >= len(p.rest) || p.rest[i+1] != '"' && p.rest[i+1] != '\\' {
				return nil, false
			}
			copied = append(append(copied, p.rest[:i]...), p.rest[i+1])
			p.rest, i = p.rest[i+2:], -1
		case c < ' ' || c == 0x7f:
			return nil, false
		}
	}
	return nil, false
}

func isName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' || c == '*'
}

// isBare holds for what numbers, tokens and booleans are made of.
func isBare(c byte) bool {
	switch c {
	case '"', ',', ';', '(', ')', '=', '\\':
		return false
	}
	return c > ' ' && c < 0x7f
}

// tell keeps a value if it has the key's type.
func (p *parser) tell(k Key, v value) {
	if v.empty {
		return
	}
	fits := false
	switch r := &rules[k]; {
	case (v.form == quoted) != (r.kind == text):
	case r.kind == text, r.kind == token:
		fits = p.data.SetText(k, v.text)
	case r.kind == flag:
		fits = string(v.text) == "?1" && p.data.SetNumber(k, 1)
	case r.kind == number:
		n, ok := digits(v.text)
		fits = ok && p.data.SetNumber(k, n)
	case r.kind == decimal:
		n, ok := thousandths(v.text)
		fits = ok && p.data.SetNumber(k, n)
	}
	if fits && v.listed {
		p.listed |= 1 << k
	}
}

// judge leaves out what the set's version does not have: now that it is known.
func (p *parser) judge() {
	version := p.data.Version() - 1
	if version < 0 {
		p.data = Data{}
		return
	}
	for told := p.data.told; told != 0; told &= told - 1 {
		k := Key(bits.TrailingZeros64(told))
		r := &rules[k]
		inList := p.listed&(1<<k) != 0
		wrong := inList != (r.listed && version > 0) || r.second && version == 0
		switch r.kind {
		case text, token:
			wrong = wrong || !r.holds(p.data.texts[k], version)
		}
		if wrong {
			p.data.forget(k)
		}
	}
}

// digits reads a whole number of up to 15 digits.
func digits(s []byte) (n int64, ok bool) {
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(s) > 0 && len(s) <= 15
}

// thousandths reads a decimal with up to three digits behind the point.
func thousandths(s []byte) (int64, bool) {
	whole, part, point := bytes.Cut(s, []byte{'.'})
	n, ok := digits(whole)
	if !ok || len(whole) > 12 || point && (len(part) == 0 || len(part) > 3) {
		return 0, false
	}
	for i := range 3 {
		n *= 10
		if i < len(part) {
			if part[i] < '0' || part[i] > '9' {
				return 0, false
			}
			n += int64(part[i] - '0')
		}
	}
	return n, true
}
