package edge

import (
	"context"
	"fmt"
	"io"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/ticket"
	"github.com/melodyud/melodyud/packager/fmp4"
	"github.com/melodyud/melodyud/packager/hls"
)

const (
	// startSound is how much of the first segment goes with a start: enough for a
	// browser to begin with, little enough for a few packets.
	startSound = 500 * time.Millisecond
	mostStart  = 96 << 10 // bytes of the first segment
)

// StartWish says what a player is going to ask for.
type StartWish struct {
	Claims  ticket.Claims // of the ticket it has
	Track   melodyud.TrackID
	Release melodyud.ReleaseID
	// List are the releases that play as one, in their exact form; nil: Release alone.
	List []melodyud.ReleaseID
	// Lossless starts in the best rendition rather than in the AAC ladder.
	Lossless bool
	// Bandwidth is what the player expects of its connection, in bits per second; 0:
	// it has no idea.
	Bandwidth int
}

// StartFile is what an address below the folder of a track answers.
type StartFile struct {
	Path string
	Data []byte
	Size int64 // of the whole, of which Data may be the beginning only
	Text bool  // a playlist
}

// Start is what a player asks for first, so that whoever gives it a ticket can give
// it that too.
type Start struct {
	Rendition string // which the files are of
	Files     []StartFile
}

// Start returns what the addresses answer that a player of clear streams begins with:
// its two playlists, an init segment and, of a single track, the beginning of the first
// segment. Its errors are those of the addresses.
func (e *Edge) Start(ctx context.Context, w StartWish) (Start, error) {
	if len(w.List) > 0 {
		return e.startList(ctx, w)
	}
	known, err := e.releases.get(ctx, w.Release)
	if err != nil {
		return Start{}, err
	}
	p := play{manifest: known.manifest, offsets: known.offsets, claims: w.Claims}
	r := w.firstOf(p.manifest)
	if r == nil {
		return Start{}, errTier
	}
	name, flavour := w.flavour()
	s := Start{Rendition: r.Name}
	body, err := p.printMultivariant(w.Track, flavour)
	if err != nil {
		return Start{}, err
	}
	s.text(name, body)
	if body, err = p.printMedia(r.Name); err != nil {
		return Start{}, err
	}
	s.text(r.Name+"/index.m3u8", body)
	return s, e.startSound(ctx, p, r, &s)
}

// startList is Start for tracks that play as one. Their first segment is left to its
// address, which rewrites it.
func (e *Edge) startList(ctx context.Context, w StartWish) (Start, error) {
	found, err := all(ctx, w.List, e.releases.get)
	if err != nil {
		return Start{}, err
	}
	l := list{ids: w.List, releases: found, claims: w.Claims, form: exact}
	if l.sequence, err = newSequence(found); err != nil {
		return Start{}, err
	}
	r := w.firstOf(l.whole())
	if r == nil {
		return Start{}, errTier
	}
	return e.startOfList(ctx, l, w, r.Name)
}

func (e *Edge) startOfList(ctx context.Context, l list, w StartWish, rendition string) (Start, error) {
	name, flavour := w.flavour()
	s := Start{Rendition: rendition}
	body, err := l.printMultivariant(flavour)
	if err != nil {
		return Start{}, err
	}
	s.text(name, body)
	if body, err = l.playlist(nil, l.ivName(rendition), l.interstitials(e.config.Ads)); err != nil {
		return Start{}, err
	}
	s.text(rendition+"/index.m3u8", body)
	first := l.rendition(0, rendition)
	stored, err := e.bytesOf(ctx, l.manifests[0], first, part{0, first.InitSize})
	if err != nil {
		return Start{}, err
	}
	init, err := fmp4.SequenceInit(stored)
	if err != nil {
		return Start{}, fmt.Errorf("init segment of %s: %w", l.ids[0], err)
	}
	s.Files = append(s.Files, StartFile{Path: rendition + "/init/0.mp4", Data: init, Size: int64(len(init))})
	return s, nil
}

// flavour is the playlist to begin with.
func (w StartWish) flavour() (name string, f hls.Flavour) {
	if w.Lossless && w.Claims.Tier == ticket.Premium {
		return "hifi.m3u8", hls.Hifi
	}
	return "index.m3u8", hls.Standard
}

func (s *Start) text(path string, body []byte) {
	s.Files = append(s.Files, StartFile{Path: path, Data: body, Size: int64(len(body)), Text: true})
}

// startSound adds the init segment and the beginning of the first segment.
func (e *Edge) startSound(ctx context.Context, p play, r *melodyud.Rendition, s *Start) error {
	init, err := e.bytesOf(ctx, p.manifest, r, part{0, r.InitSize})
	if err != nil {
		return err
	}
	starts := p.offsets[r.Name]
	size := starts[1] - starts[0]
	head, err := e.bytesOf(ctx, p.manifest, r, part{starts[0], min(size, openingOf(p.manifest, size))})
	if err != nil {
		return err
	}
	s.Files = append(s.Files,
		StartFile{Path: r.Name + "/init.mp4", Data: init, Size: r.InitSize},
		StartFile{Path: r.Name + "/s/0.m4s", Data: head, Size: size})
	return nil
}

// openingOf is how much of a first segment of so many bytes lasts startSound, and the
// boxes before it.
func openingOf(m *melodyud.Manifest, size int64) int64 {
	const boxes = 1 << 10
	length := float64(m.Segments[0]) / float64(max(1, m.SampleRate))
	return boxes + min(mostStart, int64(float64(size)*startSound.Seconds()/max(length, startSound.Seconds())))
}

func (e *Edge) bytesOf(ctx context.Context, m *melodyud.Manifest, r *melodyud.Rendition, at part) ([]byte, error) {
	body := e.blocks.Reader(ctx, keyOf(m, r), r.Size, at.offset, at.length)
	return io.ReadAll(body)
}

// firstOf is the rendition to begin with: of those that are open to the player the
// best that its connection affords with a third to spare, or the cheapest. Without
// any idea of the connection it is the one that the playlist names first (HLS-15).
func (w StartWish) firstOf(m *melodyud.Manifest) *melodyud.Rendition {
	var best *melodyud.Rendition
	for i := range m.Renditions {
		r := &m.Renditions[i]
		lossless := r.Codec != melodyud.CodecAAC
		if !opens(w.Claims, r) || lossless && !w.Lossless {
			continue
		}
		if best == nil || lossless || w.affords(r) {
			best = r
		}
	}
	return best
}

// affordable is the rate that a player without any idea of its connection begins with.
const affordable = 192_000 // bits per second

func (w StartWish) affords(r *melodyud.Rendition) bool {
	if w.Bandwidth <= 0 {
		return r.AverageBandwidth <= affordable
	}
	return r.Bandwidth <= w.Bandwidth*3/4
}
