package sqldb

import (
	"strconv"
	"strings"
)

// Dollar turns `?` into $1, $2, … outside of quotes and comments.
func Dollar(query string) string {
	if strings.IndexByte(query, '?') < 0 {
		return query
	}
	var out strings.Builder
	out.Grow(len(query) + 16)
	n := 0
	for i := 0; i < len(query); {
		if query[i] == '?' {
			n++
			out.WriteString("$" + strconv.Itoa(n))
			i++
			continue
		}
		end := i + span(query[i:])
		out.WriteString(query[i:end])
		i = end
	}
	return out.String()
}

// span is the length of what rest begins with and must be copied untouched: a
// quoted text or name, a comment, or one byte. A doubled quote is two spans.
func span(rest string) int {
	switch {
	case rest[0] == '\'' || rest[0] == '"':
		return through(rest, 1, rest[:1])
	case strings.HasPrefix(rest, "--"):
		return through(rest, 2, "\n")
	case strings.HasPrefix(rest, "/*"):
		return through(rest, 2, "*/")
	}
	return 1
}

func through(rest string, from int, end string) int {
	if n := strings.Index(rest[from:], end); n >= 0 {
		return from + n + len(end)
	}
	return len(rest)
}
