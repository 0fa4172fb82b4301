// Package media holds what the two engines hand each other: transcode produces
// coded packets on a shared timeline, packager puts them into track files.
package media

import melodyud "github.com/melodyud/melodyud"

// Stream describes a coded stream before its first packet.
type Stream struct {
	Name       string // the rendition's name, "aac-96"
	Codec      melodyud.Codec
	SampleRate int      // Hz
	Channels   int      // 1 or 2 for AAC, 1..8 for FLAC
	BitDepth   int      // FLAC: 8..24; AAC: 0
	FrameSize  int      // samples of every packet but the last: 1024 for AAC
	Priming    int64    // samples a decoder gives before the first real one, a multiple of FrameSize (GAP-1)
	Bitrate    int      // bits per second asked for; 0 for lossless
	Timeline   Timeline // where this stream's segments end
}

// Packet is one access unit (AAC) or one whole FLAC frame.
type Packet struct {
	Data    []byte // valid only during the call
	Samples int    // decoded samples per channel, priming and padding included
}

// Ending is what is known only after the last packet.
type Ending struct {
	Samples int64  // presented samples at the stream's rate
	Config  []byte // AAC: AudioSpecificConfig; FLAC: the 34 bytes of STREAMINFO
	PCMMD5  string // FLAC: hexadecimal MD5 of the samples, as in STREAMINFO
}

// Sink takes one coded stream. Finish is called once, after the last packet and
// only if all went well.
type Sink interface {
	WritePacket(Packet) error
	Finish(Ending) error
}
