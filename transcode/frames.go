package transcode

import (
	"io"

	"github.com/melodyud/melodyud/transcode/decode/flac"
)

// Frames decodes the FLAC frames that src begins with, for whoever wants to see
// that a lossless rendition is: it shares no code with the encoder. Each call of
// next returns the samples of a frame by channel, valid until the next, then
// io.EOF.
func Frames(src io.Reader, rate, channels, depth int) (next func() ([][]int32, error)) {
	return flac.NewReader(src, flac.Info{Rate: rate, Channels: channels, Depth: depth}).Next
}
