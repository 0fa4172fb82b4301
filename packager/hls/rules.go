package hls

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// form is what follows the colon of a tag.
type form int

const (
	bare   form = iota // nothing
	list               // an attribute list
	number             // a decimal integer
	text               // anything
)

// kind says which playlists a tag may stand in (HLS-3).
type kind int

const (
	either kind = iota
	multivariant
	media
)

// tag is what RFC 8216 and its successor say of a tag.
type tag struct {
	form     form
	kind     kind
	once     bool
	required []string // attributes
}

// tags are those we know. Of LL-HLS and of other makers' many are only kept.
var tags = map[string]tag{
	"EXT-X-VERSION":              {form: number, once: true},
	"EXT-X-INDEPENDENT-SEGMENTS": {once: true},
	"EXT-X-START":                {form: list, once: true, required: []string{"TIME-OFFSET"}},
	"EXT-X-DEFINE":               {form: list},

	"EXT-X-STREAM-INF":         {form: list, kind: multivariant, required: []string{"BANDWIDTH"}},
	"EXT-X-I-FRAME-STREAM-INF": {form: list, kind: multivariant, required: []string{"BANDWIDTH", "URI"}},
	"EXT-X-MEDIA":              {form: list, kind: multivariant, required: []string{"TYPE", "GROUP-ID", "NAME"}},
	"EXT-X-SESSION-DATA":       {form: list, kind: multivariant, required: []string{"DATA-ID"}},
	"EXT-X-SESSION-KEY":        {form: list, kind: multivariant, required: []string{"METHOD", "URI"}},
	"EXT-X-CONTENT-STEERING":   {form: list, kind: multivariant, once: true, required: []string{"SERVER-URI"}},

	"EXT-X-TARGETDURATION":         {form: number, kind: media, once: true},
	"EXT-X-MEDIA-SEQUENCE":         {form: number, kind: media, once: true},
	"EXT-X-DISCONTINUITY-SEQUENCE": {form: number, kind: media, once: true},
	"EXT-X-PLAYLIST-TYPE":          {form: text, kind: media, once: true},
	"EXT-X-ENDLIST":                {kind: media, once: true},
	"EXT-X-I-FRAMES-ONLY":          {kind: media, once: true},
	"EXTINF":                       {form: text, kind: media},
	"EXT-X-BYTERANGE":              {form: text, kind: media},
	"EXT-X-DISCONTINUITY":          {kind: media},
	"EXT-X-GAP":                    {kind: media},
	"EXT-X-BITRATE":                {form: number, kind: media},
	"EXT-X-PROGRAM-DATE-TIME":      {form: text, kind: media},
	"EXT-X-KEY":                    {form: list, kind: media, required: []string{"METHOD"}},
	"EXT-X-MAP":                    {form: list, kind: media, required: []string{"URI"}},
	"EXT-X-DATERANGE":              {form: list, kind: media, required: []string{"ID"}},
	"EXT-X-PART":                   {form: list, kind: media, required: []string{"URI", "DURATION"}},
	"EXT-X-PART-INF":               {form: list, kind: media, once: true, required: []string{"PART-TARGET"}},
	"EXT-X-SERVER-CONTROL":         {form: list, kind: media, once: true},
	"EXT-X-PRELOAD-HINT":           {form: list, kind: media, required: []string{"TYPE", "URI"}},
	"EXT-X-RENDITION-REPORT":       {form: list, kind: media},
	"EXT-X-SKIP":                   {form: list, kind: media, required: []string{"SKIPPED-SEGMENTS"}},
}

// rules walks through a playlist.
type rules struct {
	kind    kind
	seen    map[string]bool // tags
	defined map[string]bool // variables

	dated   bool    // there are interstitials, which need a date
	waits   string  // the tag whose URI has not come: EXTINF or EXT-X-STREAM-INF
	longest float64 // seconds
	target  int
}

