package dash

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/Eyevinn/dash-mpd/mpd"

	melodyud "github.com/melodyud/melodyud"
)

const (
	profileCMAF      = "urn:mpeg:dash:profile:cmaf:2019"
	channelScheme    = "urn:mpeg:mpegB:cicp:ChannelConfiguration"
	switchingScheme  = "urn:mpeg:dash:adaptation-set-switching:2016"
	segmentTemplate  = "$RepresentationID$/s/$Number$.m4s"
	initTemplate     = "$RepresentationID$/init.mp4"
	sapAtEverySample = 1
)

// MPD prints the MPD of all renditions with virtual URLs.
func MPD(m *melodyud.Manifest) ([]byte, error) {
	return document(m, mpd.PROFILE_LIVE, func(melodyud.Codec) bool { return true }, virtual(m))
}

// Standard prints the MPD of the AAC renditions with virtual URLs (HLS-34 holds
// for DASH too).
func Standard(m *melodyud.Manifest) ([]byte, error) {
	return document(m, mpd.PROFILE_LIVE, func(c melodyud.Codec) bool { return c == melodyud.CodecAAC }, virtual(m))
}

// OnDemand prints the MPD of all renditions as files beside it.
func OnDemand(m *melodyud.Manifest) ([]byte, error) {
	return document(m, mpd.PROFILE_ONDEMAND, func(melodyud.Codec) bool { return true }, files)
}

// addressing says where a rendition's segments are.
type addressing func(*mpd.AdaptationSetType, *mpd.RepresentationType, *melodyud.Rendition)

func document(m *melodyud.Manifest, profile string, keep func(melodyud.Codec) bool, address addressing) ([]byte, error) {
	period := mpd.NewPeriod()
	period.Id, period.Start = "p0", mpd.Seconds2DurPtr(0)
	sets := map[family]*mpd.AdaptationSetType{}
	for i := range m.Renditions {
		r := &m.Renditions[i]
		if !keep(r.Codec) {
			continue
		}
		key := family{r.Codec, r.SampleRate}
		if sets[key] == nil {
			sets[key] = adaptationSet(len(sets) + 1)
			period.AppendAdaptationSet(sets[key])
		}
		address(sets[key], representation(sets[key], r), r)
	}
	if len(sets) == 0 {
		return nil, fmt.Errorf("%w: the track has no rendition for this MPD", melodyud.ErrNotFound)
	}
	markSwitching(period)
	doc := mpd.NewMPD(mpd.STATIC_TYPE)
	doc.Profiles = mpd.ListOfProfilesType(profile + "," + profileCMAF)
	doc.MediaPresentationDuration = presentation(m)
	doc.MinBufferTime = mpd.Seconds2DurPtr(m.TargetDuration)
	doc.AppendPeriod(period)
	text, err := doc.WriteToString(" ", true)
	if err != nil {
		return nil, fmt.Errorf("print MPD: %w", err)
	}
	return []byte(text + "\n"), nil
}

// family is what shares an AdaptationSet (DASH-2).
type family struct {
	codec melodyud.Codec
	rate  int
}

func adaptationSet(id int) *mpd.AdaptationSetType {
	a := mpd.NewAdaptationSetWithParams("audio", mpd.MIME_TYPE_AUDIO_MP4, true, sapAtEverySample)
	a.Id, a.Lang = mpd.Ptr(uint32(id)), "und"
	return a
}

func representation(a *mpd.AdaptationSetType, r *melodyud.Rendition) *mpd.RepresentationType {
	rep := mpd.NewAudioRepresentation(r.Name, r.Codecs, "", r.Bandwidth, r.SampleRate)
	rep.AudioChannelConfigurations = []*mpd.DescriptorType{mpd.NewDescriptor(channelScheme, strconv.Itoa(channelLayout(r.Channels)), "")}
	a.AppendRepresentation(rep)
	return rep
}

// channelLayout is the ChannelConfiguration (ISO/IEC 23091-3) of so many channels
// in WAV order. It is the number of channels but for quadraphony, 6.1 and 7.1: the
// values 4, 7 and 8 mean other loudspeakers.
func channelLayout(channels int) int {
	switch channels {
	case 4:
		return 10
	case 7:
		return 11
	case 8:
		return 12
	}
	return channels
}

