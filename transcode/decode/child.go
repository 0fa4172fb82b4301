package decode

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"runtime/debug"

	"github.com/melodyud/melodyud/transcode/decode/cover"
	"github.com/melodyud/melodyud/transcode/decode/format"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// The exit codes of a child. Whatever else there is to say is said in words.
const (
	exitDone  = 0
	exitUsage = 64 // BSD's EX_USAGE: not called by Start
	exitIO    = 74 // EX_IOERR: the caller has gone
)

// ChildMain is the main function of the child process: "melodyud child" hands it
// the arguments after "child". It reads the master from descriptor 0, writes the
// protocol to descriptor 1, and returns the exit code.
func ChildMain(args []string) int {
	var job errand
	if len(args) != 2 || args[0] != "decode" || json.Unmarshal([]byte(args[1]), &job) != nil {
		fmt.Fprintln(os.Stderr, "this command is run by the decoder itself, not by hand")
		return exitUsage
	}
	m := &mouth{w: os.Stdout}
	if err := enclose(job); err != nil {
		fmt.Fprintln(os.Stderr, "cannot confine the decoder:", err)
		return exitUsage
	}
	err := job.run(os.Stdin, m)
	if err == nil {
		return exitDone
	}
	var f *format.Fault
	if !errors.As(err, &f) {
		f = &format.Fault{Code: "audio.damaged", Cause: err.Error()}
	}
	if m.sayJSON(wordRefusal, f) != nil {
		return exitIO
	}
	return exitDone
}

// enclose gives up what a decoder does not need, before a byte is read. The
// runtime is told to stay well below the hard limit, so that garbage is
// collected before it kills.
func enclose(job errand) error {
	debug.SetMemoryLimit(job.Limits.MaxMemory / 4 * 3)
	debug.SetMaxStack(16 << 20)
	log.SetOutput(io.Discard) // a decoder chats there
	return sandbox(job)
}

// run decodes f into words.
func (j errand) run(f *os.File, m *mouth) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return j.decode(&format.Input{At: f, Size: info.Size(), Limits: j.Limits, FFmpeg: j.FFmpeg}, m, seal)
}

// decode turns in into words. A decoder's panic is its verdict on the file. opened
// is called once a converter has what it needs.
func (j errand) decode(in *format.Input, m *mouth, opened func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("decoder panicked: %v", v)
		}
	}()
	facts, snd, err := format.Open(in)
	if err != nil {
		return err
	}
	if err := opened(); err != nil {
		return err
	}
	facts.Tidy()
	if f := facts.Check(j.Limits); f != nil {
		return f
	}
	if err := m.sayJSON(wordFacts, facts); err != nil {
		return err
	}
	return j.pump(facts, snd, m)
}

func (j errand) pump(facts Facts, snd format.Sound, m *mouth) error {
	var bye farewell
	for {
		b, err := snd.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := pumpBlock(b, m); err != nil {
			return err
		}
		bye.Samples += int64(b.Len())
		if f := facts.TooLong(bye.Samples, j.Limits); f != nil {
			return f
		}
	}
	if w, ok := snd.(format.Warner); ok {
		bye.Warnings = w.Warnings()
	}
	bye.picture(facts.Picture)
	return m.sayJSON(wordEnd, bye)
}

// picture makes the cover, last, so that nobody waits for it. A picture that is
// none costs the track no more than its cover.
func (bye *farewell) picture(data []byte) {
	if len(data) == 0 {
		return
	}
	var err error
	if bye.Cover, err = cover.Make(data); err != nil {
		bye.Warnings = append(bye.Warnings, "The cover picture in the file could not be used: it is damaged, too large or of an unknown kind.")
	}
}

// pumpBlock sends what a decoder gave, in pieces the reader accepts.
func pumpBlock(b pcm.Block, m *mouth) error {
	if err := format.CheckSamples(b); err != nil {
		return err
	}
	piece := pcm.Block{Samples: make([][]float32, len(b.Samples))}
	for from := 0; from < b.Len(); from += pcm.MaxBlock {
		for c, plane := range b.Samples {
			piece.Samples[c] = plane[from:min(from+pcm.MaxBlock, len(plane))]
		}
		if err := m.block(piece); err != nil {
			return err
		}
	}
	return nil
}
