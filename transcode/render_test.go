package transcode_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/transcode"
	"github.com/melodyud/melodyud/transcode/decode"
	"github.com/melodyud/melodyud/transcode/pcm"
	"github.com/melodyud/melodyud/transcode/pcm/pcmtest"
)

// TestMain lets the test binary play the decoder child, as the real one does.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "child" {
		os.Exit(decode.ChildMain(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// tape is a sink that keeps what it is given.
type tape struct {
	stream  media.Stream
	packets [][]byte
	samples int64
	sum     [sha256.Size]byte
	hash    io.Writer
	end     *media.Ending
	fail    error // returned by the next WritePacket
}

func (s *tape) WritePacket(p media.Packet) error {
	if s.fail != nil {
		return s.fail
	}
	s.packets = append(s.packets, bytes.Clone(p.Data))
	s.samples += int64(p.Samples)
	return nil
}

func (s *tape) Finish(e media.Ending) error {
	s.end = &e
	return nil
}

// shelf is a job whose sinks are tapes.
type shelf struct {
	mu    sync.Mutex
	tapes map[string]*tape
	names []string
	fail  map[string]error
}

func (s *shelf) open(st media.Stream) (media.Sink, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tapes == nil {
		s.tapes = map[string]*tape{}
	}
	t := &tape{stream: st, fail: s.fail[st.Name]}
	s.tapes[st.Name] = t
	s.names = append(s.names, st.Name)
	return t, nil
}

func (s *shelf) digest() string {
	h := sha256.New()
	for _, n := range s.names {
		t := s.tapes[n]
		fmt.Fprintf(h, "%+v %+v\n", t.stream, *t.end)
		for _, p := range t.packets {
			fmt.Fprintln(h, len(p))
			h.Write(p)
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// played is a Source of prepared samples.
type played struct {
	pcm.Source
	facts  decode.Facts
	closed bool
	after  error // instead of io.EOF
}

func (p *played) Facts() decode.Facts { return p.facts }
func (p *played) Close() error        { p.closed = true; return nil }

func (p *played) Read() (pcm.Block, error) {
	b, err := p.Source.Read()
	if errors.Is(err, io.EOF) && p.after != nil {
		return b, p.after
	}
	return b, err
}

func play(f pcm.Format, samples [][]float32, block int) *played {
	return &played{
		Source: pcmtest.FromSamples(f, samples, block),
		facts: decode.Facts{
			Source:     melodyud.Source{Codec: "pcm", Lossless: true, SampleRate: f.Rate, Channels: f.Channels, BitDepth: f.BitDepth},
			SampleRate: f.Rate, Channels: f.Channels, BitDepth: f.BitDepth, Samples: int64(len(samples[0])),
		},
	}
}

func engine(t testing.TB, src *played, cfg transcode.Config) *transcode.Engine {
	t.Helper()
	e, err := transcode.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if src == nil {
		return e
	}
	return e.WithSource(func(context.Context) (transcode.Source, error) { return src, nil })
}

func corpus(t testing.TB, name string) *os.File {
	t.Helper()
	dir := os.Getenv("MELODYUD_CORPUS")
	if dir == "" {
		dir = "../../shared/corpus"
	}
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		t.Skipf("corpus file is not here: %v", err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestRenderOfRealFiles(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"music/08-ufoai-david01.wav", "music/03-wesnoth-elvish-theme.flac", "music/04-wesnoth-frantic-old.ogg"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s shelf
			rep, err := engine(t, nil, transcode.Config{}).Render(t.Context(), corpus(t, name), transcode.Job{Ladder: melodyud.DefaultLadder(), Open: s.open})
			if err != nil {
				t.Fatal(err)
			}
			if rep.Samples == 0 || rep.Loudness.Integrated == nil || len(rep.Waveform) < 100 {
				t.Errorf("report %+v", rep)
			}
			for _, n := range s.names {
				tp := s.tapes[n]
				if tp.end == nil || tp.samples < tp.end.Samples+tp.stream.Priming {
					t.Errorf("%s: %d samples in packets, %+v", n, tp.samples, tp.end)
				}
			}
		})
	}
}
