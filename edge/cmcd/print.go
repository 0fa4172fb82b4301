package cmcd

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Append writes the set to b, not escaped for a query, keys in the order of the
// alphabet (CMCD-1). What the version does not have is left out, and so is what
// says nothing: false, a rate of 1 and version 1.
func (d *Data) Append(b []byte) []byte { return d.print(b, func(Key) bool { return true }) }

func (d *Data) print(b []byte, wanted func(Key) bool) []byte {
	start := len(b)
	for _, k := range alphabetical {
		if !d.speaks(k) || !wanted(k) {
			continue
		}
		if len(b) > start {
			b = append(b, ',')
		}
		b = d.pair(b, k)
	}
	return b
}

// alphabetical is all keys in the order of their names.
var alphabetical = [keys]Key{
	Buffer, BitRate, Starved, StallLength, Content, Duration, Deadline, Event, ErrorCode, StartupDelay, Throughput, Next,
	NextRange, Object, Rate, MaxRate, Format, Session, Sequence, Stream, State, Urgent, TopBitRate, Time, Version,
}

// speaks reports whether k is told, can be told in this version and says anything.
func (d *Data) speaks(k Key) bool {
	r, version := &rules[k], d.Version()-1
	if !d.Has(k) || version < 0 || version >= newest || r.second && version == 0 {
		return false
	}
	switch {
	case k == Version:
		return version > 0
	case k == Rate:
		return d.numbers[k] != 1000
	case r.kind == flag:
		return d.numbers[k] == 1
	case r.kind == text, r.kind == token:
		return r.holds(d.texts[k], version)
	}
	return true
}

func (d *Data) pair(b []byte, k Key) []byte {
	r := &rules[k]
	b = append(b, r.name...)
	if r.kind == flag {
		return b
	}
	b = append(b, '=')
	inList := r.listed && d.Version() > 1
	if inList {
		b = append(b, '(')
	}
	switch r.kind {
	case number:
		b = strconv.AppendInt(b, d.numbers[k], 10)
	case decimal:
		b = appendThousandths(b, d.numbers[k])
	case token:
		b = append(b, d.texts[k]...)
	case text:
		b = appendQuoted(b, d.texts[k])
	}
	if inList {
		b = append(b, ')')
	}
	return b
}

func appendThousandths(b []byte, n int64) []byte {
	b = strconv.AppendInt(b, n/1000, 10)
	if n%1000 == 0 {
		return b
	}
	digits := strconv.FormatInt(1000+n%1000, 10)[1:]
	return append(append(b, '.'), strings.TrimRight(digits, "0")...)
}

func appendQuoted(b, s []byte) []byte {
	b = append(b, '"')
	for _, c := range s {
		if c == '"' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	return append(b, '"')
}

// Query returns the set as a parameter of a query, such as CMCD=bl%3D2100; "" if
// it says nothing (CMCD-2).
func (d *Data) Query() string {
	set := d.Append(nil)
	if len(set) == 0 {
		return ""
	}
	return Parameter + "=" + strings.ReplaceAll(url.QueryEscape(string(set)), "+", "%20")
}

// Headers adds the set to h, each key in the header it belongs to (CMCD-2).
func (d *Data) Headers(h http.Header) {
	for s, name := range headers {
		if set := d.print(nil, func(k Key) bool { return d.shard(k) == shard(s) }); len(set) > 0 {
			h.Set(name, string(set))
		}
	}
}

// shard is where k belongs: Rate has moved in the second version.
func (d *Data) shard(k Key) shard {
	if k == Rate && d.Version() > 1 {
		return ofStatus
	}
	return rules[k].shard
}
