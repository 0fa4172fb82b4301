package format

import (
	"bytes"
	"io"
)

func memoryInput(b []byte) *Input {
	return &Input{At: bytes.NewReader(b), Size: int64(len(b)), Limits: Limits{}.Filled(int64(len(b)))}
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
