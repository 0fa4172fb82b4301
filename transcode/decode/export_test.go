package decode

import (
	"bytes"
	"encoding/json"
	"io"
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

func memoryInput(b []byte) *input {
	return &input{at: bytes.NewReader(b), size: int64(len(b)), job: errand{Limits: Limits{}.filled(int64(len(b)))}}
}

// ReadPlain decodes WAV and AIFF in this process and returns the samples given.
func ReadPlain(b []byte) (n int64, err error) {
	in := memoryInput(b)
	open := openWAV
	if bytes.HasPrefix(b, []byte("FORM")) {
		open = openAIFF
	}
	facts, snd, err := open(in, 0)
	if err != nil {
		return 0, err
	}
	for {
		b, err := snd.Read()
		if err == io.EOF {
			if n != facts.Samples {
				panic("samples differ from the facts")
			}
			return n, nil
		}
		if err != nil {
			return n, err
		}
		n += int64(b.Len())
	}
}

// Sniff names the container, or refuses.
func Sniff(b []byte) (string, error) {
	f, _, err := sniff(memoryInput(b))
	return f.name, err
}

// ReadLabels reads b as every kind of label.
func ReadLabels(b []byte) Facts {
	var l labels
	in := memoryInput(b)
	l.readID3(in, 0, in.size)
	l.readID3v1(in)
	l.readInfo(in, chunk{size: in.size})
	l.readComments(b)
	l.readPicture(b)
	l.userData(b)
	var f Facts
	l.fill(&f)
	f.tidy()
	return f
}

// ScanFrames walks b as MPEG audio and returns the bytes fed to a decoder.
func ScanFrames(b []byte) (int64, error) {
	in := memoryInput(b)
	s, err := scanMP3(in, 0)
	if err != nil {
		return 0, err
	}
	feed := &mp3Feed{in: in, walk: mpegWalk{w: window{in: in}, at: s.from, end: s.walk.end, first: s.walk.first}}
	return io.Copy(io.Discard, feed)
}

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
