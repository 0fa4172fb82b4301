package httpcache

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"
)

// directives are those of Cache-Control, or of a field that stands for it, by their
// names in lower case. Of a directive that comes twice the first counts (RFC 9111
// §4.2.1).
type directives map[string]string

func (d directives) has(name string) bool {
	_, ok := d[name]
	return ok
}

// forever is what a time of more seconds than fit counts as (RFC 9111 §1.2.2).
const forever = (1 << 31) * time.Second

// seconds returns a directive's time. One that is no number counts as 0: what it
// stands on is then stale (RFC 9111 §4.2.1).
func (d directives) seconds(name string) (t time.Duration, said bool) {
	value, said := d[name]
	t, _ = deltaSeconds(value)
	return t, said
}

// deltaSeconds reads RFC 9111 §1.2.2.
func deltaSeconds(s string) (time.Duration, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > math.MaxInt32 {
		return forever, true
	}
	return time.Duration(n) * time.Second, true
}

// parseDirectives reads the lines of a Cache-Control field (RFC 9111 §5.2).
// Arguments may be tokens or quoted strings. What is malformed has its name and no
// argument that could be taken for a number.
func parseDirectives(lines []string) directives {
	d := make(directives)
	for _, line := range lines {
		for element := range elements(line) {
			name, argument, _ := strings.Cut(element, "=")
			if trimmed := trim(name); trimmed != name {
				name, argument = trimmed, ""
			}
			if name = strings.ToLower(name); name != "" && !d.has(name) {
				d[name] = unquote(argument)
			}
		}
	}
	return d
}

// elements goes through a comma-separated list (RFC 9110 §5.6.1), in which commas
// within quoted strings do not count. Elements have no white space around them and
// are not empty.
func elements(line string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for line != "" {
			end := listEnd(line)
			if element := trim(line[:end]); element != "" && !yield(element) {
				return
			}
			line = line[min(end+1, len(line)):]
		}
	}
}

// listEnd finds the comma after the first element of a list, or the list's end.
func listEnd(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '\\' && quoted:
			i++
		case s[i] == ',' && !quoted:
			return i
		}
	}
	return len(s)
}

func trim(s string) string { return strings.Trim(s, " \t") }

// unquote reads a quoted string (RFC 9110 §5.6.4); what is none stays as it is.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	s = s[1 : len(s)-1]
	if !strings.Contains(s, `\`) {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

// targeted returns the directives of the first of the named fields that is there
// and valid (RFC 9213 §2.2). Cache-Control and Expires are then ignored.
func targeted(h http.Header, names []string) (directives, bool) {
	for _, name := range names {
		lines := h.Values(name)
		if len(lines) == 0 {
			continue
		}
		if d, ok := parseTargeted(lines); ok {
			return d, true
		}
	}
	return nil, false
}

// parseTargeted reads a dictionary (RFC 9213 §2.1). One that is malformed or empty
// counts as absent; directives of a wrong type are ignored.
func parseTargeted(lines []string) (directives, bool) {
	dictionary, err := httpsfv.UnmarshalDictionary(lines)
	if err != nil || len(dictionary.Names()) == 0 {
		return nil, false
	}
	d := make(directives)
	for _, name := range dictionary.Names() {
		member, _ := dictionary.Get(name)
		item, ok := member.(httpsfv.Item)
		if !ok {
			continue
		}
		switch v := item.Value.(type) {
		case bool:
			if v {
				d[name] = ""
			}
		case int64:
			d[name] = strconv.FormatInt(v, 10)
		case string:
			if !timed(name) {
				d[name] = v
			}
		}
	}
	return d, true
}

// timed reports whether a directive's argument is a time.
func timed(name string) bool {
	switch name {
	case "max-age", "s-maxage", "stale-while-revalidate", "stale-if-error":
		return true
	}
	return false
}
