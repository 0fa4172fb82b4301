package hls

import (
	"fmt"
	"regexp"

	"github.com/Eyevinn/hls-m3u8/m3u8"

	melodyud "github.com/melodyud/melodyud"
)

// Steering lets a server send players to another of several hosts while they play
// (HLS-22): it is asked again and again, with what the player measured, and answers
// with a steering manifest, which is not ours to make.
type Steering struct {
	Server   string    // URI of the steering manifest, absolute or relative to the playlist
	Pathways []Pathway // where the renditions are; players start with the first
}

// Pathway is one host that has all the renditions.
type Pathway struct {
	ID   string // letters, digits, dots, dashes and underscores
	Base string // stands before the URI of every rendition; empty for the playlist's own host
}

// SteeringTag is EXT-X-CONTENT-STEERING.
type SteeringTag struct {
	Server  string // SERVER-URI
	Pathway string // PATHWAY-ID: where players start
}

var pathwayID = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// check holds s to HLS-22. No steering is fine.
func (s *Steering) check() error {
	if s == nil {
		return nil
	}
	if s.Server == "" || s.Server != quotable(s.Server) {
		return fmt.Errorf("%w: steering server %q is no URI", melodyud.ErrInvalid, s.Server)
	}
	if len(s.Pathways) == 0 {
		return fmt.Errorf("%w: steering by %s has no pathways", melodyud.ErrInvalid, s.Server)
	}
	seen := map[string]bool{}
	for _, p := range s.Pathways {
		if !pathwayID.MatchString(p.ID) || seen[p.ID] || p.Base != quotable(p.Base) {
			return fmt.Errorf("%w: pathway %q to %q", melodyud.ErrInvalid, p.ID, p.Base)
		}
		seen[p.ID] = true
	}
	return nil
}

// tag is what the playlist says of s.
func (s *Steering) tag() SteeringTag {
	if s == nil || len(s.Pathways) == 0 {
		return SteeringTag{}
	}
	return SteeringTag{s.Server, s.Pathways[0].ID}
}

// spread lists every variant once for each pathway, the first pathway first. They
// keep their STABLE-VARIANT-ID, by which a player finds the same quality elsewhere.
func (s *Steering) spread(vs []Variant) []Variant {
	if s == nil {
		return vs
	}
	var out []Variant
	for _, p := range s.Pathways {
		for _, v := range vs {
			v.URI, v.Pathway = p.Base+v.URI, p.ID
			out = append(out, v)
		}
	}
	return out
}

func (t SteeringTag) toLibrary() *m3u8.ContentSteering {
	if t == (SteeringTag{}) {
		return nil
	}
	return &m3u8.ContentSteering{ServerURI: t.Server, PathwayId: t.Pathway}
}

func fromLibrarySteering(in *m3u8.ContentSteering) SteeringTag {
	if in == nil {
		return SteeringTag{}
	}
	return SteeringTag{in.ServerURI, in.PathwayId}
}
