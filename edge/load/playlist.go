package load

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// playlist is what a player reads from an HLS playlist: variants or segments.
type playlist struct {
	variants []variant // by their bandwidth
	init     string
	segments []segment
	length   time.Duration
}

type variant struct {
	bandwidth int64 // bits a second
	uri       string
}

type segment struct {
	length time.Duration
	uri    string
}

// parse reads the tags a player of whole tracks needs (RFC 8216).
func parse(body []byte) (*playlist, error) {
	p := &playlist{}
	var length time.Duration
	var bandwidth int64
	lines := bufio.NewScanner(bytes.NewReader(body))
	for n := 0; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		tag, rest, _ := strings.Cut(line, ":")
		switch {
		case n == 0 && line != "#EXTM3U":
			return nil, fmt.Errorf("not a playlist: it begins with %.20q", line)
		case tag == "#EXTINF":
			length = seconds(rest)
		case tag == "#EXT-X-MAP":
			p.init = attribute(rest, "URI")
		case tag == "#EXT-X-STREAM-INF":
			bandwidth, _ = strconv.ParseInt(attribute(rest, "BANDWIDTH"), 10, 64)
		case line == "" || line[0] == '#':
		case bandwidth > 0:
			p.variants = append(p.variants, variant{bandwidth, line})
			bandwidth = 0
		default:
			p.segments = append(p.segments, segment{length, line})
			p.length += length
		}
	}
	if len(p.variants) == 0 && p.length == 0 {
		return nil, fmt.Errorf("a playlist of nothing")
	}
	sort.SliceStable(p.variants, func(i, j int) bool { return p.variants[i].bandwidth < p.variants[j].bandwidth })
	return p, lines.Err()
}

func seconds(s string) time.Duration {
	number, _, _ := strings.Cut(s, ",")
	v, _ := strconv.ParseFloat(number, 64)
	return time.Duration(v * float64(time.Second))
}

// attribute returns a value of an attribute list without its quotes.
func attribute(list, name string) string {
	for list != "" {
		key, rest, _ := strings.Cut(list, "=")
		value, next, _ := strings.Cut(rest, ",")
		if strings.HasPrefix(rest, `"`) {
			value, next, _ = strings.Cut(rest[1:], `"`)
			next = strings.TrimPrefix(next, ",")
		}
		if strings.TrimSpace(key) == name {
			return value
		}
		list = next
	}
	return ""
}

// lists remembers parsed playlists by what came: addresses in them are relative, so
// thousands of listeners to a track share one.
type lists struct {
	mu    sync.Mutex
	known map[[sha256.Size]byte]*playlist
}

const mostLists = 4096

func (l *lists) parse(body []byte, zipped bool) (*playlist, error) {
	sum := sha256.Sum256(body)
	l.mu.Lock()
	p := l.known[sum]
	l.mu.Unlock()
	if p != nil {
		return p, nil
	}
	if zipped {
		var err error
		if body, err = unzip(body); err != nil {
			return nil, err
		}
	}
	p, err := parse(body)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil || len(l.known) >= mostLists {
		l.known = map[[sha256.Size]byte]*playlist{}
	}
	l.known[sum] = p
	return p, nil
}

func unzip(body []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(z, mostText))
}