// markSwitching lets players move between the families, whose segments are
// aligned (DASH-4).
func markSwitching(p *mpd.Period) {
	if len(p.AdaptationSets) < 2 {
		return
	}
	for _, a := range p.AdaptationSets {
		var others []string
		for _, b := range p.AdaptationSets {
			if *b.Id != *a.Id {
				others = append(others, strconv.Itoa(int(*b.Id)))
			}
		}
		a.SupplementalProperties = append(a.SupplementalProperties, mpd.NewDescriptor(switchingScheme, strings.Join(others, ","), ""))
	}
}

// presentation is the track's length rounded up to the milliseconds an MPD
// prints: rounded down, players would cut the last samples off.
func presentation(m *melodyud.Manifest) *mpd.Duration {
	d := m.Duration() + time.Millisecond - 1
	return mpd.Ptr(mpd.Duration(d.Truncate(time.Millisecond)))
}

// virtual puts one template with the common timeline into each set (DASH-3).
func virtual(m *melodyud.Manifest) addressing {
	return func(a *mpd.AdaptationSetType, _ *mpd.RepresentationType, r *melodyud.Rendition) {
		if a.SegmentTemplate != nil {
			return
		}
		t := mpd.NewSegmentTemplate()
		t.Timescale, t.StartNumber = mpd.Ptr(uint32(r.SampleRate)), mpd.Ptr(uint32(0))
		t.Initialization, t.Media = initTemplate, segmentTemplate
		t.SegmentTimeline = timeline(r.Durations)
		a.SegmentTemplate = t
	}
}

// timeline prints equal neighbours as one S; @r counts repeats after the first.
func timeline(durations []int64) *mpd.SegmentTimelineType {
	t := mpd.NewSegmentTimeline()
	for i, d := range durations {
		if n := len(t.S); n > 0 && t.S[n-1].D == uint64(d) {
			t.S[n-1].R++
			continue
		}
		s := &mpd.S{D: uint64(d)}
		if i == 0 {
			s.T = mpd.Ptr(uint64(0))
		}
		t.S = append(t.S, s)
	}
	return t
}

// files points at the track file, its init segment and its index.
func files(a *mpd.AdaptationSetType, rep *mpd.RepresentationType, r *melodyud.Rendition) {
	a.SegmentAlignment, a.SubsegmentAlignment, a.SubsegmentStartsWithSAP = false, true, sapAtEverySample
	rep.BaseURLs = []*mpd.BaseURLType{mpd.NewBaseURL(r.File)}
	rep.SetSegmentBase(uint32(r.InitSize), uint32(r.IndexSize), true)
	rep.SegmentBase.Timescale = mpd.Ptr(uint32(r.SampleRate))
}

// Check reads an MPD back and reports whether it has exactly the renditions of m,
// with their codecs and rates. Errors of content are ErrInvalid.
func Check(b []byte, m *melodyud.Manifest) error {
	var doc struct {
		XMLName         xml.Name `xml:"urn:mpeg:dash:schema:mpd:2011 MPD"`
		Representations []struct {
			ID        string `xml:"id,attr"`
			Codecs    string `xml:"codecs,attr"`
			Bandwidth int    `xml:"bandwidth,attr"`
		} `xml:"Period>AdaptationSet>Representation"`
	}
	if err := xml.Unmarshal(b, &doc); err != nil {
		return fmt.Errorf("%w: parse MPD: %w", melodyud.ErrInvalid, err)
	}
	if len(doc.Representations) != len(m.Renditions) {
		return fmt.Errorf("%w: MPD of %d representations, the track has %d",
			melodyud.ErrInvalid, len(doc.Representations), len(m.Renditions))
	}
	for i, got := range doc.Representations {
		want := &m.Renditions[i]
		if got.ID != want.Name || got.Codecs != want.Codecs || got.Bandwidth != want.Bandwidth {
			return fmt.Errorf("%w: MPD lacks rendition %s as it is", melodyud.ErrInvalid, want.Name)
		}
	}
	return nil
}
