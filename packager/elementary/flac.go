package elementary

import (
	"fmt"
	"io"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/media"
)

// streamInfoSize is the length of a STREAMINFO block without its header.
const streamInfoSize = 34

// FLAC writes frames as a native FLAC file. It is a media.Sink.
type FLAC struct {
	w io.WriteSeeker
}

// NewFLAC returns a sink that writes s to w, an empty file. What STREAMINFO
// says of the length, the frame sizes and the samples' MD5 is known last: Finish
// goes back to fill it in.
func NewFLAC(w io.WriteSeeker, s media.Stream) (*FLAC, error) {
	if s.Codec != melodyud.CodecFLAC {
		return nil, fmt.Errorf("a FLAC file holds FLAC, not %s", s.Codec)
	}
	const onlyBlock = 0x80 // the last metadata block; type 0, STREAMINFO
	head := append([]byte("fLaC"), onlyBlock, 0, 0, streamInfoSize)
	if _, err := w.Write(append(head, make([]byte, streamInfoSize)...)); err != nil {
		return nil, fmt.Errorf("write FLAC header: %w", err)
	}
	return &FLAC{w: w}, nil
}

// WritePacket implements media.Sink.
func (f *FLAC) WritePacket(p media.Packet) error {
	if _, err := f.w.Write(p.Data); err != nil {
		return fmt.Errorf("write FLAC frame: %w", err)
	}
	return nil
}

// Finish implements media.Sink.
func (f *FLAC) Finish(e media.Ending) error {
	if len(e.Config) != streamInfoSize {
		return fmt.Errorf("finish FLAC: STREAMINFO of %d bytes", len(e.Config))
	}
	end, err := f.w.Seek(0, io.SeekCurrent)
	if err == nil {
		err = f.fill(e.Config)
	}
	if err == nil {
		_, err = f.w.Seek(end, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("finish FLAC: %w", err)
	}
	return nil
}

func (f *FLAC) fill(streamInfo []byte) error {
	const at = 8 // after "fLaC" and the block's header
	if _, err := f.w.Seek(at, io.SeekStart); err != nil {
		return err
	}
	_, err := f.w.Write(streamInfo)
	return err
}
