package hls

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	melodyud "github.com/melodyud/melodyud"
)

// Document is any playlist, line by line, of whoever's making: what hls-m3u8 does
// not keep or check. Printing and reading again gives the same Document.
type Document struct{ Lines []Line }

// Line is one line of a playlist: a tag, a URI, or a comment. Empty lines are not
// kept.
type Line struct {
	Tag        string      // "EXT-X-MAP", without the #; of tags we do not know too
	Value      string      // of a tag whose value is no attribute list, verbatim
	Attributes []Attribute // of a tag whose value is one
	URI        string      // of a line that is no tag
	Comment    string      // after the #, of a line that is neither
}

// Attribute is one NAME=value of an attribute list.
type Attribute struct {
	Name   string
	Value  string // without quotes
	Quoted bool
}

// Attribute returns the value of the attribute called name.
func (l Line) Attribute(name string) (value string, ok bool) {
	i := slices.IndexFunc(l.Attributes, func(a Attribute) bool { return a.Name == name })
	if i < 0 {
		return "", false
	}
	return l.Attributes[i].Value, true
}

// Bytes prints d.
func (d Document) Bytes() []byte {
	var b strings.Builder
	b.WriteString("#EXTM3U\n")
	for _, l := range d.Lines {
		l.print(&b)
		b.WriteByte('\n')
	}
	return []byte(b.String())
}

func (l Line) print(b *strings.Builder) {
	switch {
	case l.URI != "":
		b.WriteString(l.URI)
	case l.Tag == "":
		b.WriteString("#" + l.Comment)
	default:
		b.WriteString("#" + l.Tag)
		if l.Value != "" || len(l.Attributes) > 0 {
			b.WriteByte(':')
		}
		b.WriteString(l.Value)
		for i, a := range l.Attributes {
			if i > 0 {
				b.WriteByte(',')
			}
			a.print(b)
		}
	}
}

func (a Attribute) print(b *strings.Builder) {
	b.WriteString(a.Name + "=")
	if a.Quoted {
		b.WriteString(`"` + a.Value + `"`)
		return
	}
	b.WriteString(a.Value)
}

// Read reads a playlist and holds it to what players rely on: the syntax of HLS-1
// and HLS-2, one kind of tags (HLS-3), tags at most once where that is the rule,
// the attributes a tag cannot do without, segments and variants with their URIs,
// no segment longer than the target duration (HLS-51), no variable without a
// definition (HLS-24), no URI of a local file. The error is ErrInvalid and names
// the line. Tags it does not know are kept.
//
// Four slips that players read over are let pass: an empty item in an attribute
// list, a quote inside an unquoted value, an I-frame playlist without EXTINF, and
// the last segment of a playlist without EXT-X-ENDLIST lacking its URI.
func Read(b []byte) (Document, error) {
	if err := checkEncoding(b); err != nil {
		return Document{}, err
	}
	var d Document
	r := rules{seen: map[string]bool{}, defined: map[string]bool{}}
	for n, text := range strings.Split(string(b), "\n") {
		text = strings.TrimSuffix(text, "\r")
		if n == 0 || text == "" {
			continue // #EXTM3U
		}
		l, err := parseLine(text)
		if err == nil {
			err = r.line(l)
		}
		if err != nil {
			return Document{}, fmt.Errorf("%w: line %d: %w", melodyud.ErrInvalid, n+1, err)
		}
		d.Lines = append(d.Lines, l)
	}
	if err := r.end(); err != nil {
		return Document{}, fmt.Errorf("%w: %w", melodyud.ErrInvalid, err)
	}
	return d, nil
}

// checkEncoding holds b to HLS-1. Lines may end in CR LF.
func checkEncoding(b []byte) error {
	first, _, _ := strings.Cut(string(b), "\n")
	switch {
	case strings.TrimSuffix(first, "\r") != "#EXTM3U":
		return fmt.Errorf("%w: the first line is not #EXTM3U", melodyud.ErrInvalid)
	case !utf8.Valid(b):
		return fmt.Errorf("%w: not UTF-8", melodyud.ErrInvalid)
	}
	for i, c := range b {
		end := c == '\r' && i+1 < len(b) && b[i+1] == '\n'
		if c < ' ' && c != '\n' && c != '\t' && !end || c == 0x7F {
			return fmt.Errorf("%w: control character %#x at byte %d", melodyud.ErrInvalid, c, i)
		}
	}
	return nil
}

func parseLine(text string) (Line, error) {
	rest, hash := strings.CutPrefix(text, "#")
	switch {
	case !hash && strings.TrimSpace(text) != text:
		return Line{}, fmt.Errorf("spaces around the URI %q", text)
	case !hash:
		return Line{URI: text}, nil
	case !strings.HasPrefix(rest, "EXT"):
		return Line{Comment: rest}, nil
	}
	name, value, colon := strings.Cut(rest, ":")
	tag, known := tags[name]
	switch {
	case !known && colon && value == "":
		return Line{Comment: rest}, nil // keeps its colon
	case !known || tag.form != list:
		return Line{Tag: name, Value: value}, nil
	}
	attributes, err := parseAttributes(value)
	if err != nil {
		return Line{}, fmt.Errorf("%s: %w", name, err)
	}
	return Line{Tag: name, Attributes: attributes}, nil
}

// parseAttributes reads an attribute list (HLS-2, RFC 8216 §4.2).
func parseAttributes(s string) (list []Attribute, err error) {
	for {
		if s = strings.TrimLeft(s, ","); s == "" {
			return list, nil
		}
		var a Attribute
		if a, s, err = parseAttribute(s); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(list, func(b Attribute) bool { return a.Name == b.Name }) {
			return nil, fmt.Errorf("attribute %s stands twice", a.Name)
		}
		list = append(list, a)
		if s != "" && s[0] != ',' {
			return nil, fmt.Errorf("%q follows the value of %s", s, a.Name)
		}
	}
}

func parseAttribute(s string) (a Attribute, rest string, err error) {
	name, value, ok := strings.Cut(s, "=")
	if !ok || name == "" || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
		return a, "", fmt.Errorf("no attribute: %q", s)
	}
	if quoted, ok := strings.CutPrefix(value, `"`); ok {
		value, rest, ok = strings.Cut(quoted, `"`)
		if !ok {
			return a, "", fmt.Errorf("the quotes of %s do not end", name)
		}
		return Attribute{name, value, true}, rest, nil
	}
	if i := strings.IndexByte(value, ','); i >= 0 {
		value, rest = value[:i], value[i:]
	}
	if value == "" || strings.ContainsAny(value, " \t") {
		return a, "", fmt.Errorf("%s has the value %q", name, value)
	}
	return Attribute{name, value, false}, rest, nil
}
