package workers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/fault"
	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/packager"
	"github.com/melodyud/melodyud/transcode"
)

// renderer makes renditions of sound.
type renderer interface {
	Version() string
	Probe(ctx context.Context, f *os.File) (transcode.Facts, error)
	Render(ctx context.Context, f *os.File, job transcode.Job) (transcode.Report, error)
}

// engine is what knows sound, as one object.
type engine interface {
	renderer
	listener
}

// RenderHash names the folder media/<hash>/ of a master rendered with this engine
// and ladder: 32 hexadecimal digits. What would make other bytes makes another
// name.
func RenderHash(engine interface{ Version() string }, masterSHA256 string, ladder melodyud.Ladder) string {
	return recipe{master: masterSHA256, ladder: ladder}.hash(engine)
}

// recipe is what decides the bytes of a rendering besides the engine.
type recipe struct {
	master string // SHA-256, in hexadecimal
	ladder melodyud.Ladder
	gain   int // hundredths of a decibel
}

func (r recipe) hash(engine interface{ Version() string }) string {
	text := fmt.Appendf(nil, "%s\n%s\n%s\n%s\n%d\n",
		r.master, r.ladder, engine.Version(), packager.Version, melodyud.ManifestVersion)
	if r.gain != 0 {
		text = fmt.Appendf(text, "%s %d\n", transcode.LevelVersion, r.gain)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// Rendered is what RenderFile has made and found out.
type Rendered struct {
	Manifest melodyud.Manifest
	Tags     melodyud.Tags
	HasCover bool
	Warnings []string // about what was odd in the file but did no harm
	// FirstSegment is how long after the start the first segment of the lowest
	// rendition lay complete in its spool; of shorter tracks, the whole took.
	FirstSegment time.Duration
	spooled      time.Time // when that was; zero if never
}

// RenderFile renders src into dir, which it makes: one track file for each rung,
// playlists, features.json, analysis.json, waveform.dat, the cover picture if there
// is one, and manifest.json. The same master, engine and ladder give the same bytes.
// masterSHA256 is src's, in hexadecimal. progress, if not nil, hears the fraction
// done from one goroutine. What is wrong with the file is a *melodyud.Refusal.
func RenderFile(ctx context.Context, engine renderer, src *os.File, masterSHA256, dir string,
	ladder melodyud.Ladder, progress func(fraction float64),
) (Rendered, error) {
	began := time.Now()
	facts, err := probe(ctx, engine, src)
	if err != nil {
		return Rendered{}, err
	}
	if err := fault.Point("render.validated"); err != nil {
		return Rendered{}, err
	}
	out, err := renderFile(ctx, engine, src, facts, recipe{master: masterSHA256, ladder: ladder}, dir, progress)
	if out.FirstSegment = time.Since(began); !out.spooled.IsZero() {
		out.FirstSegment = out.spooled.Sub(began)
	}
	return out, err
}

func probe(ctx context.Context, engine renderer, src *os.File) (transcode.Facts, error) {
	if _, err := src.Seek(0, io.SeekStart); err != nil {
		return transcode.Facts{}, fmt.Errorf("rewind master: %w", err)
	}
	return engine.Probe(ctx, src)
}

func renderFile(ctx context.Context, engine renderer, src *os.File, facts transcode.Facts, how recipe, dir string,
	progress func(fraction float64),
) (out Rendered, err error) {
	if _, err := src.Seek(0, io.SeekStart); err != nil {
		return Rendered{}, fmt.Errorf("rewind master: %w", err)
	}
	pack, err := packager.Create(dir, media.NewGrid(facts.SampleRate))
	if err != nil {
		return Rendered{}, onDisk(err)
	}
	defer func() { err = onDisk(errors.Join(err, pack.Close())) }()
	first := &firstSegment{open: pack.Open, rendition: lowest(how.ladder)}
	report, err := engine.Render(ctx, src, transcode.Job{Ladder: how.ladder, Gain: how.gain, Open: first.Open, Progress: progress})
	if err != nil {
		return Rendered{}, err
	}
	out = Rendered{Tags: report.Tags, Warnings: report.Warnings, spooled: first.at}
	if out.HasCover, err = writeCover(dir, report.Cover); err != nil {
		return Rendered{}, err
	}
	if err := writeFeatures(dir, how.master, report); err != nil {
		return Rendered{}, err
	}
	out.Manifest, err = pack.Seal(packager.Meta{
		RenderHash: how.hash(engine), MasterSHA256: how.master, Gain: how.gain,
		Source: report.Source, Loudness: report.Loudness, SampleRate: report.SampleRate, Samples: report.Samples,
	})
	return out, err
}

// lowest returns the name of the rung of the lowest bit rate.
func lowest(ladder melodyud.Ladder) string {
	name, least := "", 0
	for _, r := range ladder {
		if name == "" || r.Codec != melodyud.CodecFLAC && (least == 0 || r.Bitrate < least) {
			name, least = r.Name(), r.Bitrate
		}
	}
	return name
}

// firstSegment notes when the first segment of a rendition is complete.
type firstSegment struct {
	open      func(media.Stream) (media.Sink, error)
	rendition string
	at        time.Time
}

// Open opens a sink, which it watches if it is the rendition's.
func (f *firstSegment) Open(s media.Stream) (media.Sink, error) {
	sink, err := f.open(s)
	if spool, ok := sink.(spool); ok && s.Name == f.rendition {
		return &watched{spool: spool, first: f}, err
	}
	return sink, err
}

// spool is a sink that counts its segments.
type spool interface {
	media.Sink
	Segments() int
}

type watched struct {
	spool
	first *firstSegment
}

// WritePacket implements media.Sink.
func (w *watched) WritePacket(p media.Packet) error {
	err := w.spool.WritePacket(p)
	if w.first.at.IsZero() && w.Segments() > 0 {
		w.first.at = time.Now()
	}
	return err
}

// coverFile is the name of a cover picture whose longest side is at most so many
// pixels.
func coverFile(size int) string { return fmt.Sprintf("cover-%d.jpg", size) }

// writeCover writes the cover in all its sizes, if there is one.
func writeCover(dir string, c transcode.Cover) (bool, error) {
	if c.None() {
		return false, nil
	}
	for i, size := range transcode.CoverSizes {
		if err := os.WriteFile(filepath.Join(dir, coverFile(size)), c[i], 0o644); err != nil {
			return false, fmt.Errorf("write %s: %w", coverFile(size), err)
		}
	}
	return true, nil
}