func (r *rules) line(l Line) error {
	if err := r.variables(l); err != nil {
		return err
	}
	if l.URI != "" {
		return r.uri(l.URI)
	}
	t, known := tags[l.Tag]
	if !known {
		if l.Tag == "EXTM3U" {
			return errors.New("#EXTM3U again")
		}
		return nil
	}
	if err := r.admit(l, t); err != nil {
		return fmt.Errorf("%s: %w", l.Tag, err)
	}
	if special := specials[l.Tag]; special != nil {
		if err := special(r, l); err != nil {
			return fmt.Errorf("%s: %w", l.Tag, err)
		}
	}
	return nil
}

// admit holds a tag to the table.
func (r *rules) admit(l Line, t tag) error {
	switch {
	case t.kind != either && r.kind != either && t.kind != r.kind:
		return errors.New("tags of both kinds of playlist (HLS-3)")
	case t.once && r.seen[l.Tag]:
		return errors.New("it stands twice")
	case t.form == bare && l.Value != "":
		return fmt.Errorf("it has the value %q", l.Value)
	case r.waits == "EXT-X-STREAM-INF":
		return errors.New("it stands between a variant and its URI")
	}
	if t.kind != either {
		r.kind = t.kind
	}
	r.seen[l.Tag] = true
	for _, name := range t.required {
		if _, ok := l.Attribute(name); !ok {
			return fmt.Errorf("it lacks %s", name)
		}
	}
	if t.form == number {
		if _, err := strconv.ParseUint(l.Value, 10, 63); err != nil {
			return fmt.Errorf("%q is no number", l.Value)
		}
	}
	return nil
}

func (r *rules) uri(uri string) error {
	if scheme, _, _ := strings.Cut(uri, ":"); strings.EqualFold(scheme, "file") {
		return fmt.Errorf("%q names a local file", uri)
	}
	if r.waits == "" && !r.seen["EXT-X-I-FRAMES-ONLY"] {
		return fmt.Errorf("no segment or variant has the URI %q", uri)
	}
	r.waits = ""
	return nil
}

// variable is a reference to a variable of EXT-X-DEFINE.
var variable = regexp.MustCompile(`\{\$([A-Za-z0-9_-]+)\}`)

// variables holds what a line uses to what was defined before (HLS-24).
func (r *rules) variables(l Line) error {
	values := []string{l.URI, l.Value}
	for _, a := range l.Attributes {
		values = append(values, a.Value)
	}
	for _, v := range values {
		for _, match := range variable.FindAllStringSubmatch(v, -1) {
			if !r.defined[match[1]] {
				return fmt.Errorf("nobody defined {$%s} (HLS-24)", match[1])
			}
		}
	}
	return nil
}

// specials are the rules of single tags.
var specials = map[string]func(*rules, Line) error{
	"EXTINF":               (*rules).extinf,
	"EXT-X-TARGETDURATION": (*rules).targetDuration,
	"EXT-X-STREAM-INF":     (*rules).streamInf,
	"EXT-X-SESSION-DATA":   (*rules).sessionData,
	"EXT-X-DEFINE":         (*rules).define,
	"EXT-X-KEY":            (*rules).key,
	"EXT-X-BYTERANGE":      (*rules).byteRange,
	"EXT-X-MAP":            (*rules).mapped,
	"EXT-X-PLAYLIST-TYPE":  (*rules).playlistType,
	"EXT-X-DATERANGE":      (*rules).dateRange,
}

func (r *rules) extinf(l Line) error {
	if r.waits != "" {
		return errors.New("the segment before has no URI")
	}
	duration, _, _ := strings.Cut(l.Value, ",")
	seconds, err := decimal(duration)
	if err != nil {
		return err
	}
	r.longest, r.waits = max(r.longest, seconds), "EXTINF"
	return nil
}

// decimal reads a decimal floating-point number, which has neither sign nor
// exponent (RFC 8216 §4.2).
func decimal(s string) (float64, error) {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || strings.Trim(s, "0123456789.") != "" {
		return 0, fmt.Errorf("%q is no decimal number", s)
	}
	return n, nil
}

func (r *rules) targetDuration(l Line) (err error) {
	r.target, err = strconv.Atoi(l.Value)
	return err
}

