package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"

	"github.com/melodyud/melodyud/transcode/pcm"
)

// clip is a piece of sound and what is known of it.
type clip struct {
	Name  string
	Path  string    // any file ffmpeg reads
	BPM   float64   `json:"bpm"`
	Key   string    `json:"key"` // such as "Ab:min"
	Beats []float64 `json:"beats"`
	Down  []float64 `json:"down"`
}

// The sound fonts of Debian's fluid-soundfont-gm and timgm6mb-soundfont. Nothing
// is tuned on the second.
const (
	fontTuned   = "/usr/share/sounds/sf2/FluidR3_GM.sf2"
	fontHeldOut = "/usr/share/sounds/sf2/TimGM6mb.sf2"
)

// synA renders the excerpts of POP909 in the corpus: flavour "piano" or "band".
func (b *bench) synA(ctx context.Context, flavour, font string) ([]clip, error) {
	dir := filepath.Join(b.corpus, "tempo-key", "pop909")
	file, err := os.ReadFile(filepath.Join(dir, "truth.json"))
	if err != nil {
		return nil, fmt.Errorf("the truth of SYN-A: %w", err)
	}
	truth := map[string]clip{}
	if err := json.Unmarshal(file, &truth); err != nil {
		return nil, fmt.Errorf("the truth of SYN-A: %w", err)
	}
	var clips []clip
	for name, c := range truth {
		if !strings.HasSuffix(name, "_"+flavour) {
			continue
		}
		c.Name = name
		c.Path, err = b.render(ctx, filepath.Join(dir, name+".mid"), font)
		if err != nil {
			return nil, err
		}
		clips = append(clips, c)
	}
	sort.Slice(clips, func(i, k int) bool { return clips[i].Name < clips[k].Name })
	return clips, nil
}

// render returns the WAV file a sound font makes of a MIDI file.
func (b *bench) render(ctx context.Context, midi, font string) (string, error) {
	base := strings.TrimSuffix(filepath.Base(midi), ".mid") + "-" + strings.TrimSuffix(filepath.Base(font), ".sf2")
	return b.made(base+".wav", func(to string) error {
		return run(ctx, "fluidsynth", "-ni", "-q", "-g", "0.5", "-r", "44100", "-F", to, "-T", "wav", "-O", "s16", font, midi)
	})
}

// made returns the path of a file in the cache, which is made if it is not there.
func (b *bench) made(name string, make func(to string) error) (string, error) {
	path := filepath.Join(b.cache, name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	part := filepath.Join(b.cache, "part-"+name)
	if err := make(part); err != nil {
		os.Remove(part)
		return "", err
	}
	return path, os.Rename(part, path)
}

// said returns what a tool prints, which is kept in the cache: tools take longer
// than we do.
func (b *bench) said(ctx context.Context, name, tool string, args ...string) (string, error) {
	path, err := b.made(name+".txt", func(to string) error {
		out, err := exec.CommandContext(ctx, tool, args...).Output()
		if err != nil {
			return fmt.Errorf("%s: %w", tool, err)
		}
		return os.WriteFile(to, out, 0o666)
	})
	if err != nil {
		return "", err
	}
	out, err := os.ReadFile(path)
	return string(out), err
}

func run(ctx context.Context, tool string, args ...string) error {
	cmd := exec.CommandContext(ctx, tool, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", tool, err, lastLine(stderr.String()))
	}
	return nil
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// fofSongs returns the eight songs of Debian's packages fretsonfire-songs-muldjord
// and -sectoid, their two stems added, the first 180 s, with the tempo that
// people wrote into their charts.
func (b *bench) fofSongs(ctx context.Context) ([]clip, error) {
	var clips []clip
	for _, author := range []string{"muldjord", "sectoid"} {
		dir, err := b.debian(ctx, "fretsonfire-songs-"+author)
		if err != nil {
			return nil, err
		}
		charts, err := filepath.Glob(filepath.Join(dir, "usr/share/games/fretsonfire/data/songs", author, "*", "notes.mid"))
		if err != nil {
			return nil, err
		}
		for _, chart := range charts {
			c, err := b.fofSong(ctx, author, chart)
			if err != nil {
				return nil, err
			}
			clips = append(clips, c)
		}
	}
	return clips, nil
}

func (b *bench) fofSong(ctx context.Context, author, chart string) (clip, error) {
	song := filepath.Dir(chart)
	c := clip{Name: author + "-" + filepath.Base(song)}
	midi, err := os.ReadFile(chart)
	if err != nil {
		return clip{}, err
	}
	at := bytes.Index(midi, []byte{0xff, 0x51, 3})
	if at < 0 || at+6 > len(midi) {
		return clip{}, fmt.Errorf("%s has no tempo", chart)
	}
	c.BPM = 60e6 / float64(binary.BigEndian.Uint32(midi[at+2:])&0xffffff)
	c.Path, err = b.made(c.Name+".wav", func(to string) error {
		return run(ctx, "ffmpeg", "-nostdin", "-v", "error", "-i", filepath.Join(song, "song.ogg"), "-i", filepath.Join(song, "guitar.ogg"),
			"-filter_complex", "amix=inputs=2:normalize=0", "-t", "180", "-ar", "44100", "-ac", "2", "-f", "wav", to)
	})
	return c, err
}

// debian returns the directory in which a package's files are, installing nothing.
func (b *bench) debian(ctx context.Context, name string) (string, error) {
	return b.made(name, func(to string) error {
		if err := os.MkdirAll(to, 0o777); err != nil {
			return err
		}
		script := `cd "$1" && apt-get -q download "$2" && dpkg-deb -x "$2"_*.deb . && rm -f ./*.deb`
		return run(ctx, "sh", "-c", script, "sh", to, name)
	})
}

// listen gives a file's sound to take, at 44,100 Hz in two channels, with other
// options for ffmpeg's output if any.
func listen(ctx context.Context, path string, take func(pcm.Block), options ...string) error {
	args := append([]string{"-nostdin", "-v", "error", "-i", path, "-f", "f32le", "-ac", "2", "-ar", "44100"}, options...)
	raw, err := exec.CommandContext(ctx, "ffmpeg", append(args, "-")...).Output()
	if err != nil {
		return fmt.Errorf("ffmpeg %s: %w", path, err)
	}
	const piece = 4096
	left, right := make([]float32, piece), make([]float32, piece)
	for len(raw) >= 8 {
		n := min(piece, len(raw)/8)
		for i := range n {
			left[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[8*i:]))
			right[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[8*i+4:]))
		}
		take(pcm.Block{Samples: [][]float32{left[:n], right[:n]}})
		raw = raw[8*n:]
	}
	return nil
}

// stereo is the format listen gives.
var stereo = pcm.Format{Rate: 44100, Channels: 2}
