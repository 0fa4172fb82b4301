package hls

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

// interstitialClass tells the date ranges that interrupt the primary content from
// others (AD-1).
const interstitialClass = "com.apple.hls.interstitial"

// Interstitial is a break in what a media playlist plays, in which a player plays
// something else and then goes on where it was (AD-1..6). All media playlists of
// one presentation list the same breaks (AD-2).
type Interstitial struct {
	ID  string // unique in the playlist: letters, digits, "-" and "_"
	Pre bool   // before anything is played, wherever that starts
	// At is when the break is, since the start of the playlist; whole milliseconds.
	At time.Duration
	// Snap moves the break to the closest boundary of segments.
	Snap bool
	// AssetList is where the assets are asked for: a URI that means the same seen
	// from every media playlist.
	AssetList string
}

func (i Interstitial) check() error {
	switch {
	case i.ID == "" || strings.Trim(i.ID, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "":
		return fmt.Errorf("%w: interstitial %q needs a plain name", melodyud.ErrInvalid, i.ID)
	case i.AssetList == "" || quotable(i.AssetList) != i.AssetList || strings.Contains(i.AssetList, "{$"):
		return fmt.Errorf("%w: the asset list of interstitial %s is %q", melodyud.ErrInvalid, i.ID, i.AssetList)
	case i.At < 0 || i.At%time.Millisecond != 0:
		return fmt.Errorf("%w: interstitial %s is at %v", melodyud.ErrInvalid, i.ID, i.At)
	}
	return nil
}

// dates are what the first segment begins at: a date says only how long after it
// something is.
const dates = "2006-01-02T15:04:05.000Z"

// line returns i as a tag. Nothing of it is repeated on replay, may be left by
// seeking or moves the music (CUE ONCE, X-RESTRICT, X-RESUME-OFFSET).
func (i Interstitial) line() Line {
	cue := "ONCE"
	if i.Pre {
		cue = "PRE,ONCE"
	}
	attributes := []Attribute{
		{"ID", i.ID, true}, {"CLASS", interstitialClass, true},
		{"START-DATE", time.UnixMilli(0).UTC().Add(i.At).Format(dates), true}, {"CUE", cue, true},
		{"X-ASSET-LIST", i.AssetList, true}, {"X-RESUME-OFFSET", "0", false}, {"X-RESTRICT", "SKIP,JUMP", true},
	}
	if i.Snap {
		attributes = append(attributes, Attribute{"X-SNAP", "OUT,IN", true})
	}
	return Line{Tag: "EXT-X-DATERANGE", Attributes: attributes}
}

// withInterstitials adds breaks to the text of a media playlist, behind its first
// map, and the date they count from (AD-2).
func withInterstitials(text []byte, breaks []Interstitial) ([]byte, error) {
	if len(breaks) == 0 {
		return text, nil
	}
	var tags strings.Builder
	tags.WriteString("#EXT-X-PROGRAM-DATE-TIME:" + time.UnixMilli(0).UTC().Format(dates) + "\n")
	seen := map[string]bool{}
	for _, b := range breaks {
		if err := b.check(); err != nil {
			return nil, err
		}
		if seen[b.ID] {
			return nil, fmt.Errorf("%w: two interstitials are called %s", melodyud.ErrInvalid, b.ID)
		}
		seen[b.ID] = true
		b.line().print(&tags)
		tags.WriteByte('\n')
	}
	at := bytes.Index(text, []byte("#EXT-X-MAP:"))
	if at < 0 {
		return nil, fmt.Errorf("%w: no map to put interstitials behind", melodyud.ErrInvalid)
	}
	at += bytes.IndexByte(text[at:], '\n') + 1
	return bytes.Join([][]byte{text[:at], []byte(tags.String()), text[at:]}, nil), nil
}

// interstitials returns the breaks among the lines of a playlist that was printed
// here.
func interstitials(d Document) (all []Interstitial, err error) {
	for _, l := range d.Lines {
		if class, _ := l.Attribute("CLASS"); l.Tag != "EXT-X-DATERANGE" || class != interstitialClass {
			continue
		}
		i, err := readInterstitial(l)
		if err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	return all, nil
}

func readInterstitial(l Line) (i Interstitial, err error) {
	start, _ := l.Attribute("START-DATE")
	at, err := time.Parse(dates, start)
	if err != nil {
		return i, fmt.Errorf("the date %q: %w", start, err)
	}
	i.ID, _ = l.Attribute("ID")
	i.AssetList, _ = l.Attribute("X-ASSET-LIST")
	i.At = at.Sub(time.UnixMilli(0))
	cue, _ := l.Attribute("CUE")
	i.Pre = listed(cue, "PRE")
	_, i.Snap = l.Attribute("X-SNAP")
	return i, i.check()
}

func listed(list, word string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if one == word {
			return true
		}
	}
	return false
}

// dateRange holds a date range to AD-1 and AD-5, and notes that a date is needed
// (AD-2).
func (r *rules) dateRange(l Line) error {
	cue, _ := l.Attribute("CUE")
	if listed(cue, "PRE") && listed(cue, "POST") {
		return errors.New("its cue is before and after everything (AD-5)")
	}
	for _, name := range []string{"DURATION", "PLANNED-DURATION"} {
		if v, ok := l.Attribute(name); ok {
			if _, err := decimal(v); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	class, _ := l.Attribute("CLASS")
	if class != interstitialClass {
		return nil
	}
	r.dated = true
	return isInterstitial(l)
}

func isInterstitial(l Line) error {
	_, one := l.Attribute("X-ASSET-URI")
	_, many := l.Attribute("X-ASSET-LIST")
	_, start := l.Attribute("START-DATE")
	offset, moves := l.Attribute("X-RESUME-OFFSET")
	_, err := strconv.ParseFloat(offset, 64)
	switch {
	case one == many:
		return errors.New("an interstitial needs X-ASSET-URI or X-ASSET-LIST, not both (AD-1)")
	case !start:
		return errors.New("an interstitial without START-DATE (AD-1)")
	case moves && err != nil:
		return fmt.Errorf("X-RESUME-OFFSET is %q (AD-3)", offset)
	}
	return nil
}
