package decode_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/fixtures"
	"github.com/melodyud/melodyud/transcode/decode"
)

// TestMain makes the test binary its own decoder child.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "child" {
		os.Exit(decode.ChildMain(os.Args[2:]))
	}
	if len(os.Args) > 2 && os.Args[1] == "rogue" {
		rogue(os.Args[2], os.Args[len(os.Args)-1])
		os.Exit(0)
	}
	if len(os.Args) > 1 && os.Args[1] == "-nostdin" {
		os.Exit(spy(os.Args[1:]))
	}
	if len(os.Args) > 2 && os.Args[1] == "mutants" {
		mutants(os.Args[2])
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// bytesOf runs one of the fixture writers.
func bytesOf(t testing.TB, write func(io.Writer, fixtures.Spec) error, s fixtures.Spec) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func masterFile(t testing.TB, body []byte) *os.File {
	t.Helper()
	name := filepath.Join(t.TempDir(), "master")
	if err := os.WriteFile(name, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return openFile(t, name)
}

func openFile(t testing.TB, name string) *os.File {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// result is all of a decoded master.
type result struct {
	facts  decode.Facts
	planes [][]float32
	err    error // nil when decoded to the end
}

func (r result) code() string {
	if refusal, ok := melodyud.AsRefusal(r.err); ok {
		return refusal.Code
	}
	if r.err != nil {
		return "error: " + r.err.Error()
	}
	return ""
}

func decodeAll(t testing.TB, cfg decode.Config, f *os.File) (r result) {
	t.Helper()
	s, err := decode.Start(t.Context(), cfg, f)
	if err != nil {
		return result{err: err}
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	r.planes = make([][]float32, s.Format().Channels)
	for {
		b, err := s.Read()
		if err == io.EOF {
			r.facts = s.Facts()
			return r
		}
		if err != nil {
			r.err, r.facts = err, s.Facts()
			return r
		}
		for c := range r.planes {
			r.planes[c] = append(r.planes[c], b.Samples[c]...)
		}
	}
}