func (r *rules) streamInf(l Line) error {
	r.waits = "EXT-X-STREAM-INF"
	for _, name := range []string{"BANDWIDTH", "AVERAGE-BANDWIDTH"} {
		if v, ok := l.Attribute(name); ok {
			if _, err := strconv.ParseUint(v, 10, 63); err != nil {
				return fmt.Errorf("%s is %q", name, v)
			}
		}
	}
	return nil
}

func (r *rules) sessionData(l Line) error {
	_, value := l.Attribute("VALUE")
	_, uri := l.Attribute("URI")
	if value == uri {
		return errors.New("it needs VALUE or URI, not both (HLS-20)")
	}
	id, _ := l.Attribute("DATA-ID")
	language, _ := l.Attribute("LANGUAGE")
	key := "session data " + id + "\n" + language
	if r.seen[key] {
		return fmt.Errorf("%s stands twice (HLS-20)", id)
	}
	r.seen[key] = true
	return nil
}

func (r *rules) define(l Line) error {
	var names []string
	for _, source := range []string{"NAME", "IMPORT", "QUERYPARAM"} {
		if v, ok := l.Attribute(source); ok {
			names = append(names, v)
		}
	}
	_, value := l.Attribute("VALUE")
	_, name := l.Attribute("NAME")
	_, imported := l.Attribute("IMPORT")
	switch {
	case len(names) != 1 || value != name:
		return errors.New("it needs NAME and VALUE, IMPORT or QUERYPARAM, and only that (HLS-24)")
	case imported && r.kind == multivariant:
		return errors.New("only a media playlist imports (HLS-24)")
	case r.defined[names[0]]:
		return fmt.Errorf("%s is defined twice (HLS-24)", names[0])
	}
	if imported {
		r.kind = media
	}
	r.defined[names[0]] = true
	return nil
}

func (r *rules) key(l Line) error {
	method, _ := l.Attribute("METHOD")
	_, uri := l.Attribute("URI")
	if (method == "NONE") == uri {
		return fmt.Errorf("method %s and URI do not fit together (HLS-90)", method)
	}
	return nil
}

// byteRanges is n or n@o.
var byteRanges = regexp.MustCompile(`^[0-9]{1,18}(@[0-9]{1,18})?$`)

func (r *rules) byteRange(l Line) error {
	if !byteRanges.MatchString(l.Value) {
		return fmt.Errorf("%q is no range", l.Value)
	}
	return nil
}

func (r *rules) mapped(l Line) error {
	if v, ok := l.Attribute("BYTERANGE"); ok && (!byteRanges.MatchString(v) || !strings.Contains(v, "@")) {
		return fmt.Errorf("BYTERANGE %q has no offset (HLS-53)", v)
	}
	return nil
}

func (r *rules) playlistType(l Line) error {
	if !slices.Contains([]string{"VOD", "EVENT"}, l.Value) {
		return fmt.Errorf("%q is neither VOD nor EVENT", l.Value)
	}
	return nil
}

// end holds the whole to what only the whole shows.
func (r *rules) end() error {
	switch {
	case r.waits != "" && (r.kind == multivariant || r.seen["EXT-X-ENDLIST"]):
		return fmt.Errorf("the last %s has no URI", r.waits)
	case r.kind == either:
		return errors.New("it lists neither variants nor segments")
	case r.kind == multivariant && !r.seen["EXT-X-STREAM-INF"] && !r.seen["EXT-X-I-FRAME-STREAM-INF"]:
		return errors.New("it lists no variant")
	case r.dated && !r.seen["EXT-X-PROGRAM-DATE-TIME"]:
		return errors.New("interstitials without EXT-X-PROGRAM-DATE-TIME (AD-2)")
	case r.seen["EXT-X-I-FRAMES-ONLY"]:
		return nil
	case r.kind == media && !r.seen["EXT-X-TARGETDURATION"]:
		return errors.New("no EXT-X-TARGETDURATION (HLS-51)")
	case math.Round(r.longest) > float64(r.target) && r.kind == media:
		return fmt.Errorf("a segment lasts %g s, the target duration is %d s (HLS-51)", r.longest, r.target)
	}
	return nil
}
