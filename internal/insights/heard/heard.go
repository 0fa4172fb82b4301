// Package heard is the rule by which a play counts.
//
// A counted stream is a play in which 30 seconds of the track, or more, were
// actually rendered at normal rate. Of the track: a stretch that is heard twice in
// one play is heard once, and what was jumped over was not heard. A track under 30
// seconds counts at its end, if nine tenths of it were heard on the way there. Ads
// are no part of the track.
//
// As a play is a set of stretches, it does not matter in which order, how often or
// in how many pieces it is told: the set is the same.
package heard

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	melodyud "github.com/melodyud/melodyud"
)

const (
	// Enough is how much of a track makes a counted stream, in milliseconds.
	Enough = 30_000
	// most bounds the stretches of one play. A listener who jumps about more often
	// than that has the further ones ignored.
	most = 500
)

// Set is the different stretches of a track that were heard: in order, apart from
// each other, in milliseconds. The zero Set is of nothing.
type Set struct {
	stretches []stretch
}

type stretch struct{ from, to int64 }

// Add adds an interval, if it was rendered at normal rate and is not empty or before
// the track, and returns by how many milliseconds the set has grown.
func (s *Set) Add(i melodyud.Interval) int64 {
	if !i.Normal() || i.From < 0 || i.To <= i.From {
		return 0
	}
	before := s.Length()
	one := stretch{i.From, i.To}
	first, _ := slices.BinarySearchFunc(s.stretches, one.from, func(x stretch, from int64) int { return int(min(1, max(-1, x.to-from))) })
	last := first
	for last < len(s.stretches) && s.stretches[last].from <= one.to {
		one.from, one.to = min(one.from, s.stretches[last].from), max(one.to, s.stretches[last].to)
		last++
	}
	if first == last && len(s.stretches) >= most {
		return 0
	}
	s.stretches = slices.Replace(s.stretches, first, last, one)
	return s.Length() - before
}

// Length is how much was heard, in milliseconds.
func (s *Set) Length() (sum int64) {
	for _, one := range s.stretches {
		sum += one.to - one.from
	}
	return sum
}

// String writes the set as Parse reads it: "0-10000,20000-30000".
func (s *Set) String() string {
	parts := make([]string, len(s.stretches))
	for i, one := range s.stretches {
		parts[i] = fmt.Sprintf("%d-%d", one.from, one.to)
	}
	return strings.Join(parts, ",")
}

// Parse reads what String wrote; anything else is ErrInvalid.
func Parse(text string) (s Set, err error) {
	if text == "" {
		return s, nil
	}
	for one := range strings.SplitSeq(text, ",") {
		from, to, _ := strings.Cut(one, "-")
		a, err1 := strconv.ParseInt(from, 10, 64)
		b, err2 := strconv.ParseInt(to, 10, 64)
		if err1 != nil || err2 != nil || b <= a || s.Add(melodyud.Interval{From: a, To: b}) != b-a {
			return Set{}, fmt.Errorf("%w: heard stretches %.40q", melodyud.ErrInvalid, text)
		}
	}
	return s, nil
}

// Counts reports whether a play counts in which heard of a track of length, both in
// milliseconds, were rendered, and the end was reached or not. A length of 0 is not
// known.
func Counts(heard, length int64, ended bool) bool {
	if length > 0 && length < Enough {
		return ended && nearlyAll(heard, length)
	}
	return heard >= Enough
}

// Completes reports whether a play is a completion: nearly all of the track was
// rendered, or its end was reached.
func Completes(heard, length int64, ended bool) bool {
	return ended || length > 0 && nearlyAll(heard, length)
}

func nearlyAll(heard, length int64) bool { return heard*10 >= length*9 }
