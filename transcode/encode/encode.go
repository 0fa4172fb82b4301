// Package encode turns blocks of samples into coded packets on a media.Sink:
// AAC-LC in process or through ffmpeg, and FLAC.
//
// An Encoder belongs to one goroutine. The same samples give the same packets,
// however they are cut into blocks.
package encode

import (
	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// Encoder codes one track. Either Close or Abort ends it.
type Encoder interface {
	// Encode takes the next samples, in the stream's rate and channels, and
	// writes the packets that have become complete.
	Encode(b pcm.Block) error
	// Close writes the last packets and returns what the sink's Finish needs.
	Close() (media.Ending, error)
	// Abort releases everything without writing more. It may follow Close.
	Abort()
}
