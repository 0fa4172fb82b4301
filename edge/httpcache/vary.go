package httpcache

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// selecting is one request field that a response was chosen by, as its request had
// it (RFC 9111 §4.1).
type selecting struct {
	name, value string
	absent      bool
}

// selectingOf returns the fields that a response's Vary names; ok is false if it is
// "*", which no later request matches.
func selectingOf(request, response http.Header) (fields []selecting, ok bool) {
	for _, line := range response.Values("Vary") {
		for name := range elements(line) {
			if name == "*" {
				return nil, false
			}
			fields = append(fields, normalised(request, http.CanonicalHeaderKey(name)))
		}
	}
	slices.SortFunc(fields, func(a, b selecting) int { return cmp.Compare(a.name, b.name) })
	return slices.Compact(fields), true
}

// matches reports whether a request has the fields a response was chosen by.
func matches(fields []selecting, request http.Header) bool {
	for _, f := range fields {
		if normalised(request, f.name) != f {
			return false
		}
	}
	return true
}

// normalised makes values of the same meaning equal, as RFC 9111 §4.1 allows: lines
// are joined, white space around commas is dropped, and where we know a field to be
// a list of preferences its order and its letters' case do not count.
func normalised(h http.Header, name string) selecting {
	lines := h.Values(name)
	if len(lines) == 0 {
		return selecting{name: name, absent: true}
	}
	var list []string
	for _, line := range lines {
		for element := range elements(line) {
			if preferences(name) {
				element = preference(element)
			}
			list = append(list, element)
		}
	}
	if preferences(name) {
		slices.Sort(list)
	}
	return selecting{name: name, value: strings.Join(list, ",")}
}

func preferences(name string) bool {
	return name == "Accept-Encoding" || name == "Accept-Language" || name == "Accept-Charset"
}

// preference is a range of languages or the like with its weight in one spelling
// (RFC 9110 §12.4.2).
func preference(element string) string {
	value, weight, _ := strings.Cut(strings.ToLower(element), ";")
	weight = strings.Join(strings.FieldsFunc(weight, func(r rune) bool { return r == ' ' || r == '\t' }), "")
	if strings.Contains(weight, ".") {
		weight = strings.TrimRight(strings.TrimRight(weight, "0"), ".")
	}
	if value = trim(value); weight == "" || weight == "q=1" {
		return value
	}
	return value + ";" + weight
}
