package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database/sqlite"
	"github.com/melodyud/melodyud/internal/duplicates"
	"github.com/melodyud/melodyud/internal/objectstore/dir"
	"github.com/melodyud/melodyud/transcode/features/fingerprint"
)

// copies are what people make of a recording: options for ffmpeg, before the input
// (the trimmed heads) and after it. Each recording goes through some of them in turn.
var copies = []struct {
	name          string
	before, after string
}{
	{"mp3-64", "", "-c:a libmp3lame -b:a 64k -f mp3"},
	{"aac-96", "", "-c:a aac -b:a 96k -f adts"},
	{"opus-48", "", "-c:a libopus -b:a 48k -f ogg"},
	{"head-0.06", "-ss 0.062", "-c:a pcm_s16le -f wav"},
	{"mp3-128", "", "-c:a libmp3lame -b:a 128k -f mp3"},
	{"minus-12dB", "", "-af volume=-12dB -c:a pcm_s16le -f wav"},
	{"head-3.3", "-ss 3.3", "-c:a libmp3lame -b:a 192k -f mp3"},
	{"opus-96", "", "-c:a libopus -b:a 96k -f ogg"},
	{"mp3-320", "", "-c:a libmp3lame -b:a 320k -f mp3"},
	{"head-10.05", "-ss 10.05", "-c:a aac -b:a 128k -f adts"},
	{"aac-64", "", "-c:a aac -b:a 64k -f adts"},
	{"head-1.9-mp3-96", "-ss 1.9", "-c:a libmp3lame -b:a 96k -f mp3"},
}

const copiesEach = 4

// duplicatesTable publishes all recordings, then looks up copies of them.
func duplicatesTable(ctx context.Context, b *bench) ([]row, error) {
	files, err := b.recordings()
	if err != nil {
		return nil, err
	}
	for _, flavour := range []string{"piano", "band"} {
		clips, err := b.synA(ctx, flavour, fontTuned)
		if err != nil {
			return nil, err
		}
		for _, c := range clips {
			files = append(files, c.Path)
		}
	}
	s, end, err := openIndex(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	for i, file := range files {
		if err := b.publish(ctx, s, trackOf("A", i), file, -1); err != nil {
			return nil, err
		}
	}
	return b.lookUpCopies(ctx, s, files)
}

func openIndex(ctx context.Context) (*duplicates.Service, func(), error) {
	path, err := os.MkdirTemp("", "soundbench")
	if err != nil {
		return nil, nil, err
	}
	db, err := sqlite.Open(ctx, filepath.Join(path, "db"))
	if err != nil {
		return nil, nil, err
	}
	store, err := dir.Open(dir.Config{Path: filepath.Join(path, "objects")})
	if err != nil {
		return nil, nil, err
	}
	s, err := duplicates.New(duplicates.Config{DB: db, Store: store})
	return s, func() { _, _, _ = store.Close(), db.Close(), os.RemoveAll(path) }, err
}

func trackOf(kind string, i int) melodyud.TrackID {
	return melodyud.TrackID(fmt.Sprintf("trk_%s%04d", kind, i))
}

// publish indexes a file, or the copy of it, as a track.
func (b *bench) publish(ctx context.Context, s *duplicates.Service, id melodyud.TrackID, file string, copied int) error {
	items, err := b.printOfCopy(ctx, file, copied)
	if err != nil {
		return err
	}
	fact := melodyud.TrackFact{Track: id, Owner: "usr_1", Release: "rel_1", FeaturesHash: "f"}
	return s.Learn(ctx, fact, melodyud.Features{Duration: float64(len(items)) * fingerprint.ItemSeconds}, melodyud.Analysis{Print: items})
}

// printOfCopy returns a copy's print, which is kept in the cache.
func (b *bench) printOfCopy(ctx context.Context, file string, copied int) ([]uint32, error) {
	name := "original"
	if copied >= 0 {
		name = copies[copied].name
	}
	path, err := b.made(filepath.Base(file)+"-"+name+".print", func(to string) error {
		heard := file
		if copied >= 0 {
			heard = to + ".copy"
			defer os.Remove(heard)
			c := copies[copied]
			args := append([]string{"-nostdin", "-v", "error", "-y"}, strings.Fields(c.before)...)
			args = append(append(args, "-i", file, "-map", "0:a:0"), strings.Fields(c.after)...)
			if err := run(ctx, "ffmpeg", append(args, heard)...); err != nil {
				return err
			}
		}
		samples, err := sixteen(ctx, heard, 44100, 2)
		if err != nil {
			return err
		}
		items, err := printOf(samples, 44100, 2)
		if err != nil {
			return err
		}
		return os.WriteFile(to, []byte(fingerprint.Encode(items)), 0o666)
	})
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return fingerprint.Decode(string(text))
}

func (b *bench) lookUpCopies(ctx context.Context, s *duplicates.Service, files []string) ([]row, error) {
	found, review, wrong, n := 0, 0, 0, 0
	var missed []string
	for i, file := range files {
		for k := range copiesEach {
			which := (i + k*len(copies)/copiesEach) % len(copies)
			id := trackOf("B", n)
			n++
			if err := b.publish(ctx, s, id, file, which); err != nil {
				return nil, err
			}
			pairs, err := s.Pairs(ctx, id)
			if err != nil {
				return nil, err
			}
			kind := ""
			for _, p := range pairs {
				switch {
				case p.First == trackOf("A", i):
					kind = string(p.Kind)
				case song(files[i]) != song(files[number(p.First)]):
					wrong++
				}
			}
			switch kind {
			case string(duplicates.Recording):
				found++
			case string(duplicates.Review):
				review++
			default:
				missed = append(missed, filepath.Base(file)+"-"+copies[which].name)
			}
			if err := s.Forget(ctx, id); err != nil {
				return nil, err
			}
		}
	}
	all := share("copies found", "SYN-A + music", found+review, n).must(atLeast(0.99), bound{})
	all.note = strings.Join(missed[:min(len(missed), 5)], " ")
	return []row{
		all,
		share("copies called the same", "SYN-A + music", found, n),
		share("false matches", "SYN-A + music", wrong, n).must(atMost(0), bound{}),
	}, nil
}

// song is what files of the same music have in common: a piano and a band playing it.
func song(file string) string {
	name, _, _ := strings.Cut(filepath.Base(file), "_")
	return name
}

func number(id melodyud.TrackID) (n int) {
	_, _ = fmt.Sscanf(string(id), "trk_A%d", &n)
	return n
}
