package decode

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"syscall"
	"time"

	"github.com/melodyud/melodyud/transcode/decode/format"
)

// Enclose confines this process as a child is, for the escape tests.
func Enclose(arg string) error {
	var job errand
	if err := json.Unmarshal([]byte(arg), &job); err != nil {
		return err
	}
	return enclose(job)
}

// Seal is the second step of the confinement.
func Seal() error { return seal() }

// Listen reads b as the words of a child.
func Listen(b []byte, channels int) (words int, err error) {
	e := ear{r: bytes.NewReader(b), channels: channels}
	for {
		kind, body, err := e.listen()
		if err != nil {
			return words, err
		}
		if kind == wordBlock {
			if _, err := e.block(body); err != nil {
				return words, err
			}
		}
		words++
	}
}

// Verdict decodes b to its end in this process, as a child would with no converter,
// and returns the refusal's code or "". panicked tells that a decoder did.
func Verdict(b []byte, l Limits) (code string, panicked bool) {
	j := errand{Limits: l.Filled(int64(len(b)))}
	in := &format.Input{At: bytes.NewReader(b), Size: int64(len(b)), Limits: j.Limits}
	var tail lastWord
	err := j.decode(in, &mouth{w: &tail}, func() error { return nil })
	var f *format.Fault
	switch {
	case errors.As(err, &f):
		return f.Code, false
	case err != nil:
		return "audio.damaged", strings.Contains(err.Error(), "panicked")
	}
	facts := Facts{SampleRate: tail.facts.SampleRate}
	if f := facts.TooShort(tail.end.Samples, j.Limits); f != nil {
		return f.Code, false
	}
	return "", false
}

// lastWord listens to a child in the same process.
type lastWord struct {
	facts Facts
	end   farewell
}

func (l *lastWord) Write(p []byte) (int, error) {
	var err error
	switch p[0] {
	case wordFacts:
		err = json.Unmarshal(p[wordHead:], &l.facts)
	case wordEnd:
		err = json.Unmarshal(p[wordHead:], &l.end)
	}
	return len(p), err
}

// Known reports whether a child may refuse with the code.
func Known(code string) bool {
	_, ok := reasonFor(code)
	return ok
}

// Cost is the processor time and the resident memory, in bytes, of a child that has
// ended and of the converter it ran.
func (s *Stream) Cost() (cpu time.Duration, memory int64) {
	state := s.cmd.ProcessState
	if u, ok := state.SysUsage().(*syscall.Rusage); ok {
		memory = u.Maxrss << 10
	}
	return state.UserTime() + state.SystemTime(), memory
}
