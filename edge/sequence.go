package edge

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/packager"
	"github.com/melodyud/melodyud/packager/fmp4"
	"github.com/melodyud/melodyud/packager/hls"
)

// form says how the sound of one track meets that of the next.
type form string

const (
	// plain is for players that play access units as they come. The priming of
	// every track but the first is left out; all decode times follow each other.
	plain form = "plain"
	// exact is for players that cut the sound themselves: every track keeps its
	// priming, which lies before its start, and the whole of its last access unit,
	// which lies beyond its end. Cut there, the join is exact to the sample (GAP-1..3).
	exact form = "exact"
)

// sequence is several tracks that play one after the other on one timeline.
type sequence struct {
	manifests []*melodyud.Manifest
	names     []string // renditions that all tracks have
	runs      []int    // the first track of each stretch that one init segment describes
	numbers   []int    // of the first segment of each track, and of one beyond the last
}

var errNoCommon = melodyud.Refuse(melodyud.ErrConflict, "playback.no-common-quality",
	"These tracks have no quality in common, so they cannot play as one. Play them one by one.")

func newSequence(tracks []*release) (*sequence, error) {
	ms := make([]*melodyud.Manifest, len(tracks))
	for k, one := range tracks {
		ms[k] = one.manifest
	}
	s := &sequence{manifests: ms, numbers: []int{0}}
	for _, r := range ms[0].Renditions {
		if inAll(ms, r.Name) {
			s.names = append(s.names, r.Name)
		}
	}
	if len(s.names) == 0 {
		return nil, errNoCommon
	}
	for k, m := range ms {
		s.numbers = append(s.numbers, s.numbers[k]+len(m.Segments))
		if k == 0 || !s.follows(k) {
			s.runs = append(s.runs, k)
		}
	}
	return s, nil
}

func inAll(ms []*melodyud.Manifest, name string) bool {
	for _, m := range ms {
		if r, ok := m.Rendition(name); !ok || len(r.Sizes) != len(m.Segments) || m.SampleRate <= 0 || r.SampleRate <= 0 {
			return false
		}
	}
	return true
}

// follows reports whether track k has the formats of the track before it in all
// renditions: they must discontinue at the same times (HLS-57).
func (s *sequence) follows(k int) bool {
	for _, name := range s.names {
		a, b := s.rendition(k-1, name), s.rendition(k, name)
		if a.Codecs != b.Codecs || a.SampleRate != b.SampleRate || a.Channels != b.Channels ||
			a.BitDepth != b.BitDepth || a.EncoderDelay != b.EncoderDelay {
			return false
		}
	}
	return true
}

// rendition returns one of s.names, which every track has.
func (s *sequence) rendition(k int, name string) *melodyud.Rendition {
	r, _ := s.manifests[k].Rendition(name)
	return r
}

func (s *sequence) has(name string) bool { return slices.Contains(s.names, name) }

// locate returns the track of segment n and its number there.
func (s *sequence) locate(n int) (track, segment int, ok bool) {
	for k := range s.manifests {
		if n >= s.numbers[k] && n < s.numbers[k+1] {
			return k, n - s.numbers[k], true
		}
	}
	return 0, 0, false
}

// opens reports whether track k is the first of a run.
func (s *sequence) opens(k int) bool { return slices.Contains(s.runs, k) }

// start is where track k begins, in seconds.
func (s *sequence) start(k int) float64 {
	var at float64
	for _, m := range s.manifests[:k] {
		at += float64(m.Samples) / float64(m.SampleRate)
	}
	return at
}

// base is the decode time at which track k begins in a rendition, in its samples.
// The exact form has the true time. The plain one counts samples, so that decode
// times follow each other even where a track's length is no whole number of them.
func (s *sequence) base(k int, name string, f form) int64 {
	if f == exact {
		return int64(math.Round(s.start(k) * float64(s.rendition(k, name).SampleRate)))
	}
	var at int64
	for j := range k {
		now, next := s.rendition(j, name), s.rendition(j+1, name)
		at += now.Samples
		if now.SampleRate != next.SampleRate {
			at = (at*int64(next.SampleRate) + int64(now.SampleRate) - 1) / int64(now.SampleRate)
		}
	}
	return at
}

// place says how segment i of track k is rewritten for a rendition.
func (s *sequence) place(k, i int, name string, f form) fmp4.Place {
	p := fmp4.Place{Shift: s.base(k, name, f), Number: s.numbers[k] + i + 1}
	delay := s.rendition(k, name).EncoderDelay
	if f == plain && i == 0 && !s.opens(k) {
		p.Skip = delay
	}
	p.Whole = f == exact && delay > 0 && s.numbers[k]+i+1 == s.numbers[k+1]
	return p
}

// target is the EXT-X-TARGETDURATION of all playlists (HLS-51).
func (s *sequence) target() int {
	most := 0
	for _, m := range s.manifests {
		most = max(most, m.TargetDuration)
	}
	return most
}

// lengths returns the EXTINF of every segment in microseconds. They are the
// differences of rounded times, so that their sums stay true (HLS-52).
func (s *sequence) lengths() []int64 {
	var out []int64
	var last int64
	for k, m := range s.manifests {
		began, samples := s.start(k), int64(0)
		for _, n := range m.Segments {
			samples += n
			end := int64(math.Round((began + float64(samples)/float64(m.SampleRate)) * 1e6))
			out = append(out, end-last)
			last = end
		}
	}
	return out
}

// playlist prints the media playlist of a rendition. Its keys, if it has any, are
// those of the given name.
func (s *sequence) playlist(keys *hls.Protection, name string, breaks []hls.Interstitial) ([]byte, error) {
	p := hls.Sequence{TargetDuration: s.target(), Interstitials: breaks}
	lengths := s.lengths()
	for k := range s.manifests {
		if s.opens(k) {
			p.Runs = append(p.Runs, hls.Run{Init: fmt.Sprintf("init/%d.mp4", len(p.Runs))})
		}
		run := &p.Runs[len(p.Runs)-1]
		for n := s.numbers[k]; n < s.numbers[k+1]; n++ {
			one := hls.Segment{Part: hls.Part{URI: "s/" + strconv.Itoa(n) + ".m4s"}, Microseconds: lengths[n]}
			if keys != nil && (len(run.Segments) == 0 || n%keys.Every == 0) {
				one.Keys = keys.Keys(name, n/keys.Every)
			}
			run.Segments = append(run.Segments, one)
		}
	}
	return p.Encode()
}

// whole describes s as if it were one track, as far as a Multivariant playlist
// goes. The rates are measured over the joins (HLS-40).
func (s *sequence) whole() *melodyud.Manifest {
	lengths := s.lengths()
	m := &melodyud.Manifest{TargetDuration: s.target(), SampleRate: 1_000_000, Segments: lengths}
	for _, name := range s.names {
		r := *s.rendition(0, name)
		r.Sizes = nil
		for k := range s.manifests {
			r.Sizes = append(r.Sizes, s.rendition(k, name).Sizes...)
		}
		r.Bandwidth, r.AverageBandwidth = packager.Bandwidth(r.Sizes, lengths, 1_000_000, s.target())
		m.Renditions = append(m.Renditions, r)
	}
	return m
}
