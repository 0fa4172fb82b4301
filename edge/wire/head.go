package wire

import (
	"bytes"
	"strconv"
)

// refusal is why the gate does not let a request through; zero: it does.
type refusal struct {
	status int
	code   string
	detail string
}

var (
	errLineEnd = refusal{400, "request.line-end", "A line of the request does not end with CR and LF."}
	errLine    = refusal{400, "request.line", "The request line is not method, address and HTTP/1.1 with one space between."}
	errField   = refusal{400, "request.field", "A header field of the request is not a name, a colon and a value on one line."}
	errHost    = refusal{400, "request.host", "The request must name its host exactly once."}
	errForeign = refusal{400, "request.foreign", "The request's address names another host than its Host field."}
	errLength  = refusal{400, "request.length", "The length of the request's body is not told, or told in two ways."}
	errCoding  = refusal{501, "request.coding", "The only transfer coding for requests is chunked."}
	errLarge   = refusal{431, "request.large", "The request's header fields are too large."}
)

// head is one request's head, taken apart. Its slices point into what was parsed.
type head struct {
	size    int   // bytes, with the empty line
	body    int64 // bytes that follow, as told by Content-Length
	chunked bool  // how many bytes follow is told by themselves

	request Request
	plain   bool // no field that the short way does not know

	method, target []byte
	old            bool // HTTP/1.0
	host           []byte
	hosts, lengths int
	why            refusal
}

// whole returns the size of the head b begins with, or 0 and from where to look on
// when more bytes are there. Lines must end with CR LF from the first one on: one
// who waits for the empty line would not see that of a head with bare LFs.
func whole(b []byte, from int) (size, next int, why refusal) {
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return 0, from, refusal{}
		}
		if i == 0 || b[from+i-1] != '\r' {
			return 0, from, errLineEnd
		}
		from += i + 1
		if i == 1 {
			return from, from, refusal{}
		}
	}
}

// parse takes a whole head apart and returns why it cannot be let through.
func (h *head) parse(b []byte) refusal {
	*h = head{size: len(b), plain: true}
	line, rest := cutLine(b)
	if !h.requestLine(line) {
		return errLine
	}
	for {
		line, rest = cutLine(rest)
		if len(line) == 0 {
			break
		}
		if h.field(line); h.why.status != 0 {
			return h.why
		}
	}
	return h.judge()
}

// cutLine returns the first line without its CR LF, and what follows. All lines have
// been seen by whole.
func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	return b[:i-1], b[i+1:]
}

func (h *head) requestLine(line []byte) bool {
	method, rest, ok1 := bytes.Cut(line, []byte{' '})
	target, version, ok2 := bytes.Cut(rest, []byte{' '})
	if !ok1 || !ok2 || !all(method, tokenChar) || len(target) == 0 {
		return false
	}
	switch string(version) {
	case "HTTP/1.1":
	case "HTTP/1.0":
		h.old = true
	default:
		return false
	}
	h.method, h.target = method, target
	h.request.Head = string(method) == "HEAD"
	return true
}

// field reads one header field. A folded line begins with a space and so has no name.
func (h *head) field(line []byte) {
	name, value, ok := bytes.Cut(line, []byte{':'})
	if !ok || !all(name, tokenChar) || !all(value, valueChar) {
		h.why = errField
		return
	}
	value = bytes.Trim(value, " \t")
	var room [longestName]byte
	if len(name) > len(room) {
		h.plain = false
		return
	}
	h.known(string(lower(room[:0], name)), value)
}

const longestName = 32 // of the fields below, with some room

// known acts on the fields that matter. The last case is those that change nothing
// in an answer from memory; what is not here goes to net/http.
func (h *head) known(name string, value []byte) {
	switch name {
	case "host":
		h.host = value
		h.hosts++
	case "content-length":
		h.contentLength(value)
	case "transfer-encoding":
		h.transferEncoding(value)
	case "accept-encoding":
		h.plain = h.plain && h.request.AcceptEncoding == nil
		h.request.AcceptEncoding = value
	case "x-request-id":
		h.plain = h.plain && h.request.ID == nil
		h.request.ID = value
	case "priority":
		h.plain = h.plain && urgent(value)
	case "connection":
		h.plain = h.plain && bytes.EqualFold(value, []byte("keep-alive"))
	case "accept", "accept-language", "user-agent", "origin", "referer", "dnt", "cookie",
		"cache-control", "pragma", "sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "sec-fetch-storage-access",
		"sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform", "sec-gpc", "save-data":
	default:
		h.plain = false
	}
}

// urgent reports whether a request has at least the urgency of one that says nothing
// (RFC 9218): nothing is fetched ahead for others.
func urgent(priority []byte) bool {
	_, level, told := bytes.Cut(priority, []byte("u="))
	return !told || len(level) > 0 && level[0] >= '0' && level[0] <= '3'
}

func (h *head) contentLength(value []byte) {
	h.lengths++
	h.plain = false
	n, err := strconv.ParseUint(string(value), 10, 63)
	if err != nil || !all(value, digit) || h.lengths > 1 || h.chunked {
		h.why = errLength
		return
	}
	h.body = int64(n)
}

func (h *head) transferEncoding(value []byte) {
	h.plain = false
	switch {
	case h.chunked || h.lengths > 0 || h.old:
		h.why = errLength
	case !bytes.EqualFold(value, []byte("chunked")):
		h.why = errCoding
	}
	h.chunked = true
}

// judge decides what only the whole head tells.
func (h *head) judge() refusal {
	if h.hosts > 1 || h.hosts == 0 && !h.old || !all(h.host, hostChar) {
		return errHost
	}
	if h.aim(); h.plain {
		return refusal{}
	}
	switch t := h.target; {
	case !all(t, visible):
		return errLine
	case t[0] == '/':
	case string(t) == "*" && string(h.method) == "OPTIONS":
	default:
		return h.absolute()
	}
	return refusal{}
}

// aim takes the target apart, if the request is plain that far.
func (h *head) aim() {
	if h.plain = h.plain && !h.old && len(h.host) > 0 && (h.request.Head || string(h.method) == "GET"); !h.plain {
		return
	}
	path, query, asked := bytes.Cut(h.target, []byte{'?'})
	h.request.Path, h.request.Query = path, query
	h.plain = simple(path) && (!asked || telemetry(query))
}

// telemetry reports whether a query is nothing but what a player tells of itself
// (CMCD-2), which no answer depends on.
func telemetry(query []byte) bool {
	return bytes.HasPrefix(query, []byte("CMCD=")) && all(query, visible) && !bytes.ContainsAny(query, "&#")
}

// absolute judges a target in absolute form, which must agree with Host: net/http
// goes by the one, a proxy in front perhaps by the other.
func (h *head) absolute() refusal {
	scheme, rest, ok := bytes.Cut(h.target, []byte("://"))
	if !ok || !bytes.EqualFold(scheme, []byte("http")) && !bytes.EqualFold(scheme, []byte("https")) {
		return errLine
	}
	if i := bytes.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	if len(rest) == 0 || !bytes.EqualFold(rest, h.host) {
		return errForeign
	}
	return refusal{}
}

// simple reports whether everybody reads this path alike: nothing escaped, no query,
// no empty or dotted steps.
func simple(path []byte) bool {
	return bytes.HasPrefix(path, []byte("/p/")) && path[len(path)-1] != '/' && all(path, pathChar) &&
		!bytes.Contains(path, []byte("//")) && !bytes.Contains(path, []byte("/."))
}
