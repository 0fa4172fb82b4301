package packager

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"sync"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/packager/fmp4"
)

// Version names the form of the bytes this package writes. It is part of the
// render hash: whoever changes a byte of the output changes it.
const Version = "packager-3"

// Names of the files Seal writes beside the track files.
const (
	ManifestFile = "manifest.json"
	StandardFile = "index.m3u8" // AAC only (HLS-34)
	HifiFile     = "hifi.m3u8"  // lossless and AAC; only with a lossless rendition
	DashFile     = "manifest.mpd"
)

// TrackFile is the name of a rendition's track file.
func TrackFile(rendition string) string { return rendition + ".mp4" }

// Package is one track on its way into files. Open may be called from several
// goroutines, and sinks of one Package may be used from different goroutines, each
// sink from one at a time.
type Package struct {
	dir  string
	grid media.Grid

	mu     sync.Mutex
	sinks  []*sink
	sealed bool
}

// Create starts a package whose files go into dir, which is made if it is absent.
// What a killed process left unfinished in dir is removed: one package at a time.
func Create(dir string, grid media.Grid) (*Package, error) {
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = removeLeftovers(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("create package: %w", err)
	}
	return &Package{dir: dir, grid: grid}, nil
}

var renditionName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// Open starts a rendition. The stream must lie on the package's grid; its name
// must be new. A rendition that is opened must be finished before Seal. The sink
// also has a method Segments() int: how many segments lie complete in its spool.
func (p *Package) Open(s media.Stream) (media.Sink, error) {
	if err := p.checkStream(s); err != nil {
		return nil, fmt.Errorf("open rendition %s: %w", s.Name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sealed {
		return nil, fmt.Errorf("open rendition %s: the package is sealed", s.Name)
	}
	if slices.ContainsFunc(p.sinks, func(k *sink) bool { return k.stream.Name == s.Name }) {
		return nil, fmt.Errorf("open rendition %s: it is open already", s.Name)
	}
	k, err := newSink(p.dir, s)
	if err != nil {
		return nil, fmt.Errorf("open rendition %s: %w", s.Name, err)
	}
	p.sinks = append(p.sinks, k)
	return k, nil
}

func (p *Package) checkStream(s media.Stream) error {
	line, frame := p.grid.AAC, media.AACFrame
	if s.Codec == melodyud.CodecFLAC {
		line, frame = p.grid.Lossless, p.grid.FLACBlock
	}
	switch {
	case len(s.Name) > 64 || !renditionName.MatchString(s.Name):
		return errors.New("the name must be lower-case letters, digits and single dashes")
	case s.Name == "index" || s.Name == "hifi":
		return errors.New("the name belongs to a playlist")
	case s.Timeline != line:
		return fmt.Errorf("its timeline %+v is not the grid's %+v (ALIGN-4)", s.Timeline, line)
	case s.FrameSize != frame:
		return fmt.Errorf("its frame size is %d, the grid's %d", s.FrameSize, frame)
	}
	return nil
}

// Close lets go of the spools. Files of a sealed package stay. Closing twice is fine.
func (p *Package) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, k := range p.sinks {
		errs = append(errs, k.close())
	}
	return errors.Join(errs...)
}

// sink spools the segments of one rendition into a file of its own, because init
// and index come before them in the track file and are known last.
type sink struct {
	stream media.Stream
	cut    *fmp4.Cutter
	spool  *os.File // has no name any more, so that not even a kill leaves it behind
}

func newSink(dir string, s media.Stream) (*sink, error) {
	spool, err := os.CreateTemp(dir, "."+s.Name+".*.tmp")
	if err != nil {
		return nil, err
	}
	k := &sink{stream: s, spool: spool}
	if err = os.Remove(spool.Name()); err == nil {
		k.cut, err = fmp4.NewCutter(spool, s)
	}
	if err != nil {
		return nil, errors.Join(err, k.close())
	}
	return k, nil
}

// WritePacket implements media.Sink.
func (k *sink) WritePacket(p media.Packet) error {
	if err := k.cut.WritePacket(p); err != nil {
		return fmt.Errorf("package rendition %s: %w", k.stream.Name, err)
	}
	return nil
}

// Finish implements media.Sink.
func (k *sink) Finish(e media.Ending) error {
	if err := k.cut.Finish(e); err != nil {
		return fmt.Errorf("package rendition %s: %w", k.stream.Name, err)
	}
	return nil
}

// Segments returns how many segments are complete in the spool: one less than the
// packets would make, until the next is too long to belong to the last (HLS-73).
func (k *sink) Segments() int { return len(k.cut.Sizes()) }

// copyTo copies the spooled segments.
func (k *sink) copyTo(w io.Writer) error {
	if _, err := k.spool.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := io.Copy(w, k.spool)
	return err
}

func (k *sink) close() error {
	if err := k.spool.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
